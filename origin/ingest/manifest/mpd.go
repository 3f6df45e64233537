package manifest

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// MPD is a DASH manifest (ISO/IEC 23009-1).
type MPD struct {
	Static            bool      // type="static": the presentation is over
	AvailabilityStart time.Time // zero when not given
	Representations   []Representation
}

// Representation is one track as the MPD names it.
type Representation struct {
	ID            string
	AdaptationSet string // its id, or its position counted from 0 in its period
	Kind          string // Video, Audio, Text or "" when the MPD does not tell
	Language      string // BCP 47
	Codecs        string
	Bandwidth     int    // bit/s
	Init          string // name of the initialization segment relative to the MPD, "" when there is none

	media  *regexp.Regexp  // of the media template, base included
	listed map[string]bool // of a SegmentList
}

// Media reports whether name, relative to the MPD, is a media segment of r.
func (r *Representation) Media(name string) bool {
	return r.listed[name] || r.media != nil && r.media.MatchString(name)
}

// The parts of an MPD that are read. Attributes of SegmentTemplate are inherited one by one (5.3.9.1).
type (
	mpdXML struct {
		XMLName xml.Name
		Type    string      `xml:"type,attr"`
		Start   string      `xml:"availabilityStartTime,attr"`
		Base    []string    `xml:"BaseURL"`
		Period  []periodXML `xml:"Period"`
	}
	periodXML struct {
		Base     []string     `xml:"BaseURL"`
		Template *templateXML `xml:"SegmentTemplate"`
		List     *listXML     `xml:"SegmentList"`
		Set      []setXML     `xml:"AdaptationSet"`
	}
	setXML struct {
		ID       string       `xml:"id,attr"`
		Type     string       `xml:"contentType,attr"`
		Mime     string       `xml:"mimeType,attr"`
		Codecs   string       `xml:"codecs,attr"`
		Lang     string       `xml:"lang,attr"`
		Base     []string     `xml:"BaseURL"`
		Template *templateXML `xml:"SegmentTemplate"`
		List     *listXML     `xml:"SegmentList"`
		Rep      []repXML     `xml:"Representation"`
	}
	repXML struct {
		ID        string       `xml:"id,attr"`
		Mime      string       `xml:"mimeType,attr"`
		Codecs    string       `xml:"codecs,attr"`
		Bandwidth string       `xml:"bandwidth,attr"`
		Base      []string     `xml:"BaseURL"`
		Template  *templateXML `xml:"SegmentTemplate"`
		List      *listXML     `xml:"SegmentList"`
	}
	templateXML struct {
		Init  string `xml:"initialization,attr"`
		Media string `xml:"media,attr"`
	}
	listXML struct {
		Init struct {
			Source string `xml:"sourceURL,attr"`
		} `xml:"Initialization"`
		Segment []struct {
			Media string `xml:"media,attr"`
		} `xml:"SegmentURL"`
	}
)

// maxRepresentations bounds what one MPD may list.
const maxRepresentations = 500

// ParseMPD parses an uncompressed MPD. It returns ErrMalformed or ErrTooLarge.
func ParseMPD(b []byte) (*MPD, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: MPD of %d bytes", ErrTooLarge, len(b))
	}
	var doc mpdXML
	if err := xml.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("%w: MPD: %w", ErrMalformed, err)
	}
	if doc.XMLName.Local != "MPD" {
		return nil, fmt.Errorf("%w: root element %q", ErrMalformed, doc.XMLName.Local)
	}
	out := &MPD{Static: doc.Type == "static" || doc.Type == ""} // the default of @type
	if doc.Start != "" {
		t, err := parseDateTime(doc.Start)
		if err != nil {
			return nil, fmt.Errorf("%w: availabilityStartTime %q", ErrMalformed, doc.Start)
		}
		out.AvailabilityStart = t
	}
	for _, p := range doc.Period {
		for i, set := range p.Set {
			for _, rep := range set.Rep {
				if len(out.Representations) == maxRepresentations {
					return nil, fmt.Errorf("%w: more than %d representations", ErrTooLarge, maxRepresentations)
				}
				r, err := doc.representation(&p, &set, &rep, i)
				if err != nil {
					return nil, err
				}
				out.Representations = append(out.Representations, r)
			}
		}
	}
	return out, nil
}

func (doc *mpdXML) representation(p *periodXML, set *setXML, rep *repXML, i int) (Representation, error) {
	r := Representation{ID: rep.ID, AdaptationSet: set.ID, Language: set.Lang, Codecs: rep.Codecs}
	if r.AdaptationSet == "" {
		r.AdaptationSet = strconv.Itoa(i)
	}
	if r.Codecs == "" {
		r.Codecs = set.Codecs
	}
	if rep.Bandwidth != "" {
		n, err := strconv.ParseInt(rep.Bandwidth, 10, 32)
		if err != nil || n < 0 {
			return r, fmt.Errorf("%w: bandwidth %q", ErrMalformed, rep.Bandwidth)
		}
		r.Bandwidth = int(n)
	}
	r.Kind = kindOf(set.Type, rep.Mime, set.Mime, r.Codecs)
	base := ""
	for _, list := range [][]string{doc.Base, p.Base, set.Base, rep.Base} {
		if len(list) > 0 {
			base = resolve(Base(base), strings.TrimSpace(list[0]))
		}
	}
	base = Base(base)
	var t templateXML
	var l *listXML
	for _, level := range []*templateXML{p.Template, set.Template, rep.Template} {
		if level != nil {
			if level.Init != "" {
				t.Init = level.Init
			}
			if level.Media != "" {
				t.Media = level.Media
			}
		}
	}
	for _, level := range []*listXML{p.List, set.List, rep.List} {
		if level != nil {
			l = level
		}
	}
	if err := r.named(base, t); err != nil {
		return r, err
	}
	if l != nil {
		if l.Init.Source != "" {
			r.Init = resolve(base, l.Init.Source)
		}
		r.listed = make(map[string]bool, len(l.Segment))
		for _, s := range l.Segment {
			if s.Media != "" {
				r.listed[resolve(base, s.Media)] = true
			}
		}
	}
	return r, nil
}

// named expands the templates of r.
func (r *Representation) named(base string, t templateXML) error {
	if name := resolve(base, t.Init); name != "" {
		name, err := r.expand(name, func(s string) string { return s }, false)
		if err != nil {
			return err
		}
		r.Init = name
	}
	if name := resolve(base, t.Media); name != "" {
		pattern, err := r.expand(name, regexp.QuoteMeta, true)
		if err != nil {
			return err
		}
		if r.media, err = regexp.Compile("^" + pattern + "$"); err != nil {
			return fmt.Errorf("%w: template %q: %w", ErrMalformed, t.Media, err)
		}
	}
	return nil
}

// maxTemplate is the longest template that is expanded, bytes.
const maxTemplate = 512

// maxNumbers bounds the numbers in a template: each makes the matcher larger.
const maxNumbers = 4

// expand replaces the identifiers of a template (5.3.9.4.4). Literal text goes through quote; with number,
// $Number$, $Time$ and $SubNumber$ become patterns, without they are an error.
func (r *Representation) expand(template string, quote func(string) string, number bool) (string, error) {
	if len(template) > maxTemplate {
		return "", fmt.Errorf("%w: template of %d bytes", ErrMalformed, len(template))
	}
	var b strings.Builder
	numbers := 0
	for {
		before, rest, found := strings.Cut(template, "$")
		b.WriteString(quote(before))
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "$")
		if !closed {
			return "", fmt.Errorf("%w: template ends in %q", ErrMalformed, "$"+name)
		}
		template = after
		name, format, formatted := strings.Cut(name, "%")
		width := 0
		if formatted {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(format, "0"), "d"))
			if err != nil || n < 1 || n > 20 || !strings.HasSuffix(format, "d") {
				return "", fmt.Errorf("%w: template format %q", ErrMalformed, "%"+format)
			}
			width = n
		}
		switch {
		case name == "" && !formatted:
			b.WriteString(quote("$"))
		case name == "RepresentationID" && !formatted:
			b.WriteString(quote(r.ID))
		case name == "Bandwidth":
			b.WriteString(quote(fmt.Sprintf("%0*d", width, r.Bandwidth)))
		case number && numbers == maxNumbers:
			return "", fmt.Errorf("%w: template with more than %d numbers", ErrMalformed, maxNumbers)
		case number && (name == "Number" || name == "SubNumber"):
			numbers++
			fmt.Fprintf(&b, "[0-9]{%d,20}", max(width, 1))
		case number && name == "Time":
			numbers++
			fmt.Fprintf(&b, "-?[0-9]{%d,20}", max(width, 1))
		default:
			return "", fmt.Errorf("%w: template identifier %q", ErrMalformed, "$"+name+"$")
		}
	}
}

func kindOf(contentType, repMime, setMime, codecs string) string {
	mime := repMime
	if mime == "" {
		mime = setMime
	}
	for _, s := range []string{contentType, mime} {
		top, _, _ := strings.Cut(s, "/")
		switch top {
		case Video, Audio, Text:
			return top
		}
	}
	if strings.HasPrefix(codecs, "stpp") || strings.HasPrefix(codecs, "wvtt") {
		return Text
	}
	return ""
}

// parseDateTime parses an xs:dateTime; without a zone it is UTC (5.3.1.2).
func parseDateTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05.999999999", s)
	}
	return t.UTC(), err
}
