package middleware_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/makerguard/makerguard/middleware"
)

func proxies(t *testing.T, list string) middleware.Proxies {
	t.Helper()
	ps, err := middleware.ParseProxies(list)
	if err != nil {
		t.Fatalf("ParseProxies(%q) = %v", list, err)
	}
	return ps
}

// goal: V15.3.4 — the rightmost hop that is no trusted proxy, and nothing before it.
func TestClientIP(t *testing.T) {
	trusted := proxies(t, "10.0.0.0/8, 127.0.0.1,2001:db8::/32")
	for _, tc := range []struct {
		name    string
		ps      middleware.Proxies
		peer    string
		forward []string
		want    string
	}{
		{"no proxies: the peer", nil, "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"untrusted peer", trusted, "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"trusted peer, no header", trusted, "10.1.1.1:1", nil, "10.1.1.1"},
		{"one hop", trusted, "10.1.1.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"forged left", trusted, "10.1.1.1:1", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		{"through two proxies", trusted, "10.1.1.1:1", []string{"1.2.3.4, 198.51.100.1, 10.9.9.9"}, "198.51.100.1"},
		{"header in two lines", trusted, "10.1.1.1:1", []string{"1.2.3.4", "198.51.100.1,10.9.9.9"}, "198.51.100.1"},
		{"only proxies", trusted, "10.1.1.1:1", []string{"10.2.2.2"}, "10.2.2.2"},
		{"unreadable hop", trusted, "10.1.1.1:1", []string{"1.2.3.4, junk"}, "10.1.1.1"},
		{"IPv6", trusted, "[2001:db8::1]:1", []string{"2001:4860::8888"}, "2001:4860::8888"},
		{"IPv4 in IPv6", trusted, "[::ffff:10.1.1.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"zone dropped", trusted, "[fe80::1%eth0]:1", nil, "fe80::1"},
		{"zone of a hop dropped", trusted, "10.1.1.1:1", []string{"fe80::2%25eth0, fe80::1%eth0"}, "fe80::1"},
		{"IPv6, forged left", trusted, "[2001:db8::1]:1", []string{"2001:db8:ffff::1, 2001:4860::8888, 2001:db8::2"}, "2001:4860::8888"},
		{"spaces and tabs", trusted, "10.1.1.1:1", []string{" 1.2.3.4 ,\t198.51.100.1\t"}, "198.51.100.1"},
		{"several lines, forged first", trusted, "10.1.1.1:1", []string{"1.2.3.4, 5.6.7.8", "198.51.100.1", "10.9.9.9"}, "198.51.100.1"},
		{"an empty line", trusted, "10.1.1.1:1", []string{"198.51.100.1", ""}, "198.51.100.1"},
		{"an empty hop", trusted, "10.1.1.1:1", []string{"198.51.100.1, , 10.9.9.9"}, "10.9.9.9"},
		{"a hop with a port", trusted, "10.1.1.1:1", []string{"1.2.3.4, 198.51.100.1:4711"}, "10.1.1.1"},
		{"an IPv6 hop with a port", trusted, "10.1.1.1:1", []string{"1.2.3.4, [2001:4860::8888]:4711"}, "10.1.1.1"},
		{"a hop that hides", trusted, "10.1.1.1:1", []string{"198.51.100.1, unknown, 10.9.9.9"}, "10.9.9.9"},
		{"no address", trusted, "@", []string{"198.51.100.1"}, ""},
	} {
		r := &http.Request{RemoteAddr: tc.peer, Header: http.Header{"X-Forwarded-For": tc.forward}}
		if got := tc.ps.ClientIP(r); got != tc.want {
			t.Errorf("%s: ClientIP = %q, want %q", tc.name, got, tc.want)
		}
	}
}

// goal: V15.3.4 — 1,000 forged values do not change the key of a rate limit.
func TestClientIP_ForgeriesChangeNothing(t *testing.T) {
	ps := proxies(t, "10.0.0.0/8")
	for i := range 1000 {
		for _, peer := range []struct{ addr, want string }{{"203.0.113.9:1", "203.0.113.9"}, {"10.0.0.1:1", "198.51.100.7"}} {
			r := &http.Request{RemoteAddr: peer.addr, Header: http.Header{
				"X-Forwarded-For": {fmt.Sprintf("192.0.2.%d, 10.0.0.%d, 198.51.100.7", i%256, i%256)},
				"X-Real-Ip":       {fmt.Sprintf("192.0.2.%d", i%256)},
				"Forwarded":       {fmt.Sprintf("for=192.0.2.%d", i%256)},
			}}
			if got := ps.ClientIP(r); got != peer.want {
				t.Fatalf("ClientIP from %s = %q, want %q", peer.addr, got, peer.want)
			}
		}
	}
}

// Forwarded (RFC 7239) and the headers of some vendors are not read, whoever sends them: of two
// sources, one could be the client's.
//
// goal: V15.3.4
func TestClientIP_ReadsOneHeaderAlone(t *testing.T) {
	ps := proxies(t, "10.0.0.0/8")
	for _, name := range []string{"Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip"} {
		r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{name: {"198.51.100.1"}}}
		if got := ps.ClientIP(r); got != "10.0.0.1" {
			t.Errorf("with %s alone: ClientIP = %q, want the proxy's 10.0.0.1", name, got)
		}
	}
}

func TestParseProxies_RefusesWhatIsNeither(t *testing.T) {
	for _, bad := range []string{"localhost", "10.0.0.0/33", "10.0.0.0-10.0.0.9", "*"} {
		if _, err := middleware.ParseProxies(bad); err == nil {
			t.Errorf("ParseProxies(%q) = nil error, want one", bad)
		}
	}
	if ps := proxies(t, " , "); len(ps) != 0 {
		t.Errorf("ParseProxies of nothing = %v, want none", ps)
	}
}
