// Package access decides who may play an origin endpoint: by HTTPS, by the client's address, and by a secret that the CDN
// sends as User-Agent; and who may push to a channel, by credentials. It writes no responses.
package access

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"headwater/auth"
	"headwater/auth/iprange"
	"headwater/origin/channel"
)

// Reasons of a Decision: the rules, as the configuration names them.
const (
	ReasonOpen      = "open"
	ReasonHTTPS     = "require_https"
	ReasonAddress   = "allow_ips"
	ReasonUserAgent = "user_agent_secrets"
	ReasonPreflight = "preflight"
	ReasonPassed    = "access"
)

// Checker checks requests against the access rules of endpoints. Safe for concurrent use. Create with NewChecker.
type Checker struct {
	trusted atomic.Pointer[iprange.Prefixes]
	sources *iprange.Sources
}

// NewChecker returns a Checker that believes what the trusted proxies say about their clients, and finds
// Access.AllowSources in sources.
func NewChecker(trusted iprange.Prefixes, sources *iprange.Sources) *Checker {
	c := &Checker{sources: sources}
	c.Trust(trusted)
	return c
}

// Trust puts another set of trusted proxies in force.
func (c *Checker) Trust(proxies iprange.Prefixes) { c.trusted.Store(&proxies) }

// Check decides whether the request may play an endpoint with these rules, in a fixed order: require_https, then
// allow_ips and allow_sources together (any of them is enough), then user_agent_secrets. All that are set must hold.
// Refusals match auth.ErrDenied (403), for HEAD and OPTIONS as for GET.
//
// A CORS preflight is not asked for the secret: it carries no media, and what it answers is the same for everybody. A
// browser cannot set User-Agent, so that a player that is allowed to reach the origin directly would otherwise never
// learn why. The other rules hold for it.
func (c *Checker) Check(r *http.Request, a channel.Access) auth.Decision {
	if a.Empty() {
		return auth.Allow(ReasonOpen)
	}
	if a.RequireHTTPS && !c.Secure(r) {
		return auth.Deny(ReasonHTTPS)
	}
	if (len(a.AllowIPs) > 0 || len(a.AllowSources) > 0) && !c.allowed(r, a) {
		return auth.Deny(ReasonAddress)
	}
	if len(a.UserAgentSecrets) > 0 {
		if preflight(r) {
			return auth.Allow(ReasonPreflight)
		}
		if !auth.MatchAny(r.Header.Get("User-Agent"), a.UserAgentSecrets) {
			return auth.Deny(ReasonUserAgent)
		}
	}
	return auth.Allow(ReasonPassed)
}

// allowed reports whether the client's address is known and in one of the lists.
func (c *Checker) allowed(r *http.Request, a channel.Access) bool {
	client, ok := c.Client(r)
	if !ok {
		return false
	}
	return slices.ContainsFunc(a.AllowIPs, func(p netip.Prefix) bool { return p.Contains(client) }) ||
		c.sources.Contains(client, a.AllowSources...)
}

// preflight reports whether the request is a CORS preflight (Fetch standard, "CORS-preflight request").
func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}

// Secure reports whether the request came over TLS: to us, or by the word of a trusted proxy to the outermost one.
func (c *Checker) Secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	if peer, ok := peer(r); !ok || !c.trusted.Load().Contains(peer) {
		return false
	}
	values := r.Header.Values("X-Forwarded-Proto")
	if len(values) == 0 {
		return false
	}
	// Proxies that append make a list; every hop must have been secure.
	for _, hop := range strings.Split(strings.Join(values, ","), ",") {
		if !strings.EqualFold(strings.TrimSpace(hop), "https") {
			return false
		}
	}
	return true
}

// Client returns the address of whoever sent the request: the TCP peer, or when that is a trusted proxy, the first
// address from the right of X-Forwarded-For that is not one. ok is false when it cannot be known: a trusted proxy sent
// something that is no address, so nothing left of it can be believed either. When all of the list are trusted proxies
// the leftmost is the client.
func (c *Checker) Client(r *http.Request) (client netip.Addr, ok bool) {
	client, ok = peer(r)
	if !ok {
		return netip.Addr{}, false
	}
	trusted := c.trusted.Load()
	if !trusted.Contains(client) {
		return client, true
	}
	values := r.Header.Values("X-Forwarded-For")
	for i := len(values) - 1; i >= 0; i-- {
		for rest, more := values[i], true; more; {
			var hop string
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				rest, hop = rest[:at], rest[at+1:]
			} else {
				hop, more = rest, false
			}
			if client, ok = parseHop(hop); !ok {
				return netip.Addr{}, false
			}
			if !trusted.Contains(client) {
				return client, true
			}
		}
	}
	return client, true
}

// peer returns the address of the TCP peer.
func peer(r *http.Request) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	return ap.Addr().Unmap().WithZone(""), true
}

// parseHop parses one element of X-Forwarded-For: an address, which some proxies write with a port.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	a, err := netip.ParseAddr(s)
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = ap.Addr()
	}
	return a.Unmap().WithZone(""), true
}
