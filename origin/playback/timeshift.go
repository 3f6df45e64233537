package playback

import (
	"fmt"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"headwater/origin/timeline"
)

// shift is a time-shifted request: the parameters start, end and m in either form (reference mediapackage.md 2d).
type shift struct {
	start, end time.Time
	name       string // of the resource, without the path form
	base       string // leads from the resource back to the endpoint's root
	query      string // start, end and m as children of a manifest carry them
	m          string // as media URLs carry it
}

// parseShift reads a resource name and its query. The path form is start/{t}/end/{t}/ in front of the name, either pair
// alone allowed; it wins over the query. Error: timeline.ErrBadWindow.
func parseShift(rest string, q url.Values) (s shift, err error) {
	s.name = rest
	given := map[string]string{}
	for {
		key, after, ok := strings.Cut(s.name, "/")
		if !ok || key != "start" && key != "end" || given[key] != "" {
			break
		}
		value, after, ok := strings.Cut(after, "/")
		if !ok {
			break
		}
		given[key], s.name = value, after
		s.base += "../../"
	}
	if strings.Contains(s.name, "/") && s.base != "" {
		s.base = "../" + s.base // {manifest}.ism/Manifest is one folder deeper
	}
	carried := url.Values{}
	for _, key := range []string{"start", "end", "m"} {
		values := q[key]
		if len(values) == 0 || values[0] == "" {
			continue
		}
		if len(values) > 1 {
			return s, fmt.Errorf("%w: %s is given %d times", timeline.ErrBadWindow, key, len(values))
		}
		if key == "m" {
			s.m = "m=" + url.QueryEscape(values[0])
		} else if given[key] == "" {
			given[key] = values[0]
		} else {
			continue
		}
		carried.Set(key, values[0])
	}
	s.query = encode(carried)
	if s.start, err = parseTime("start", given["start"]); err == nil {
		s.end, err = parseTime("end", given["end"])
	}
	return s, err
}

// encode writes a query in alphabetical order, as MediaPackage copies it to child manifests.
func encode(v url.Values) string {
	keys := make([]string, 0, len(v))
	for k := range v {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(k + "=" + url.QueryEscape(v.Get(k)))
	}
	return b.String()
}

// layouts of ISO 8601 times with an offset. A '+' that was not escaped in a query arrives as a space.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "20060102T150405.999999999Z07:00",
	"20060102T150405.999999999Z0700", "2006-01-02T15:04Z07:00"}

// parseTime reads an ISO 8601 time with offset or Z, or epoch seconds with an optional fraction; "" is the zero Time.
func parseTime(name, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if sec, frac, _ := strings.Cut(s, "."); len(sec) <= 11 && strings.Trim(sec+frac, "0123456789") == "" && sec != "" {
		n, err := strconv.ParseInt(sec, 10, 64)
		ns, err2 := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
		if err == nil && err2 == nil && n > 0 {
			return time.Unix(n, ns).UTC(), nil
		}
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, strings.ReplaceAll(s, " ", "+")); err == nil && t.Unix() > 0 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: %s is not an ISO 8601 time with offset or Z, nor epoch seconds", timeline.ErrBadWindow, name)
}
