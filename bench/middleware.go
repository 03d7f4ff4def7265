package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/makerguard/makerguard"
)

func middlewareRows() []row {
	limit := target{relation: microsMore, bound: 5, allocs: anyAllocs}
	return []row{
		{path: "middleware, everything on, GET", against: "the bare handler", target: limit, measure: comparison(oneCore, 1, func(l *lab) (ours, theirs side, err error) {
			return everythingOn(l, http.MethodGet, "")
		})},
		{path: "middleware, everything on, POST of a 220 B JSON", against: "the bare handler", target: limit, measure: comparison(oneCore, 1, func(l *lab) (ours, theirs side, err error) {
			return everythingOn(l, http.MethodPost, smallProduct)
		})},
	}
}

// smallProduct is the body of the requests: of ordinary size for a form, so that all that
// is done for a request counts and not only the inspection of its body.
const smallProduct = `{"sku": "LUN-0142-TORT", "name": "Camille, light tortoise", "product_type": "frame", "country_of_origin": "FR",` +
	` "price": {"amount_minor": 12990, "currency": "EUR"}, "frame": {"size": "52[]18-145", "material": "acetate"}}`

// everythingOn is a request that is authenticated, inspected, decided, and counted on
// two meters, beside the same request to the same handler without any of it.
func everythingOn(l *lab, method, body string) (ours, theirs side, err error) {
	g, err := l.guard()
	if err != nil {
		return ours, theirs, err
	}
	t, err := signUp(l, g, "lunettes")
	if err != nil {
		return ours, theirs, err
	}
	served, read := 0, 0
	buf := make([]byte, 1024)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			n, err := r.Body.Read(buf)
			read += n
			if err != nil {
				break
			}
		}
		served++
		w.WriteHeader(http.StatusCreated)
	})
	mux := http.NewServeMux()
	mux.Handle("/products", g.Require(makerguard.UploadProducts, makerguard.ProductUploads)(bare))
	guarded := g.Handler(mux)
	plain := http.NewServeMux()
	plain.Handle("/products", bare)

	for _, tc := range []struct {
		what, token, body string
		status            int
	}{
		{"a good request", t.access, body, http.StatusCreated},
		{"no token", "", body, http.StatusUnauthorized},
		{"a forged token", forged(t.access), body, http.StatusUnauthorized},
		{"an attack in the body", t.access, strings.Replace(smallProduct, "Camille", attack, 1), http.StatusForbidden},
	} {
		if got := newCaller(guarded, method, tc.token, tc.body).call(); got != tc.status {
			return ours, theirs, fmt.Errorf("%s is answered %d, want %d", tc.what, got, tc.status)
		}
	}
	if served != 1 || read != len(body) {
		return ours, theirs, fmt.Errorf("the handler saw %d requests and %d bytes, want 1 and %d", served, read, len(body))
	}
	count := 1
	through := func(h http.Handler, counted *int) side {
		c := newCaller(h, method, t.access, body)
		return each(func() error {
			*counted++
			if got := c.call(); got != http.StatusCreated {
				return fmt.Errorf("answered %d, want 201", got)
			}
			return nil
		})
	}
	l.finally(func() error {
		meters := []makerguard.Meter{makerguard.ProductUploads, makerguard.APICalls}
		_, used, err := g.Meters.Usage(l.ctx, t.principal.MeterAccount(), meters)
		for _, m := range meters {
			if err == nil && used[m] != int64(count) {
				err = fmt.Errorf("%d requests were let through, %d %s counted", count, used[m], m)
			}
		}
		return err
	})
	return through(guarded, &count), through(plain, new(int)), nil
}

// caller sends one request to a handler again and again, without a network and without
// allocating anything itself.
type caller struct {
	handler http.Handler
	request *http.Request
	body    *bytes.Reader
	answer  answer
}

func newCaller(h http.Handler, method, token, body string) *caller {
	c := &caller{handler: h, body: bytes.NewReader([]byte(body)), answer: answer{header: http.Header{}}}
	r, err := http.NewRequest(method, "/products?source=editor", nil) //nolint:noctx // as a server makes it
	if err != nil {
		panic(err) // the arguments are constants
	}
	r.RemoteAddr, r.RequestURI, r.ContentLength, r.Body = "127.0.0.1:40000", "/products?source=editor", int64(len(body)), http.NoBody
	if body != "" {
		r.Body = io.NopCloser(c.body)
	}
	for _, h := range upload.headers {
		r.Header.Set(h[0], h[1])
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	c.request = r
	return c
}

// call gives the status of the answer.
func (c *caller) call() int {
	c.answer.status = 0
	clear(c.answer.header)
	_, err := c.body.Seek(0, io.SeekStart)
	c.handler.ServeHTTP(&c.answer, c.request)
	if err != nil || c.answer.status == 0 {
		return -1
	}
	return c.answer.status
}

// answer is an http.ResponseWriter that keeps the status.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return len(b), nil
}
