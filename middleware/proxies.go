package middleware

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks whose forwarding headers are believed (OWASP ASVS 5
// V4.1.3, V15.3.4). The zero value believes nobody.
type Proxies []netip.Prefix

// ParseProxies reads networks in CIDR form, or single addresses, separated by commas.
func ParseProxies(list string) (Proxies, error) {
	var ps Proxies
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		p, err := netip.ParsePrefix(item)
		if err != nil {
			a, aerr := netip.ParseAddr(item)
			if aerr != nil {
				return nil, fmt.Errorf("trusted proxy %q is neither a network such as 10.0.0.0/8 nor an address", item)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		ps = append(ps, p.Masked())
	}
	return ps, nil
}

// Trust reports whether a is in one of the networks.
func (ps Proxies) Trust(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range ps {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Peer reports whether the request was sent by a trusted proxy.
func (ps Proxies) Peer(r *http.Request) bool {
	if len(ps) == 0 {
		return false
	}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && ps.Trust(ap.Addr())
}

// ClientIP gives the address a request comes from: that of the peer or, where the peer
// is trusted, the rightmost address in X-Forwarded-For that is not. What
// stands further left was written by whoever sent it and counts for nothing.
func (ps Proxies) ClientIP(r *http.Request) string {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	addr := ap.Addr().Unmap().WithZone("")
	if len(ps) == 0 || !ps.Trust(addr) {
		if ap.Addr().Is4() { // which has one form only
			return r.RemoteAddr[:strings.LastIndexByte(r.RemoteAddr, ':')]
		}
		return addr.String()
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		rest := lines[i]
		for rest != "" {
			var hop string
			if cut := strings.LastIndexByte(rest, ','); cut >= 0 {
				rest, hop = rest[:cut], rest[cut+1:]
			} else {
				rest, hop = "", rest
			}
			a, err := netip.ParseAddr(strings.TrimSpace(hop))
			if err != nil {
				return addr.String() // the last hop that could be read
			}
			addr = a.Unmap().WithZone("")
			if !ps.Trust(addr) {
				return addr.String()
			}
		}
	}
	return addr.String()
}
