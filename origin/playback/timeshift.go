package playback

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"headwater/origin/timeline"
)

// shift is a time-shifted request: the parameters start, end and m in either form (reference mediapackage.md 2d). It is
// comparable.
type shift struct {
	start, end time.Time // UTC; zero when not given
	name       string    // of the resource, without the path form
	base       string    // leads from the resource back to the endpoint's root
	query      string    // start, end and m as children of a manifest carry them
	m          string    // as media URLs carry it
}

// shifted reports whether a window in time is asked for.
func (s *shift) shifted() bool { return !s.start.IsZero() || !s.end.IsZero() }

// maxM is the longest value of m in bytes: it is copied to every URL of a manifest.
const maxM = 64

// parseShift reads a resource name and its query. The path form is start/{t}/end/{t}/ in front of the name, either pair
// alone allowed; it wins over the query. Error: timeline.ErrBadWindow.
func parseShift(rest string, q url.Values) (s shift, err error) {
	start, end := "", ""
	rest, ups := cutPair(rest, &start, &end)
	s.name = rest
	if ups > 0 {
		s.base = strings.Repeat("../", ups+strings.Count(rest, "/")) // {manifest}.ism/Manifest is one folder deeper
	}
	if len(q) == 0 && ups == 0 {
		return s, nil
	}
	var query strings.Builder
	carry := func(key, value string) {
		if query.Len() > 0 {
			query.WriteByte('&')
		}
		query.WriteString(key + "=" + url.QueryEscape(value))
	}
	for _, p := range [...]struct { // alphabetical, as MediaPackage copies them to child manifests
		key   string
		value *string
	}{{"end", &end}, {"m", nil}, {"start", &start}} {
		values := q[p.key]
		switch {
		case len(values) == 0 || values[0] == "":
		case p.value == nil:
			if len(values[0]) > maxM {
				return s, fmt.Errorf("%w: m is longer than %d bytes", timeline.ErrBadWindow, maxM)
			}
			s.m = "m=" + url.QueryEscape(values[0])
			carry(p.key, values[0])
		case len(values) > 1:
			return s, fmt.Errorf("%w: %s is given %d times", timeline.ErrBadWindow, p.key, len(values))
		case *p.value == "":
			*p.value = values[0]
			carry(p.key, values[0])
		}
	}
	s.query = query.String()
	if s.start, err = parseTime("start", start); err == nil {
		s.end, err = parseTime("end", end)
	}
	return s, err
}

// cutPair takes the path form from the front of rest. ups is how many folders it is deep.
func cutPair(rest string, start, end *string) (name string, ups int) {
	for {
		var into *string
		after, ok := strings.CutPrefix(rest, "start/")
		if into = start; !ok {
			after, ok = strings.CutPrefix(rest, "end/")
			into = end
		}
		value, after, found := strings.Cut(after, "/")
		if !ok || !found || value == "" || *into != "" {
			return rest, ups
		}
		*into, rest = value, after
		ups += 2
	}
}

// latest is the latest time that can be asked for, in seconds since the epoch: the year 2200. Nanoseconds end in 2262.
const latest = 7_258_118_400

// parseTime reads an ISO 8601 time with offset or Z, or epoch seconds with an optional fraction; "" is the zero Time.
func parseTime(name, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, ok := epochSeconds(s)
	if !ok {
		t, ok = iso8601(s)
	}
	if !ok || t.Unix() <= 0 || t.Unix() > latest {
		return time.Time{}, fmt.Errorf("%w: %s is not an ISO 8601 time with offset or Z, nor epoch seconds", timeline.ErrBadWindow, name)
	}
	return t.UTC(), nil
}

func epochSeconds(s string) (t time.Time, ok bool) {
	sec, frac, _ := strings.Cut(s, ".")
	if sec == "" || len(sec) > 11 || strings.Trim(sec+frac, "0123456789") != "" {
		return t, false
	}
	n, err := strconv.ParseInt(sec, 10, 64)
	ns, err2 := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
	return time.Unix(n, ns), err == nil && err2 == nil
}

// iso8601 reads extended and basic form. A '+' that was not escaped in a query arrives as a space.
func iso8601(s string) (t time.Time, ok bool) {
	if len(s) > 64 {
		return t, false
	}
	s = strings.ReplaceAll(s, " ", "+")
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999Z07",
		"20060102T150405.999999999Z07:00", "20060102T150405.999999999Z0700", "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return t, false
}
