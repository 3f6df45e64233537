package iprange

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Bounds of a file of ranges. The ip-ranges.json of AWS has about 2 MB and 12,000 prefixes.
const (
	MaxFileBytes = 16 << 20
	MaxPrefixes  = 200_000
)

// ErrEmpty means that a file is well formed but holds no range, or none of the wanted services. Using it would shut
// everybody out.
var ErrEmpty = errors.New("no address range found")

// document is the part of ip-ranges.json that is used.
// Source: the AWS documentation "AWS IP address ranges", syntax of the JSON file.
type document struct {
	Prefixes []struct {
		Prefix  string `json:"ip_prefix"`
		Service string `json:"service"`
	} `json:"prefixes"`
	PrefixesV6 []struct {
		Prefix  string `json:"ipv6_prefix"`
		Service string `json:"service"`
	} `json:"ipv6_prefixes"`
}

// ParseAWS reads a document in the format of ip-ranges.json and returns the ranges of the given services, from both of
// its lists. Service names are compared without regard to case. Errors: ErrSyntax, ErrEmpty.
func ParseAWS(data []byte, services []string) (Prefixes, error) {
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return Prefixes{}, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if n := len(doc.Prefixes) + len(doc.PrefixesV6); n > MaxPrefixes {
		return Prefixes{}, fmt.Errorf("%w: %d prefixes, more than %d", ErrSyntax, n, MaxPrefixes)
	}
	wanted := func(service string) bool {
		return slices.ContainsFunc(services, func(s string) bool { return strings.EqualFold(s, service) })
	}
	var list []netip.Prefix
	add := func(text, service string) error {
		if !wanted(service) {
			return nil
		}
		p, err := ParsePrefix(text)
		if err != nil {
			return err
		}
		list = append(list, p)
		return nil
	}
	for _, p := range doc.Prefixes {
		if err := add(p.Prefix, p.Service); err != nil {
			return Prefixes{}, err
		}
	}
	for _, p := range doc.PrefixesV6 {
		if err := add(p.Prefix, p.Service); err != nil {
			return Prefixes{}, err
		}
	}
	if len(list) == 0 {
		return Prefixes{}, fmt.Errorf("%w for the services %s", ErrEmpty, strings.Join(services, ", "))
	}
	return New(list...), nil
}

// ParseList reads one address or prefix per line, the form in which other CDNs publish theirs. Empty lines and what
// follows '#' are skipped. Errors name the line and match ErrSyntax, or ErrEmpty.
func ParseList(data []byte) (Prefixes, error) {
	var list []netip.Prefix
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		p, err := ParsePrefix(line)
		if err != nil {
			return Prefixes{}, fmt.Errorf("line %d: %w", number, err)
		}
		if list = append(list, p); len(list) > MaxPrefixes {
			return Prefixes{}, fmt.Errorf("%w: more than %d prefixes", ErrSyntax, MaxPrefixes)
		}
	}
	if len(list) == 0 {
		return Prefixes{}, ErrEmpty
	}
	return New(list...), nil
}
