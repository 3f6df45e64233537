package origin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/packager/smooth"
)

// TestScenarios plays the files in testdata/scenarios, each over every format. A file is a story of lines; "#" begins a
// comment, times are of day, media is counted in segments of 2 s from 12:00:00 on.
//
//	endpoint NAME=VALUE ...            settings of all origin endpoints: window, startover, delay, segment (durations), secret
//	at TIME push FROM-TO               moves the clock; all tracks deliver these segments, the last one at TIME
//	at TIME put TRACK N [shifted D]    moves the clock; one track delivers one segment; " -> STATUS" after it, else 200
//	at TIME header TRACK               moves the clock; one track delivers its header, and no media
//	at TIME expire                     moves the clock; what is too old is deleted
//	at TIME get ...                    moves the clock, then as without "at TIME"
//	get index [OPTION ...] -> ANSWER   asks for the manifest: "FROM to TO STATE[, N segments][, N missing]" or "STATUS reason"
//	get TRACK N [OPTION ...] -> ANSWER asks for a segment: "200" or "STATUS reason"
//	preflight -> STATUS                asks as a browser does before a request with a Range from another origin
//	[FORMAT,...] any of these          for these formats only: hls dash time ts groups smooth
//
// OPTION is ?query (TIME in braces becomes ISO 8601), path/START/END (the path form, "-" for none), agent=SECRET, carried
// (every segment's URL must have this query), shared (no segment's URL may have a query, and all lie at the endpoint's root).
//
// A live Smooth manifest holds back the fragments that nothing follows yet, so its TO is 4 s less than the line says.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("../testdata/scenarios/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, e := range entries {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+" over "+e.name, func(t *testing.T) {
				(&story{t: t, entry: e}).tell(string(text))
			})
		}
	}
}

// story is one scenario over one format.
type story struct {
	t     *testing.T
	entry entry
	rig   *rig
	base  channel.Endpoint
	line  string
}

func (s *story) tell(text string) {
	s.base = standard()
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if s.line = strings.Join(strings.Fields(line), " "); s.line == "" {
			continue
		}
		s.t.Logf("%d: %s", n+1, s.line)
		rest, only := s.line, ""
		if after, ok := strings.CutPrefix(rest, "["); ok {
			only, rest, _ = strings.Cut(after, "] ")
		}
		if only != "" && !strings.Contains(","+only+",", ","+s.entry.name+",") {
			continue
		}
		s.step(rest)
	}
}

// step does what one line says.
func (s *story) step(line string) {
	line, want, _ := strings.Cut(line, " -> ")
	words := strings.Fields(line)
	if words[0] == "endpoint" {
		s.configure(words[1:])
		return
	}
	if s.rig == nil {
		s.rig = newRig(s.t, nil, endpointsOf(s.base)...)
	}
	if words[0] == "at" {
		s.rig.at(s.clock(words[1]))
		words = words[2:]
	}
	switch words[0] {
	case "push":
		from, to, ok := strings.Cut(words[1], "-")
		require.True(s.t, ok, s.line)
		at := s.rig.now()
		s.rig.push(s.int(from), s.int(to))
		s.rig.at(at)
	case "put":
		s.put(words[1:], want)
	case "header":
		s.rig.open(words[1])
	case "expire":
		s.rig.server.Expire(s.t.Context())
	case "preflight":
		w := s.rig.do(http.MethodOptions, s.entry.path(), "Origin", "https://player.example",
			"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "range")
		require.Equal(s.t, want, strconv.Itoa(w.Code), s.line)
		require.Equal(s.t, "https://player.example", w.Header().Get("Access-Control-Allow-Origin"))
		require.Equal(s.t, "range", w.Header().Get("Access-Control-Allow-Headers"))
	case "get":
		if words[1] == "index" {
			s.manifest(words[2:], want)
		} else {
			s.segment(words[1], s.int(words[2]), words[3:], want)
		}
	default:
		require.Fail(s.t, "unknown line", s.line)
	}
}

func (s *story) configure(settings []string) {
	for _, set := range settings {
		name, value, _ := strings.Cut(set, "=")
		if name == "secret" {
			s.base.Access.UserAgentSecrets = append(s.base.Access.UserAgentSecrets, value)
			continue
		}
		d, err := time.ParseDuration(value)
		require.NoError(s.t, err, s.line)
		at, ok := map[string]*time.Duration{"window": &s.base.ManifestWindow, "startover": &s.base.StartoverWindow,
			"delay": &s.base.TimeDelay, "segment": &s.base.SegmentDuration}[name]
		require.True(s.t, ok, s.line)
		*at = d
	}
}

func (s *story) put(words []string, want string) {
	shift := time.Duration(0)
	if len(words) == 4 && words[2] == "shifted" {
		d, err := time.ParseDuration(words[3])
		require.NoError(s.t, err, s.line)
		shift = d
	}
	if want == "" {
		want = "200"
	}
	require.Equal(s.t, want, strconv.Itoa(s.rig.put(words[0], s.int(words[1]), shift)), s.line)
}

func (s *story) int(word string) int {
	n, err := strconv.Atoi(word)
	require.NoError(s.t, err, s.line)
	return n
}

// clock returns a time of the day of the story; times before 12:00 belong to the next day.
func (s *story) clock(word string) time.Time {
	at, err := time.Parse(time.TimeOnly, word)
	require.NoError(s.t, err, s.line)
	day := noon
	if at.Hour() < 12 {
		day = day.AddDate(0, 0, 1)
	}
	return time.Date(day.Year(), day.Month(), day.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
}

var braces = regexp.MustCompile(`\{[^}]*\}`)

// dates replaces times in braces: "{12:00:00}" by ISO 8601, "{@12:00:00}" by seconds since the epoch.
func (s *story) dates(text string) string {
	return braces.ReplaceAllStringFunc(text, func(b string) string {
		if word, ok := strings.CutPrefix(b[1:len(b)-1], "@"); ok {
			return strconv.FormatInt(s.clock(word).Unix(), 10)
		}
		return s.clock(b[1 : len(b)-1]).Format(time.RFC3339)
	})
}

// asked is what options make of a request.
type asked struct {
	prefix, query   string
	header          []string
	carried, shared bool
}

func (s *story) options(words []string) (a asked) {
	for _, word := range words {
		switch {
		case word[0] == '?':
			a.query = s.dates(word)
		case strings.HasPrefix(word, "path/"):
			parts := strings.Split(s.dates(word), "/")
			require.Len(s.t, parts, 3, s.line)
			for i, key := range []string{"start/", "end/"} {
				if parts[i+1] != "-" {
					a.prefix += key + parts[i+1] + "/"
				}
			}
		case strings.HasPrefix(word, "agent="):
			a.header = append(a.header, "User-Agent", word[len("agent="):])
		case word == "carried":
			a.carried = true
		case word == "shared":
			a.shared = true
		default:
			require.Fail(s.t, "unknown option", s.line)
		}
	}
	return a
}

func (s *story) manifest(words []string, want string) {
	a := s.options(words)
	l, w := s.rig.play("http://origin.test"+s.entry.root()+a.prefix+s.entry.manifest+a.query, a.header...)
	if l == nil {
		require.Equal(s.t, want, refusal(w), "%s: %s", s.line, w.Body)
		return
	}
	got := l.String()
	for _, part := range []string{" segments", " missing"} {
		if !strings.Contains(want, part) {
			got = regexp.MustCompile(`, \d+`+part).ReplaceAllString(got, "")
		}
	}
	if s.entry.name == "smooth" && (strings.Contains(want, "live") || strings.Contains(want, "event")) {
		want = s.held(want)
	}
	if strings.Contains(want, "event") && l.state == "live" {
		require.NotContains(s.t, []string{"hls", "ts", "groups"}, s.entry.name, s.line)
		got = strings.Replace(got, "live", "event", 1) // only HLS has a word for it
	}
	require.Equal(s.t, want, got, s.line)
	for _, u := range l.urls() {
		if a.carried {
			require.True(s.t, strings.HasSuffix(u, a.query), "%s: %s", s.line, u)
		}
		if a.shared {
			require.True(s.t, strings.HasPrefix(u, "http://origin.test"+s.entry.root()), "%s: %s", s.line, u)
			name := strings.TrimPrefix(u, "http://origin.test"+s.entry.root())
			require.NotContains(s.t, name, "?", s.line)
			require.NotContains(s.t, name, "start/", s.line)
		}
		require.Equal(s.t, 200, s.rig.get(u, a.header...).Code, "%s: %s", s.line, u)
	}
}

var toTime = regexp.MustCompile(`to (\d\d:\d\d:\d\d) `)
var counted = regexp.MustCompile(`(\d+) segments`)

// held takes from an expectation what a live Smooth manifest holds back.
func (s *story) held(want string) string {
	length := segmentLength
	if d := s.base.SegmentDuration; d > 0 {
		length = d
	}
	want = toTime.ReplaceAllStringFunc(want, func(m string) string {
		return "to " + s.clock(m[3:11]).Add(-2*length).Format(time.TimeOnly) + " "
	})
	return counted.ReplaceAllStringFunc(want, func(m string) string {
		return fmt.Sprintf("%d segments", s.int(strings.TrimSuffix(m, " segments"))-2)
	})
}

// segment asks for segment n of a track, counted in output segments from noon on.
func (s *story) segment(track string, n int, words []string, want string) {
	a := s.options(words)
	length := segmentLength
	if s.base.SegmentDuration > 0 {
		length = s.base.SegmentDuration
	}
	e := s.rig.tracks[track]
	start := e.boundary(noon.Add(time.Duration(n)*length)) * int64(e.frame)
	num := noon.Unix()/int64(length/time.Second) + int64(n)
	name := fmt.Sprintf("segment_%s_%d.mp4", track, num)
	switch s.entry.name {
	case "time":
		name = fmt.Sprintf("segment_%s_t%d.mp4", track, start)
	case "ts":
		name = fmt.Sprintf("segment_video.audio_%d.ts", num)
	case "groups":
		name = fmt.Sprintf("segment_%s_%d.ts", track, num)
	case "smooth":
		name = fmt.Sprintf("index.ism/QualityLevels(%d)/Fragments(%s=%d)", s.bitrate(track), track, smooth.Time(start, e.timescale))
	}
	require.Equal(s.t, want, refusal(s.rig.get(s.entry.root()+name+a.query, a.header...)), s.line+": "+name)
}

func (s *story) bitrate(track string) int {
	tl, ok := s.rig.server.timelineOf(chID)
	require.True(s.t, ok)
	for _, tr := range tl.State().Tracks {
		if tr.ID == track {
			return tr.Bitrate
		}
	}
	require.Fail(s.t, "no track "+track)
	return 0
}

// refusal returns status and reason of an answer, the status alone when nothing is wrong.
func refusal(w *httptest.ResponseRecorder) string {
	_, rest, ok := strings.Cut(w.Body.String(), `"Reason":"`)
	if w.Code < 400 || !ok {
		return strconv.Itoa(w.Code)
	}
	reason, _, _ := strings.Cut(rest, `"`)
	return strconv.Itoa(w.Code) + " " + reason
}
