package container

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// CORSRule says which pages of other origins may do what (reference 3.3, 6). The names are those of the API.
type CORSRule struct {
	AllowedOrigins []string // scheme://host[:port] as browsers send it; one * in each
	AllowedMethods []string `json:",omitempty"` // of PUT, GET, DELETE, HEAD
	AllowedHeaders []string // one * in each
	ExposeHeaders  []string `json:",omitempty"`
	MaxAgeSeconds  int      `json:",omitempty"`
}

// Bounds of a CORS policy.
const (
	maxCORSRules  = 100
	maxCORSList   = 100
	maxCORSOrigin = 2048
	maxCORSHeader = 8192
	maxCORS       = 398_000 // characters of a policy
	maxCORSAge    = 1<<31 - 1
)

var corsMethods = []string{http.MethodPut, http.MethodGet, http.MethodDelete, http.MethodHead}

// checkCORS reports which rule a CORS policy breaks.
func checkCORS(rules []CORSRule) error {
	if len(rules) == 0 || len(rules) > maxCORSRules {
		return fmt.Errorf("%w: a CORS policy has 1 to %d rules", ErrInvalid, maxCORSRules)
	}
	total := 0
	for i, r := range rules {
		if why := r.fault(); why != "" {
			return fmt.Errorf("%w: CORS rule %d: %s", ErrInvalid, i+1, why)
		}
		for _, list := range [][]string{r.AllowedOrigins, r.AllowedMethods, r.AllowedHeaders, r.ExposeHeaders} {
			for _, s := range list {
				total += len(s)
			}
		}
	}
	if total > maxCORS {
		return fmt.Errorf("%w: a CORS policy has at most %d characters", ErrInvalid, maxCORS)
	}
	return nil
}

func (r *CORSRule) fault() string {
	switch {
	case len(r.AllowedOrigins) == 0 || len(r.AllowedOrigins) > maxCORSList || !starred(r.AllowedOrigins, maxCORSOrigin):
		return fmt.Sprintf("AllowedOrigins are 1 to %d, of 1 to %d characters with at most one * each", maxCORSList, maxCORSOrigin)
	case len(r.AllowedMethods) == 0:
		return "AllowedMethods are needed: PUT, GET, DELETE, HEAD"
	case slices.ContainsFunc(r.AllowedMethods, func(m string) bool { return !slices.Contains(corsMethods, m) }):
		return "AllowedMethods are of PUT, GET, DELETE and HEAD"
	case len(r.AllowedHeaders) > maxCORSList || !starred(r.AllowedHeaders, maxCORSHeader):
		return fmt.Sprintf("AllowedHeaders are at most %d, of 1 to %d characters with at most one * each", maxCORSList, maxCORSHeader)
	case len(r.ExposeHeaders) > maxCORSList || !starred(r.ExposeHeaders, maxCORSHeader):
		return fmt.Sprintf("ExposeHeaders are at most %d, of 1 to %d characters", maxCORSList, maxCORSHeader)
	case r.MaxAgeSeconds < 0 || r.MaxAgeSeconds > maxCORSAge:
		return fmt.Sprintf("MaxAgeSeconds is from 0 to %d", maxCORSAge)
	}
	return ""
}

// starred reports whether each of a list is 1 to most printable ASCII characters with at most one *.
func starred(list []string, most int) bool {
	for _, s := range list {
		if s == "" || len(s) > most || strings.Count(s, "*") > 1 ||
			strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == ',' }) {
			return false
		}
	}
	return true
}

// AllowCORS sets the headers that a request from a page of another origin is answered with. preflight tells whether it is
// one that asks beforehand, and allowed whether a rule permits what it asks for. A request without Origin has no headers of
// this kind. The first rule that applies decides.
func (c *Container) AllowCORS(h http.Header, r *http.Request) (preflight, allowed bool) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false, false
	}
	method, asked := r.Method, r.Header.Get("Access-Control-Request-Method")
	if preflight = method == http.MethodOptions && asked != ""; preflight {
		method = asked
	}
	if len(c.CORS) > 0 {
		h.Add("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
	}
	for i := range c.CORS {
		rule := &c.CORS[i]
		star, ok := rule.origin(origin)
		if !ok || !slices.Contains(rule.AllowedMethods, method) {
			continue
		}
		var headers []string
		if preflight {
			if headers, ok = rule.headers(r.Header.Get("Access-Control-Request-Headers")); !ok {
				continue
			}
		}
		rule.allow(h, origin, star, preflight, headers)
		return preflight, true
	}
	return preflight, false
}

// origin reports whether the rule is for an origin, and whether for every one.
func (r *CORSRule) origin(origin string) (star, ok bool) {
	for _, pattern := range r.AllowedOrigins {
		if pattern == "*" {
			return true, true
		}
		ok = ok || wildcard(pattern, origin)
	}
	return false, ok
}

// headers returns those that a preflight asks for; ok is false when one is not allowed.
func (r *CORSRule) headers(asked string) (names []string, ok bool) {
	for name := range strings.SplitSeq(asked, ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name == "" {
			continue
		}
		if !slices.ContainsFunc(r.AllowedHeaders, func(p string) bool { return wildcard(strings.ToLower(p), name) }) {
			return nil, false
		}
		names = append(names, name)
	}
	return names, true
}

// allow writes the answer of a rule that applies.
func (r *CORSRule) allow(h http.Header, origin string, star, preflight bool, headers []string) {
	if star {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if len(r.ExposeHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(r.ExposeHeaders, ", "))
	}
	if !preflight {
		return
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(r.AllowedMethods, ", "))
	if len(headers) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(headers, ", "))
	}
	if r.MaxAgeSeconds > 0 {
		h.Set("Access-Control-Max-Age", fmt.Sprint(r.MaxAgeSeconds))
	}
}
