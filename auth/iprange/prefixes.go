// Package iprange holds sets of IP address ranges: lists of prefixes, and named sources read from files, such as a local
// copy of the ip-ranges.json that AWS publishes. It fetches nothing over the network and decides nothing: who may pass
// is its caller's business.
package iprange

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ErrSyntax is matched by every error of text that is not what it should be.
var ErrSyntax = errors.New("invalid address range")

// Prefixes is an immutable set of addresses. The zero Prefixes is empty. Safe for concurrent use; lookups take
// O(log n) and do not allocate.
type Prefixes struct{ spans []span }

// span is a closed range of addresses of one family.
type span struct{ first, last netip.Addr }

// New returns the union of the given prefixes. Prefixes inside ::ffff:0:0/96 mean IPv4; invalid ones are ignored.
func New(prefixes ...netip.Prefix) Prefixes {
	spans := make([]span, 0, len(prefixes))
	for _, p := range prefixes {
		if p, ok := normal(p); ok {
			spans = append(spans, span{p.Addr(), last(p)})
		}
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(a.first.Compare(b.first), b.last.Compare(a.last))
	})
	merged := spans[:0]
	for _, s := range spans {
		if n := len(merged); n > 0 && touches(merged[n-1], s) {
			if merged[n-1].last.Less(s.last) {
				merged[n-1].last = s.last
			}
			continue
		}
		merged = append(merged, s)
	}
	return Prefixes{slices.Clip(merged)}
}

// touches reports whether b, which does not begin before a, overlaps or continues a.
func touches(a, b span) bool {
	if a.first.BitLen() != b.first.BitLen() {
		return false
	}
	return !a.last.Less(b.first) || a.last.Next() == b.first
}

// Parse returns the union of the given texts, each as ParsePrefix takes it. Every text that is wrong is reported.
func Parse(texts ...string) (Prefixes, error) {
	list := make([]netip.Prefix, 0, len(texts))
	var problems []error
	for _, s := range texts {
		p, err := ParsePrefix(s)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		list = append(list, p)
	}
	if len(problems) > 0 {
		return Prefixes{}, errors.Join(problems...)
	}
	return New(list...), nil
}

// ParsePrefix parses "192.0.2.0/24", "2001:db8::/32", or an address alone, which means only itself. Bits set beyond the
// prefix length are an error, because "192.0.2.1/8" was hardly meant to admit sixteen million addresses. Zones are
// refused; IPv4-mapped IPv6 becomes IPv4. Errors: ErrSyntax.
func ParsePrefix(s string) (netip.Prefix, error) {
	var p netip.Prefix
	if strings.Contains(s, "/") {
		parsed, err := netip.ParsePrefix(s)
		if err != nil {
			return p, fmt.Errorf("%w %q: not an address or prefix", ErrSyntax, s)
		}
		p = parsed
	} else {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return p, fmt.Errorf("%w %q: not an address or prefix", ErrSyntax, s)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("%w %q: bits set beyond the prefix length, write %s or the address alone",
			ErrSyntax, s, p.Masked())
	}
	n, _ := normal(p)
	return n, nil
}

// Contains reports whether the address is in the set. IPv4-mapped IPv6 counts as IPv4, a zone is disregarded, and the
// zero Addr is in no set.
func (p Prefixes) Contains(a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	a = a.Unmap().WithZone("")
	i, found := slices.BinarySearchFunc(p.spans, a, func(s span, a netip.Addr) int { return s.first.Compare(a) })
	if found {
		return true
	}
	return i > 0 && !p.spans[i-1].last.Less(a) // spans sort IPv4 before IPv6, so that families never mix here
}

// Len returns how many disjoint ranges the set consists of.
func (p Prefixes) Len() int { return len(p.spans) }

// normal masks a prefix and turns IPv4-mapped IPv6 into IPv4.
func normal(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() {
		return p, false
	}
	p = p.Masked()
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p, true
}

// last returns the highest address of a masked prefix.
func last(p netip.Prefix) netip.Addr {
	if p.Addr().Is4() {
		b := p.Addr().As4()
		fill(b[:], p.Bits())
		return netip.AddrFrom4(b)
	}
	b := p.Addr().As16()
	fill(b[:], p.Bits())
	return netip.AddrFrom16(b)
}

// fill sets every bit of b from position bits on.
func fill(b []byte, bits int) {
	for i := range b {
		switch n := bits - 8*i; {
		case n <= 0:
			b[i] = 0xff
		case n < 8:
			b[i] |= 0xff >> n
		}
	}
}
