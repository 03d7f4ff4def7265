package abuse

import "net/netip"

// AddressKey is what counts as one address: an IPv4 address, or the /64 that an IPv6
// customer has at least, such as "2001:db8::/64". It gives "" for what is no address.
func AddressKey(ip string) string {
	p, ok := prefixOf(ip)
	switch {
	case !ok:
		return ""
	case p.Addr().Is4():
		return p.Addr().String()
	}
	return p.String()
}

// prefixOf is AddressKey as a value that can be compared without allocating.
func prefixOf(ip string) (netip.Prefix, bool) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Prefix{}, false
	}
	return truncated(a, 32, 64)
}

// networkOf is where an address is, roughly: the /24 or /48. Phones and offices change
// their address within it all the time.
func networkOf(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	p, _ := truncated(a, 24, 48)
	return p.String()
}

func truncated(a netip.Addr, bits4, bits6 int) (netip.Prefix, bool) {
	a = a.Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}

// subjectPrefix reads an address as an operator or AddressKey gives it: an address, or
// a /64 of IPv6.
func subjectPrefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		if p.Addr().Is4() && p.Bits() != 32 || p.Addr().Is6() && p.Bits() != 64 || p.Addr().Is4In6() {
			return netip.Prefix{}, false
		}
		return p.Masked(), true
	}
	return prefixOf(s)
}
