package manifest

import (
	"encoding/xml"
	"fmt"
	"slices"
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
	Main          bool   // its Role is main (ISO/IEC 23009-1 5.8.5.5)
	Label         string
	Purposes      []Descriptor // its Roles, and what it says of accessibility
	Codecs        string
	Bandwidth     int    // bit/s
	Init          string // name of the initialization segment relative to the MPD, "" when there is none

	media  pattern  // of the media template, base included
	listed []string // of a SegmentList: the newest
}

// Descriptor is a value of a scheme (ISO/IEC 23009-1 5.8.2).
type Descriptor struct{ Scheme, Value string }

// Media reports whether name, relative to the MPD, is a media segment of r.
func (r *Representation) Media(name string) bool {
	return slices.Contains(r.listed, name) || r.media.match(name)
}

// Lists reports whether name is a media file of a representation of m, in the form that Media takes.
func (m *MPD) Lists(name string) bool {
	return slices.ContainsFunc(m.Representations, func(r Representation) bool { return r.Media(name) })
}

// Size returns how many bytes of memory r takes, roughly.
func (r *Representation) Size() int {
	size := 256 + len(r.ID) + len(r.AdaptationSet) + len(r.Language) + len(r.Codecs) + len(r.Label) + len(r.Init) + r.media.size()
	for _, d := range r.Purposes {
		size += 32 + len(d.Scheme) + len(d.Value)
	}
	for _, name := range r.listed {
		size += 16 + len(name)
	}
	return size
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
		Label    []string     `xml:"Label"`
		Role     []roleXML    `xml:"Role"`
		Access   []roleXML    `xml:"Accessibility"`
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
	roleXML struct {
		Scheme string `xml:"schemeIdUri,attr"`
		Value  string `xml:"value,attr"`
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

// Bounds of what one MPD may list.
const (
	maxRepresentations = 500
	maxPurposes        = 16 // Roles of a set, and as many of accessibility
	maxListed          = 64 // names of a SegmentList: the newest, which are those still to be looked up
)

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
	r := Representation{ID: rep.ID, AdaptationSet: set.ID, Language: set.Lang, Codecs: rep.Codecs,
		Main: slices.Contains(set.Role, roleXML{"urn:mpeg:dash:role:2011", "main"})}
	if len(set.Label) > 0 {
		r.Label = strings.TrimSpace(set.Label[0])
	}
	for _, list := range [][]roleXML{set.Role, set.Access} {
		for _, d := range list[:min(len(list), maxPurposes)] {
			r.Purposes = append(r.Purposes, Descriptor(d))
		}
	}
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
		for _, s := range l.Segment[max(0, len(l.Segment)-maxListed):] {
			if name := resolve(base, s.Media); name != "" && len(name) <= maxExpanded {
				r.listed = append(r.listed, name)
			}
		}
	}
	return r, nil
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
