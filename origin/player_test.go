package origin

import (
	"encoding/xml"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/smooth"
)

// listing is what a player makes of a manifest: the same for every format.
type listing struct {
	state    string // live, event or vod
	tracks   []listed
	answers  map[string]*httptest.ResponseRecorder // of manifests, by URL
	sequence int64                                 // HLS: of the first playlist
}

// listed is one track with its segments in order.
type listed struct {
	kind     string
	inits    []string // URLs
	segments []segmentURL
	missing  int // EXT-X-GAP
}

type segmentURL struct {
	url        string
	start, end time.Time
}

func (l *listing) video() listed { return l.tracks[0] }

// first and last are the bounds of what the first track lists.
func (l *listing) first() time.Time { return l.video().segments[0].start }
func (l *listing) last() time.Time {
	return l.video().segments[len(l.video().segments)-1].end
}

// play reads a manifest, and its children, as a player does. On another status than 200 the listing is nil.
func (g *rig) play(rawURL string, header ...string) (*listing, *httptest.ResponseRecorder) {
	g.tb.Helper()
	l := &listing{answers: map[string]*httptest.ResponseRecorder{}}
	w := g.get(rawURL, header...)
	if w.Code != 200 {
		return nil, w
	}
	l.answers[rawURL] = w
	base, err := url.Parse(rawURL)
	require.NoError(g.tb, err)
	switch {
	case strings.HasSuffix(base.Path, ".m3u8"):
		l.multivariant(g, base, w.Body.String(), header)
	case strings.HasSuffix(base.Path, ".mpd"):
		l.mpd(g, base, w.Body.Bytes())
	default:
		l.smooth(g, base, w.Body.Bytes())
	}
	return l, w
}

func resolve(g *rig, base *url.URL, ref string) string {
	g.tb.Helper()
	u, err := url.Parse(ref)
	require.NoError(g.tb, err)
	return base.ResolveReference(u).String()
}

func attribute(line, name string) string {
	_, rest, ok := strings.Cut(line, name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func (l *listing) multivariant(g *rig, base *url.URL, text string, header []string) {
	g.tb.Helper()
	var children []string
	var audio []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#EXT-X-MEDIA:"):
			audio = append(audio, resolve(g, base, attribute(line, "URI")))
		case line != "" && line[0] != '#':
			children = append(children, resolve(g, base, line))
		}
	}
	for i, u := range append(children, audio...) {
		w := g.get(u, header...)
		require.Equal(g.tb, 200, w.Code, "%s: %s", u, w.Body)
		l.answers[u] = w
		t := listed{kind: "video"}
		if i >= len(children) {
			t.kind = "audio"
		}
		child, err := url.Parse(u)
		require.NoError(g.tb, err)
		l.media(g, child, w.Body.String(), &t)
		l.tracks = append(l.tracks, t)
	}
}

func (l *listing) media(g *rig, base *url.URL, text string, t *listed) {
	g.tb.Helper()
	l.state = "live"
	var at time.Time
	var length time.Duration
	gap := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, _ := strings.Cut(line, ":")
		var err error
		switch {
		case name == "#EXT-X-PLAYLIST-TYPE":
			l.state = strings.ToLower(value)
		case name == "#EXT-X-MEDIA-SEQUENCE" && l.sequence == 0:
			l.sequence, err = strconv.ParseInt(value, 10, 64)
		case name == "#EXT-X-MAP":
			t.inits = append(t.inits, resolve(g, base, attribute(line, "URI")))
		case name == "#EXT-X-GAP":
			gap = true
		case name == "#EXT-X-PROGRAM-DATE-TIME":
			at, err = time.Parse(time.RFC3339, value)
		case name == "#EXTINF":
			length, err = time.ParseDuration(strings.TrimSuffix(value, ",") + "s")
		case line != "" && line[0] != '#' && gap:
			gap = false
			t.missing++
		case line != "" && line[0] != '#':
			t.segments = append(t.segments, segmentURL{resolve(g, base, line), at, at.Add(length)})
		}
		require.NoError(g.tb, err, line)
	}
	require.Equal(g.tb, l.state == "vod", strings.Contains(text, "#EXT-X-ENDLIST"))
}

// mpdXML is what players need of an MPD.
type mpdXML struct {
	Type    string `xml:"type,attr"`
	Periods []struct {
		Sets []struct {
			ContentType     string       `xml:"contentType,attr"`
			Template        *templateXML `xml:"SegmentTemplate"`
			Representations []struct {
				ID       string       `xml:"id,attr"`
				Template *templateXML `xml:"SegmentTemplate"`
			} `xml:"Representation"`
		} `xml:"AdaptationSet"`
	} `xml:"Period"`
}

type templateXML struct {
	Media  string `xml:"media,attr"`
	Init   string `xml:"initialization,attr"`
	Scale  int64  `xml:"timescale,attr"`
	Number int64  `xml:"startNumber,attr"`
	S      []struct {
		T *int64 `xml:"t,attr"`
		D int64  `xml:"d,attr"`
		R int    `xml:"r,attr"`
	} `xml:"SegmentTimeline>S"`
}

func (l *listing) mpd(g *rig, base *url.URL, text []byte) {
	g.tb.Helper()
	var m mpdXML
	require.NoError(g.tb, xml.Unmarshal(text, &m))
	l.state = map[string]string{"dynamic": "live", "static": "vod"}[m.Type]
	index := map[string]int{}
	for _, p := range m.Periods {
		for _, set := range p.Sets {
			for _, rep := range set.Representations {
				n, ok := index[rep.ID]
				if !ok {
					n, index[rep.ID] = len(l.tracks), len(l.tracks)
					l.tracks = append(l.tracks, listed{kind: set.ContentType})
				}
				t := &l.tracks[n]
				st := rep.Template
				if set.Template != nil {
					shared := *set.Template
					shared.Init = st.Init
					st = &shared
				}
				fill := func(s string, n, at int64) string {
					s = strings.ReplaceAll(s, "$RepresentationID$", rep.ID)
					s = strings.ReplaceAll(s, "$Number$", strconv.FormatInt(n, 10))
					return resolve(g, base, strings.ReplaceAll(s, "$Time$", strconv.FormatInt(at, 10)))
				}
				t.inits = append(t.inits, fill(st.Init, 0, 0))
				at, no := int64(0), st.Number
				for _, s := range st.S {
					if s.T != nil {
						at = *s.T
					}
					for range s.R + 1 {
						t.segments = append(t.segments, segmentURL{fill(st.Media, no, at), ticks(at, st.Scale), ticks(at+s.D, st.Scale)})
						at, no = at+s.D, no+1
					}
				}
			}
		}
	}
}

func ticks(n, scale int64) time.Time {
	return time.Unix(n/scale, (n%scale)*1e9/scale).UTC()
}

type smoothXML struct {
	IsLive  string `xml:"IsLive,attr"`
	Streams []struct {
		Type   string `xml:"Type,attr"`
		URL    string `xml:"Url,attr"`
		Levels []struct {
			Bitrate string `xml:"Bitrate,attr"`
		} `xml:"QualityLevel"`
		Chunks []struct {
			T *int64 `xml:"t,attr"`
			D int64  `xml:"d,attr"`
		} `xml:"c"`
	} `xml:"StreamIndex"`
}

func (l *listing) smooth(g *rig, base *url.URL, text []byte) {
	g.tb.Helper()
	var m smoothXML
	require.NoError(g.tb, xml.Unmarshal(text, &m))
	l.state = map[string]string{"TRUE": "live", "": "vod"}[m.IsLive]
	for _, s := range m.Streams {
		for _, level := range s.Levels {
			t := listed{kind: s.Type}
			at := int64(0)
			for _, c := range s.Chunks {
				if c.T != nil {
					at = *c.T
				}
				name := strings.ReplaceAll(s.URL, "{bitrate}", level.Bitrate)
				name = strings.ReplaceAll(name, "{start time}", strconv.FormatInt(at, 10))
				t.segments = append(t.segments, segmentURL{resolve(g, base, name), ticks(at, smooth.TimeScale), ticks(at+c.D, smooth.TimeScale)})
				at += c.D
			}
			l.tracks = append(l.tracks, t)
		}
	}
}

// urls lists every segment and init segment, without repetition.
func (l *listing) urls() (out []string) {
	for _, t := range l.tracks {
		out = append(out, t.inits...)
		for _, s := range t.segments {
			out = append(out, s.url)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (l *listing) String() string {
	v := l.video()
	return fmt.Sprintf("%s to %s %s, %d segments, %d missing", l.first().Format(time.TimeOnly), l.last().Format(time.TimeOnly),
		l.state, len(v.segments), v.missing)
}
