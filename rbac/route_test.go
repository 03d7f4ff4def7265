package rbac_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/makerguard/makerguard/rbac"
)

func routePolicy(match string) []byte {
	return fmt.Appendf(nil, "version: 1\nroutes: [{match: %q}]", match)
}

func muxTakes(match string) (ok bool) {
	defer func() { ok = recover() == nil }()
	http.NewServeMux().HandleFunc(match, func(http.ResponseWriter, *http.Request) {})
	return
}

func TestParsePolicy_Patterns(t *testing.T) {
	for match, want := range map[string]bool{
		"/":                            true,
		"/public/":                     true,
		"POST /api/products":           true,
		"GET /api/reports/{id}":        true,
		"GET  /two/spaces":             true,
		"/{$}":                         true,
		"/files/{path...}":             true,
		"/{tenant}/{id}":               true,
		"api.example.com/v1/":          true,
		"DELETE api.example.com/v1/":   true,
		"/a%20b":                       true,
		"":                             false,
		"GET":                          false,
		"GET ":                         false,
		" /x":                          false,
		"get /x":                       false,
		"api/products":                 true, // a host, as http.ServeMux has it
		"//x":                          false,
		"//":                           false,
		"/a/../b":                      false,
		"/a/./b":                       false,
		"/a b":                         false,
		"/{id}/{id}":                   false,
		"/{}":                          false,
		"/{...}":                       false,
		"/{a-b}":                       false,
		"/x{id}":                       false,
		"/{id}x":                       false,
		"/{rest...}/x":                 false,
		"/{$}/x":                       false,
		"/bad%zz":                      false,
		"{host}/x":                     false,
		"/x\x00":                       true,
		"GET\t/x":                      false,
		"/ünïcode/{größe}":             true,
		"POST /api/{id}/{other}/{$}":   true,
		"GET /api/products/{id}/image": true,
	} {
		_, err := rbac.ParsePolicy(routePolicy(match))
		if got := err == nil; got != want {
			t.Errorf("match %q: accepted = %v (%v), want %v", match, got, err, want)
		}
		if err == nil && !muxTakes(match) {
			t.Errorf("match %q was accepted and makes http.ServeMux panic", match)
		}
	}
}

// What the policy accepts must never make the gateway's mux panic.
func FuzzParsePolicy_Match(f *testing.F) {
	for _, s := range []string{"/", "GET /{id}", "h/{a}/{b...}", "/{$}", "CONNECT //", "/%7Bx%7D", "GET /a}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, match string) {
		p, err := rbac.ParsePolicy(routePolicy(match))
		if err != nil {
			return
		}
		// YAML reads the escapes of %q a little differently, so ask what it made of it.
		if match = p.Routes()[0].Match; !muxTakes(match) {
			t.Errorf("match %q was accepted and makes http.ServeMux panic", match)
		}
	})
}
