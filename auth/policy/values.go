package policy

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// arnParts is how many parts an ARN has, joined by colons: arn, partition, service, region, account, resource.
const arnParts = 6

// Errors of a value that its operator can never match.
var (
	errNumber  = errors.New("not a number")
	errDate    = errors.New("not a date: write 2026-01-31, 2026-01-31T12:00:00Z or seconds since 1970")
	errBool    = errors.New(`not "true" or "false"`)
	errBase64  = errors.New("not base64")
	errAddress = errors.New("not an address or CIDR range")
	errARN     = errors.New("not an ARN of six parts")
)

// parseAll parses each of texts. The error names the first that cannot be.
func parseAll[T any](texts []string, parse func(string) (T, error)) ([]T, error) {
	all := make([]T, 0, len(texts))
	for _, s := range texts {
		v, err := parse(s)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", shorten(s), err)
		}
		all = append(all, v)
	}
	return all, nil
}

// patterns is the test of the String and Bool operators.
type patterns []pattern

func (ps patterns) any(given string, c Context) bool {
	for i := range ps {
		if ps[i].match(given, c) {
			return true
		}
	}
	return false
}

func (ps patterns) variables() []string {
	var keys []string
	for i := range ps {
		keys = append(keys, ps[i].variables()...)
	}
	return keys
}

// secrets is the test of a String operator with a key that holds a shared secret. The hashes of all values are compared,
// as auth.MatchAny does it: neither which one matched nor how much of one was right can be measured. Unlike there an
// empty value is a value, and values with wildcards or variables, which cannot be hashed, are compared after them.
type secrets struct {
	sums [][sha256.Size]byte
	rest patterns
}

// usualSecretBytes is the length up to which a User-Agent or Referer is compared without allocation: those of browsers are
// about 150 bytes long.
const usualSecretBytes = 256

func (s *secrets) any(given string, c Context) bool {
	var buf [usualSecretBytes]byte
	sum := sha256.Sum256(append(buf[:0], given...))
	found := 0
	for i := range s.sums {
		found |= subtle.ConstantTimeCompare(sum[:], s.sums[i][:])
	}
	return s.rest.any(given, c) || found == 1
}

func (s *secrets) variables() []string { return s.rest.variables() }

func exactly(values []string, u usage) (test, error) {
	return texts(values, syntax{variables: u.variables}, u.secret)
}

func ignoringCase(values []string, u usage) (test, error) {
	return texts(values, syntax{variables: u.variables, fold: true}, u.secret)
}

func like(values []string, u usage) (test, error) {
	return texts(values, syntax{variables: u.variables, wildcards: true}, u.secret)
}

// texts compiles values. Its errors hold none of them.
func texts(values []string, x syntax, secret bool) (test, error) {
	var all secrets
	for _, v := range values {
		p, err := compile(v, x)
		if err != nil {
			return nil, err
		}
		if text, ok := p.constant(); ok && secret {
			all.sums = append(all.sums, sha256.Sum256([]byte(text)))
			continue
		}
		all.rest = append(all.rest, p)
	}
	if secret {
		return &all, nil
	}
	return all.rest, nil
}

func boolean(values []string, u usage) (test, error) {
	all, err := parseAll(values, func(s string) (pattern, error) {
		p, err := compile(s, syntax{variables: u.variables, fold: true})
		if err == nil && p.variables() == nil && !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false") {
			err = errBool
		}
		return p, err
	})
	return patterns(all), err
}

// comparison is the test of the operators on what has an order. What the request has may be no such value; it matches
// nothing then.
type comparison[T any] struct {
	parse   func(string) (T, error)
	compare func(given, value T) int
	holds   func(order int) bool
	values  []T
}

func (t *comparison[T]) any(given string, _ Context) bool {
	g, err := t.parse(given)
	if err != nil {
		return false
	}
	for _, v := range t.values {
		if t.holds(t.compare(g, v)) {
			return true
		}
	}
	return false
}

func equal(order int) bool          { return order == 0 }
func less(order int) bool           { return order < 0 }
func lessOrEqual(order int) bool    { return order <= 0 }
func greater(order int) bool        { return order > 0 }
func greaterOrEqual(order int) bool { return order >= 0 }

func numeric(holds func(int) bool) func([]string, usage) (test, error) {
	return func(values []string, _ usage) (test, error) {
		all, err := parseAll(values, parseNumber)
		return &comparison[float64]{parseNumber, cmp.Compare[float64], holds, all}, err
	}
}

func date(holds func(int) bool) func([]string, usage) (test, error) {
	return func(values []string, _ usage) (test, error) {
		all, err := parseAll(values, parseDate)
		return &comparison[time.Time]{parseDate, time.Time.Compare, holds, all}, err
	}
}

// parseNumber parses a decimal number, as JSON has them. It is as exact as float64. Errors: errNumber.
func parseNumber(s string) (float64, error) {
	if strings.Trim(s, "0123456789+-.eE") != "" { // neither hexadecimal, nor "_", nor "Inf"
		return 0, errNumber
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, errNumber
	}
	return f, nil
}

// dateLayouts are the forms of ISO 8601 that W3C's note on dates lists, of which IAM speaks, with hours in a named zone.
// Seconds may have a fraction. A year alone is left out: it reads like seconds since 1970.
var dateLayouts = [...]string{time.RFC3339, "2006-01-02", "2006-01", "2006-01-02T15:04Z07:00"}

// maxEpochDigits keeps seconds since 1970 within the years that time.Time can tell apart.
const maxEpochDigits = 12

// parseDate parses an instant. Errors: errDate.
func parseDate(s string) (time.Time, error) {
	if s != "" && strings.Trim(s, "0123456789") == "" {
		seconds, err := strconv.ParseInt(s, 10, 64)
		if err != nil || len(s) == len("2006") || len(s) > maxEpochDigits {
			return time.Time{}, errDate
		}
		return time.Unix(seconds, 0), nil
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errDate
}

// binaries is the test of BinaryEquals. Both sides are base64.
type binaries [][]byte

func binary(values []string, _ usage) (test, error) {
	all, err := parseAll(values, parseBase64)
	return binaries(all), err
}

func (t binaries) any(given string, _ Context) bool {
	g, err := parseBase64(given)
	if err != nil {
		return false
	}
	for _, v := range t {
		if bytes.Equal(g, v) {
			return true
		}
	}
	return false
}

func parseBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errBase64
	}
	return b, nil
}

// addresses is the test of IpAddress and NotIpAddress.
type addresses []netip.Prefix

func address(values []string, _ usage) (test, error) {
	all, err := parseAll(values, parsePrefix)
	return addresses(all), err
}

func (t addresses) any(given string, _ Context) bool {
	a, err := netip.ParseAddr(given)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	for _, p := range t {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parsePrefix parses a range, or an address, which means only itself. Unlike the server's own lists, which refuse bits
// beyond the prefix's length, it disregards them, as IAM does: policies are brought along from there. IPv4-mapped IPv6
// means IPv4. Errors: errAddress.
func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errAddress
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// arns is the test of the Arn operators: each part is matched for itself, so that "*" does not pass over a colon except
// in the last.
type arns [][arnParts]pattern

func arnLike(values []string, u usage) (test, error) {
	all, err := parseAll(values, func(s string) (a [arnParts]pattern, err error) {
		parts, ok := splitARN(s)
		if !ok {
			return a, errARN
		}
		for i := range a {
			if a[i], err = compile(parts[i], syntax{wildcards: true, variables: u.variables}); err != nil {
				return a, err
			}
		}
		return a, nil
	})
	return arns(all), err
}

// splitARN splits a pattern at the first five colons outside ${...}.
func splitARN(s string) (parts [arnParts]string, ok bool) {
	n, start := 0, 0
	for i := 0; i < len(s) && n < arnParts-1; i++ {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return parts, false
			}
			i += end
		case s[i] == ':':
			parts[n] = s[start:i]
			n, start = n+1, i+1
		}
	}
	parts[n] = s[start:]
	return parts, n == arnParts-1 && parts[0] == "arn"
}

func (t arns) any(given string, c Context) bool {
	for i := range t {
		if matchARN(&t[i], given, c) {
			return true
		}
	}
	return false
}

func matchARN(a *[arnParts]pattern, given string, c Context) bool {
	for i := range arnParts - 1 {
		part, rest, ok := strings.Cut(given, ":")
		if !ok || !a[i].match(part, c) {
			return false
		}
		given = rest
	}
	return a[arnParts-1].match(given, c)
}

func (t arns) variables() []string {
	var keys []string
	for i := range t {
		for j := range t[i] {
			keys = append(keys, t[i][j].variables()...)
		}
	}
	return keys
}
