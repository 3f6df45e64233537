package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// named expands the templates of r.
func (r *Representation) named(base string, t templateXML) error {
	if name := resolve(base, t.Init); name != "" {
		p, err := r.expand(name, false)
		if err != nil {
			return err
		}
		r.Init = p.first
	}
	var err error
	if name := resolve(base, t.Media); name != "" {
		r.media, err = r.expand(name, true)
	}
	return err
}

// pattern is a template whose numbers are still open. The zero pattern matches nothing.
type pattern struct {
	first string // what names begin with
	rest  []number
}

// number is a place for a decimal number in a pattern, and the text that follows it.
type number struct {
	digits int  // at least
	signed bool // it may begin with a minus
	text   string
}

func (p pattern) size() int {
	size := len(p.first)
	for _, n := range p.rest {
		size += 32 + len(n.text)
	}
	return size
}

// maxDigits are those of the largest number of 64 bits.
const maxDigits = 20

// match reports whether name is one that the template makes. Its time grows with the length of the name alone.
func (p pattern) match(name string) bool {
	if p.first == "" && len(p.rest) == 0 || !strings.HasPrefix(name, p.first) {
		return false
	}
	at := []int{len(p.first)} // where what follows may begin, in order
	for _, n := range p.rest {
		var next []int
		for _, i := range at {
			next = n.after(name, i, next)
		}
		slices.Sort(next)
		at = slices.Compact(next)
	}
	return len(at) > 0 && at[len(at)-1] == len(name)
}

// after appends to ends where n, beginning at i, may end.
func (n number) after(name string, i int, ends []int) []int {
	if n.signed && i < len(name) && name[i] == '-' {
		i++
	}
	for k := 1; k <= maxDigits && i+k <= len(name) && name[i+k-1] >= '0' && name[i+k-1] <= '9'; k++ {
		if k >= n.digits && strings.HasPrefix(name[i+k:], n.text) {
			ends = append(ends, i+k+len(n.text))
		}
	}
	return ends
}

// Bounds of a template.
const (
	maxTemplate = 512  // bytes
	maxExpanded = 1024 // bytes without its numbers; no name of an upload is as long
	maxNumbers  = 4    // numbers, which real templates have one or two of
)

// expand replaces the identifiers of a template (5.3.9.4.4). With open, $Number$, $Time$ and $SubNumber$ stay open, without
// they are an error.
func (r *Representation) expand(template string, open bool) (p pattern, err error) {
	if len(template) > maxTemplate {
		return p, fmt.Errorf("%w: template of %d bytes", ErrMalformed, len(template))
	}
	size := 0
	add := func(s string) {
		if size += len(s); size > maxExpanded {
			return
		}
		if n := len(p.rest); n > 0 {
			p.rest[n-1].text += s
		} else {
			p.first += s
		}
	}
	for {
		before, rest, found := strings.Cut(template, "$")
		add(before)
		if size > maxExpanded {
			return p, fmt.Errorf("%w: template of more than %d bytes with its identifiers", ErrMalformed, maxExpanded)
		}
		if !found {
			return p, nil
		}
		name, after, closed := strings.Cut(rest, "$")
		if !closed {
			return p, fmt.Errorf("%w: template ends in %q", ErrMalformed, "$"+name)
		}
		template = after
		name, width, err := identifier(name)
		if err != nil {
			return p, err
		}
		switch {
		case name == "" && width == 0:
			add("$")
		case name == "RepresentationID" && width == 0:
			add(r.ID)
		case name == "Bandwidth":
			add(fmt.Sprintf("%0*d", width, r.Bandwidth))
		case open && len(p.rest) == maxNumbers:
			return p, fmt.Errorf("%w: template with more than %d numbers", ErrMalformed, maxNumbers)
		case open && (name == "Number" || name == "SubNumber" || name == "Time"):
			p.rest = append(p.rest, number{digits: max(width, 1), signed: name == "Time"})
		default:
			return p, fmt.Errorf("%w: template identifier %q", ErrMalformed, "$"+name+"$")
		}
	}
}

// identifier takes apart what stands between two dollars. width is 0 when no format is given.
func identifier(s string) (name string, width int, err error) {
	name, format, formatted := strings.Cut(s, "%")
	if !formatted {
		return name, 0, nil
	}
	width, err = strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(format, "0"), "d"))
	if err != nil || width < 1 || width > maxDigits || !strings.HasSuffix(format, "d") {
		return "", 0, fmt.Errorf("%w: template format %q", ErrMalformed, "%"+format)
	}
	return name, width, nil
}
