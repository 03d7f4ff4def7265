# Everything is run from here; `make help` lists it. Linters are Go tools pinned in tools/go.mod.

TOOL := go tool -modfile=tools/go.mod
FUZZTIME ?= 10s
BENCHTIME ?= 1s

.PHONY: help
help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the static binary into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/makerguard ./cmd/makerguard

.PHONY: run
run: ## Serve with the demo's manufacturers
	go run ./cmd/makerguard serve --demo

# The tests' MongoDB, which is installed and started where MAKERGUARD_TEST_MONGO_URI names none.
WITH_MONGODB = uri=$$(test/services/mongodb start) && export MAKERGUARD_TEST_MONGO_URI="$$uri"

.PHONY: test
test: ## Run every test, on both stores, with the race detector: the one test command
	$(WITH_MONGODB) && go test -race ./... && MAKERGUARD_TEST_STORE=mongodb go test -count=1 ./test/integration
	@# The race detector allocates too, so what must cost no allocation is looked at without it.
	go test -run Allocat ./abuse ./auth ./guard ./middleware ./quota ./ratelimit ./rbac ./threat

.PHONY: race
race: test ## The same: tests always run with the race detector

.PHONY: quick
quick: ## Run the tests of the embedded store without the race detector
	go test ./...

.PHONY: lint
lint: ## gofumpt, go vet and golangci-lint
	@out=$$($(TOOL) gofumpt -l .); test -z "$$out" || { echo "gofumpt would change:"; echo "$$out"; exit 1; }
	go vet ./...
	cd bench && go vet ./...
	$(TOOL) golangci-lint run ./...

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what is reachable (asks vuln.go.dev)
	$(TOOL) govulncheck ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME each
	@go list -f '{{.Dir}} {{join .TestGoFiles " "}} {{join .XTestGoFiles " "}}' ./... | while read -r dir files; do \
		for f in $$files; do \
			grep -oE '^func Fuzz[A-Za-z0-9_]+' $$dir/$$f | cut -d' ' -f2 | while read -r target; do \
				echo "$$dir $$target"; \
				go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir || exit 1; \
			done || exit 1; \
		done || exit 1; \
	done

.PHONY: bench
bench: ## Measure the paths of docs/evidence, ours and theirs in one run
	cd bench && go run . -benchtime $(BENCHTIME)

.PHONY: load
load: ## Drive a real server and print requests per second and latencies
	go test -count=1 -run TestLoad -v ./test/integration -load 10s

.PHONY: load-nodes
load-nodes: ## The same for one, two and three nodes on one MongoDB
	$(WITH_MONGODB) && MAKERGUARD_TEST_STORE=mongodb go test -count=1 -run TestLoad_Nodes -v ./test/integration -load 10s

.PHONY: tidy
tidy: ## Check that go.mod and go.sum are as go mod tidy leaves them
	go mod tidy -diff
	cd bench && go mod tidy -diff

.PHONY: check
check: tidy lint test ## All that CI does
