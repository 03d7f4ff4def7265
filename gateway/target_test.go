package gateway_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/gateway"
)

// goal: V4.1.3 — a path that rules and application could read differently reaches neither.
func TestCheckTarget(t *testing.T) {
	for _, ok := range []string{
		"/", "/a", "/a/", "/api/products/52_18-140", "/a?q=..//..%2f%5c", "/%E2%82%AC/x", "/wool%25", "/100%25-wool", "/%2561", "/a;b=1", "/.well-known/x", "/...", "/a..b",
	} {
		if err := gateway.CheckTarget(ok); err != nil {
			t.Errorf("CheckTarget(%q) = %v, want nil", ok, err)
		}
	}
	for _, bad := range []string{
		"", "a", "*", "http://other.example/a", "//", "//a", "/a//b", "/a//", "/./a", "/a/.", "/a/..", "/../a", "/a/%2e%2e/b", "/a/.%2E", "/%2e",
		"/a%2fb", "/a%2Fb", "/a%5cb", `/a\b`, "/a%00b", "/a\x00b", "/a%0ab", "/a\nb", "/a\tb", "/a b", "/a%7f", "/a%", "/a%2", "/a%zz", "/a%252fb", "/a%252e%252e/b",
		"/a%255cb", "/a%2500", "/a#b", "/a?b c", "/a?b\r\nX: y", "/a?b#c", "/" + strings.Repeat("a", gateway.MaxTarget),
	} {
		if err := gateway.CheckTarget(bad); !errors.Is(err, makerguard.MalformedRequest) {
			t.Errorf("CheckTarget(%.40q) = %v, want MALFORMED_REQUEST", bad, err)
		}
	}
}

// What passes is read alike by us and by net/url: cleaning it changes nothing.
func FuzzCheckTarget(f *testing.F) {
	for _, s := range []string{"/a/b?c=d", "/%2e%2e/", "/%252e", "//x", "/a%5c..%2f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if gateway.CheckTarget(s) != nil {
			return
		}
		u, err := url.ParseRequestURI(s)
		if err != nil {
			t.Fatalf("CheckTarget accepts %q, net/url does not: %v", s, err)
		}
		for seg := range strings.SplitSeq(u.Path[1:], "/") {
			if seg == "." || seg == ".." {
				t.Fatalf("CheckTarget accepts %q with the segment %q", s, seg)
			}
		}
		if strings.Contains(u.Path, "//") || strings.ContainsAny(u.Path, "\\\x00\n\r") {
			t.Fatalf("CheckTarget accepts %q, which decodes to %q", s, u.Path)
		}
	})
}
