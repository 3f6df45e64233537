package origin

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/origin/ingest"
	"headwater/origin/timeline"
	"headwater/packager/cmaf"
	"headwater/packager/media"
)

var update = flag.Bool("update", false, "write the golden files anew")

// counter is the number in a file's name.
var counter = regexp.MustCompile(`\d+(\.\w+)$`)

// leftOut are the metrics of what came and is not on the timeline.
var leftOut = regexp.MustCompile("^headwater_ingest_(left_out|duplicates|standby)_total$")

// metrics returns what Prometheus is told.
func (g *rig) metrics() string {
	w := httptest.NewRecorder()
	g.server.Admin().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// secondID is a channel that a capture may push to beside chID.
var secondID = channel.ID{Group: chID.Group, Name: chID.Name + "-2"}

// laid is a track as the timeline has it.
type laid struct {
	media.Track
	config   *media.Config
	segments []media.Segment
	frames   []int // of each segment
}

func (l laid) at(ticks int64) time.Duration { return media.At(ticks, l.Timescale).Duration() }

func (l laid) count() (n int) {
	for _, f := range l.frames {
		n += f
	}
	return n
}

// breaks returns after how many segments something is missing, or another part begins.
func (l laid) breaks() (n int) {
	for i := 1; i < len(l.segments); i++ {
		if l.segments[i].Part != l.segments[i-1].Part || l.segments[i].Start != l.segments[i-1].End() {
			n++
		}
	}
	return n
}

// tracks reads back what was stored.
func (p *replay) tracks() (out []laid) {
	for _, id := range []channel.ID{chID, secondID} {
		if tl, ok := p.rig.server.timelineOf(id); ok {
			out = append(out, p.tracksOf(id, tl)...)
		}
	}
	return out
}

func (p *replay) tracksOf(id channel.ID, tl *timeline.Timeline) (out []laid) {
	for _, tr := range tl.State().Tracks {
		l := laid{Track: tr.Track, config: tr.Config, segments: tl.Following(tr.ID, 0, 0, 10_000)}
		if id != chID {
			l.ID = id.Name + "/" + tr.ID
		}
		for _, s := range l.segments {
			obj, err := p.rig.server.cfg.Store.Open(p.t.Context(), ingest.SegmentKey(id, tr.ID, s.Start))
			require.NoError(p.t, err)
			b, err := io.ReadAll(obj.Body)
			require.NoError(p.t, err)
			require.NoError(p.t, obj.Body.Close())
			frags, err := cmaf.ReadSegment(b)
			require.NoError(p.t, err)
			n := 0
			for _, f := range frags {
				n += len(f.Samples)
			}
			l.frames = append(l.frames, n)
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b laid) int { return cmp.Or(int(a.Kind)-int(b.Kind), strings.Compare(a.ID, b.ID)) })
	return out
}

// compare states what holds for every capture, and that the rest is as the golden file has it.
func (p *replay) compare() {
	p.t.Helper()
	laid := p.tracks()
	var tale bytes.Buffer
	p.tell(&tale, laid)
	p.tellOutputs(&tale)
	file := filepath.Join(captures, p.recipe.name+".txt")
	if *update {
		require.NoError(p.t, os.WriteFile(file, tale.Bytes(), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(p.t, err)
	p.requireSource(laid)
	require.Equal(p.t, string(want), tale.String())
}

// exactly is how far times may be from what ffprobe says, in seconds: it and edit lists have milliseconds.
const exactly = 0.002

// requireSource states that all that ffprobe found in the recorded files is on the timeline, without a break that the recipe
// does not name, and that its tracks stand to each other as they did.
func (p *replay) requireSource(tracks []laid) {
	p.t.Helper()
	report := p.rig.server.ingest.Report(chID).Inputs[0]
	require.Equal(p.t, p.recipe.refused, len(report.Errors) > 0, "uploads rejected: %v", report.Errors)
	names := p.recipe.trackNames()
	require.Len(p.t, p.capture.about.Source, len(names))
	require.Len(p.t, tracks, len(names))
	var zero float64 // where the time of ffprobe begins, by the first track
	for i, name := range names {
		n := slices.IndexFunc(tracks, func(l laid) bool { return l.ID == name })
		require.GreaterOrEqual(p.t, n, 0, "track %s is not on the timeline", name)
		s := p.capture.about.Source[i]
		if s.kind() == "audio" {
			s.From, s.To = s.From-p.recipe.early, s.To-p.recipe.early
		} else {
			s.To += p.recipe.longer
		}
		p.requireTrack(tracks[n], s)
		start := tracks[n].at(tracks[n].segments[0].Start).Seconds()
		switch {
		case i == 0:
			zero = start - s.From
			if report.Clock == "epoch" {
				require.InDelta(p.t, 0, zero, exactly, "%s has moved from the time that its encoder says", name)
			}
		case !strings.Contains(name, "/"):
			require.InDelta(p.t, s.From, start-zero, exactly, "start of %s against %s", name, names[0])
		}
	}
}

// requireTrack states that a track is what ffprobe says of its stream.
func (p *replay) requireTrack(l laid, s sourceStream) {
	p.t.Helper()
	require.Equal(p.t, s.kind(), l.Kind.String(), l.ID)
	require.True(p.t, strings.HasPrefix(l.config.Codec, map[string]string{"h264": "avc1.", "aac": "mp4a.40.2"}[s.Codec]), "%s: %s", l.ID, l.config.Codec)
	require.Equal(p.t, [4]int{s.Width, s.Height, s.Rate, s.Channels},
		[4]int{l.config.Width, l.config.Height, l.config.SampleRate, l.config.Channels}, l.ID)
	require.Equal(p.t, s.Frames, l.count(), "frames of %s", l.ID)
	require.Equal(p.t, p.recipe.breaks, l.breaks(), "breaks of %s", l.ID)
	if p.recipe.breaks == 0 {
		length := l.at(l.segments[len(l.segments)-1].End() - l.segments[0].Start)
		require.InDelta(p.t, s.To-s.From, length.Seconds(), exactly, "length of %s", l.ID)
	}
}

func (r recipe) trackNames() (out []string) {
	for _, rendition := range r.renditions {
		out = append(out, strings.Fields(rendition.tracks)...)
	}
	return out
}

// tell writes what came of a capture, for people to read.
func (p *replay) tell(w io.Writer, tracks []laid) {
	report := p.rig.server.ingest.Report(chID)
	in := report.Inputs[0]
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	say("source, as ffprobe has it")
	for i, s := range p.capture.about.Source {
		say("  %s: %s", p.recipe.trackNames()[i], s)
	}
	say("input 1: protocol %q, clock %q, %d uploads accepted, %d rejected, %d playlists and MPDs known", in.Protocol, in.Clock, in.Accepted, in.Rejected, in.Manifests)
	for _, e := range in.Errors {
		say("  rejected: %s: %s", e.Name, e.Reason)
	}
	for line := range strings.Lines(p.rig.metrics()) {
		if name, value, ok := strings.Cut(line, `{channel="default/ch",`); ok && !strings.HasPrefix(line, "#") && leftOut.MatchString(name) {
			say("  %s: %s", strings.TrimPrefix(name, "headwater_ingest_"), strings.TrimSpace(strings.NewReplacer("}", "", `"`, "").Replace(value)))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(p.answers)) {
		say("  %d x %s", p.answers[kind], kind)
	}
	var origin *laid
	for i := range tracks {
		l := &tracks[i]
		if origin == nil && l.Kind == media.Video {
			origin = l
		}
	}
	for _, l := range tracks {
		p.tellTrack(say, l, origin)
	}
}

func (p *replay) tellTrack(say func(string, ...any), l laid, origin *laid) {
	what := fmt.Sprintf("%dx%d, %d/%d frames/s", l.config.Width, l.config.Height, l.config.FrameRate.Num, l.config.FrameRate.Den)
	if l.Kind == media.Audio {
		what = fmt.Sprintf("%d Hz, %d channels", l.config.SampleRate, l.config.Channels)
	}
	say("track %s: %s, %s, %s, language %q, %d bit/s", l.ID, l.Kind, l.config.Codec, what, l.Language, l.Bitrate)
	if origin != nil && origin.ID != l.ID {
		say("  begins %s after %s", (l.at(l.segments[0].Start) - origin.at(origin.segments[0].Start)).Round(100*time.Microsecond), origin.ID)
	}
	say("  %d segments with %d frames; begins %s after the capture", len(l.segments), l.count(),
		media.At(l.segments[0].Start, l.Timescale).UTC().Sub(p.capture.about.Began).Round(time.Millisecond))
	for i := 0; i < len(l.segments); {
		line, n := l.line(i), 1
		for i+n < len(l.segments) && l.line(i+n) == line {
			n++
		}
		say("    %d x %s", n, line)
		i += n
	}
}

// line says what a segment is.
func (l laid) line(i int) string {
	s := l.segments[i]
	line := fmt.Sprintf("%d frames in %s", l.frames[i], l.at(s.Duration).Round(time.Microsecond))
	if i == 0 {
		return line
	}
	before := l.segments[i-1]
	if gap := l.at(s.Start - before.End()); gap != 0 {
		line += fmt.Sprintf(", %s after the one before", gap.Round(time.Microsecond))
	}
	if s.Part != before.Part {
		line += ", after a discontinuity"
	}
	if s.Number != before.Number+1 {
		line += fmt.Sprintf(", numbered %d higher", s.Number-before.Number)
	}
	return line
}

// tellOutputs reads every output as a player does, with all that it lists.
func (p *replay) tellOutputs(w io.Writer) {
	for _, e := range entries {
		l, answer := p.rig.play("http://origin.test" + e.path())
		if l == nil {
			_, _ = fmt.Fprintf(w, "%s: %s\n", e.name, refusal(answer))
			continue
		}
		for _, u := range l.urls() {
			require.Equal(p.t, 200, p.rig.get(u).Code, "%s: %s", e.name, u)
		}
		for _, t := range l.tracks {
			from, to := t.segments[0].start, t.segments[len(t.segments)-1].end
			_, _ = fmt.Fprintf(w, "%s, %s: %s, %d segments, %d missing, %.3f s\n", e.name, l.state, t.kind, len(t.segments), t.missing,
				math.Round(to.Sub(from).Seconds()*1e3)/1e3)
		}
	}
}
