package timeline

import (
	"errors"
	"fmt"
	"sort"
	"time"

	"headwater/packager"
	"headwater/packager/media"
)

// Errors of a window query. ErrBadWindow is the viewer's mistake (400); ErrOutside asks for what is not kept (404).
var (
	ErrBadWindow = errors.New("bad time window")
	ErrOutside   = errors.New("outside the start-over window")
)

// MaxSpan is the longest time-shifted manifest (reference mediapackage.md 2d).
const MaxSpan = 24 * time.Hour

// Query asks for a window. Zero Start and End ask for the live manifest.
type Query struct {
	Now        time.Time
	Start, End time.Time     // time shift, half-open
	Length     time.Duration // how much a live manifest shows
	Startover  time.Duration // how far back Start may lie; 0: no time shift
	Delay      time.Duration // time delay: the live edge lies this far behind Now
	Segment    time.Duration // wanted duration of output segments; 0: as ingested
}

// check applies the rules for start and end of reference mediapackage.md 2d, v2.
func (q Query) check() error {
	if q.Start.IsZero() && q.End.IsZero() {
		return nil
	}
	oldest := q.Now.Add(-q.Startover)
	span := q.End.Sub(q.Start)
	if q.End.IsZero() {
		span = q.Now.Sub(q.Start)
	}
	switch {
	case !q.Start.IsZero() && !q.End.IsZero() && !q.Start.Before(q.End):
		return fmt.Errorf("%w: start is not before end", ErrBadWindow)
	case !q.Start.IsZero() && span > MaxSpan:
		return fmt.Errorf("%w: it spans %s, the most is %s", ErrBadWindow, span.Round(time.Second), MaxSpan)
	case q.Startover == 0:
		return fmt.Errorf("%w: the origin endpoint has none", ErrOutside)
	case !q.Start.IsZero() && q.Start.Before(oldest):
		return fmt.Errorf("%w: start is more than %s ago", ErrOutside, q.Startover)
	case q.Start.After(q.Now):
		return fmt.Errorf("%w: start is in the future", ErrOutside)
	case !q.End.IsZero() && q.End.Before(oldest):
		return fmt.Errorf("%w: end is more than %s ago", ErrOutside, q.Startover)
	}
	return nil
}

// Window returns the view of the timeline that q asks for. Errors: ErrBadWindow, ErrOutside, or ErrNotYet when there is
// nothing to show yet.
func (t *Timeline) Window(q Query) (*packager.Window, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	s := t.snap.Load()
	ref := s.reference()
	if ref == nil {
		return nil, fmt.Errorf("%w: the channel has no media", ErrNotYet)
	}
	k := s.join(q.Segment)
	from, to := s.bounds(ref, q)
	w := &packager.Window{
		Live: true, Fixed: !q.Start.IsZero(), Delay: q.Delay, Depth: q.Length,
		TargetDuration: time.Duration(k) * s.longest.Duration(),
	}
	if !q.End.IsZero() && (!to.Before(media.FromUTC(q.End)) || q.Now.After(q.End.Add(3*w.TargetDuration))) {
		w.Live = false
	}
	if w.Fixed || !w.Live {
		w.Depth = 0
	}
	i, j := ref.overlapping(from, to, k, w.Live)
	if i >= j {
		if w.Fixed || !w.Live {
			return nil, fmt.Errorf("%w: no media between start and end", ErrOutside)
		}
		return nil, fmt.Errorf("%w: no complete segment in the window", ErrNotYet)
	}
	// Whole segments of the reference track set the bounds of the others.
	from, to = media.At(ref.segments[i].Start, ref.Timescale), media.At(ref.segments[j-1].End(), ref.Timescale)
	for n := range s.tracks {
		tr := &s.tracks[n]
		a, b := i, j
		if tr != ref {
			a, b = tr.within(from, to)
		}
		if a < b {
			tw := packager.TrackWindow{Track: tr.Track, Segments: joined(tr.segments[a:b:b], k), Peak: tr.peak, Average: tr.average}
			w.Tracks = append(w.Tracks, tw)
			if at := time.UnixMilli(tw.Last().Arrived).UTC(); at.After(w.Updated) {
				w.Updated = at
			}
		}
	}
	w.Parts = s.partsOf(w)
	return w, nil
}

// snapshot is the immutable state that readers see.
type snapshot struct {
	version uint64
	tracks  []trackView // by kind (video first), then ID
	parts   []media.Part
	longest media.Time
	step    media.Time // of the newest grid; zero when numbers are counted
	counted bool
}

type trackView struct {
	media.Track
	segments      []media.Segment
	configs       []*media.Config
	lastGone      int64
	peak, average int
}

func (s *state) snapshot() *snapshot {
	s.version++
	out := &snapshot{version: s.version, longest: s.longest, parts: s.shown[:len(s.shown):len(s.shown)],
		counted: s.counting || s.numbering == Counter}
	for i := len(s.parts) - 1; i >= 0 && out.step.Ticks == 0; i-- {
		out.step = s.parts[i].grid.Step
	}
	for _, tr := range s.order {
		n := len(tr.segments)
		out.tracks = append(out.tracks, trackView{Track: tr.Track, segments: tr.segments[:n:n], configs: tr.configs,
			lastGone: tr.lastGone, peak: tr.peak, average: bitrate(tr.bytes, tr.ticks, tr.Timescale)})
	}
	sort.Slice(out.tracks, func(i, j int) bool {
		a, b := out.tracks[i], out.tracks[j]
		if a.Kind != b.Kind {
			return a.Kind < b.Kind
		}
		return a.ID < b.ID
	})
	return out
}

// reference returns the track whose segments set a window's bounds: of the first kind present, the one that reaches
// furthest. Nil when there is no media.
func (s *snapshot) reference() (ref *trackView) {
	for i := range s.tracks {
		tr := &s.tracks[i]
		if len(tr.segments) == 0 {
			continue
		}
		if ref == nil || tr.Kind == ref.Kind && ref.end().Before(tr.start(len(tr.segments)-1)) {
			ref = tr
		}
	}
	return ref
}

func (tr *trackView) end() media.Time {
	return media.At(tr.segments[len(tr.segments)-1].End(), tr.Timescale)
}

func (tr *trackView) start(i int) media.Time { return media.At(tr.segments[i].Start, tr.Timescale) }

// join returns how many ingested segments make an output segment of about d: the nearest whole number (6a).
func (s *snapshot) join(d time.Duration) int64 {
	step := s.step.Duration()
	if step <= 0 {
		step = s.longest.Duration()
	}
	if d <= 0 || step <= 0 {
		return 1
	}
	return max(1, int64((d+step/2)/step))
}

// stalled is how many of the longest segments a track may lag before the others stop waiting for it.
const stalled = 3

// bounds returns the half-open UTC range that q selects, cut at the live edge: the end of the last segment of ref that
// every track that is still running covers as well, so that no manifest shows one track ahead of the others.
func (s *snapshot) bounds(ref *trackView, q Query) (from, to media.Time) {
	edge := ref.end()
	for i := range s.tracks {
		tr := &s.tracks[i]
		if !s.running(tr) {
			continue
		}
		for n := len(ref.segments); n > 0; n-- {
			seg := ref.segments[n-1]
			if !tr.end().Before(media.At(seg.End()-seg.Duration/2, ref.Timescale)) {
				if at := media.At(seg.End(), ref.Timescale); at.Before(edge) {
					edge = at
				}
				break
			}
		}
	}
	to = edge
	if q.Delay > 0 {
		to = earlier(to, media.FromUTC(q.Now.Add(-q.Delay)))
	}
	if !q.End.IsZero() {
		to = earlier(to, media.FromUTC(q.End))
	}
	if !q.Start.IsZero() {
		return media.FromUTC(q.Start), to
	}
	from = to.Sub(media.FromDuration(q.Length))
	return from, to
}

// running reports whether a track keeps up with the others.
func (s *snapshot) running(tr *trackView) bool {
	if len(tr.segments) == 0 {
		return false
	}
	patience := media.At(s.longest.Ticks*stalled, s.longest.Scale)
	for i := range s.tracks {
		if o := &s.tracks[i]; len(o.segments) > 0 && tr.end().Add(patience).Before(o.end()) {
			return false
		}
	}
	return true
}

// behind reports whether a running track still has to deliver media before to.
func (s *snapshot) behind(tr *trackView, to media.Time) bool {
	if !s.running(tr) {
		return false
	}
	last := tr.segments[len(tr.segments)-1]
	return media.At(last.End()+last.Duration/2, tr.Timescale).Before(to)
}

func earlier(a, b media.Time) media.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// overlapping returns the range of tr's segments that overlap [from, to), widened at the front and narrowed at the end
// to whole output segments of k ingested ones.
func (tr *trackView) overlapping(from, to media.Time, k int64, live bool) (i, j int) {
	i = sort.Search(len(tr.segments), func(n int) bool {
		return from.Before(media.At(tr.segments[n].End(), tr.Timescale))
	})
	j = sort.Search(len(tr.segments), func(n int) bool { return !tr.start(n).Before(to) })
	for k > 1 && i > 0 && sameGroup(tr.segments[i-1], tr.segments[min(i, len(tr.segments)-1)], k) {
		i--
	}
	if k > 1 && j > 0 && (live || j < len(tr.segments)) {
		// A live window ends with a complete output segment, a closed one takes the whole segment it ends in.
		if live && !complete(tr.segments, j-1, k) {
			for last := tr.segments[j-1]; j > 0 && sameGroup(tr.segments[j-1], last, k); {
				j--
			}
		}
		for !live && j < len(tr.segments) && sameGroup(tr.segments[j-1], tr.segments[j], k) {
			j++
		}
	}
	return i, max(i, j)
}

// within returns the range of tr's segments whose middle lies in [from, to).
func (tr *trackView) within(from, to media.Time) (i, j int) {
	mid := func(n int) media.Time {
		s := tr.segments[n]
		return media.At(s.Start+s.Duration/2, tr.Timescale)
	}
	i = sort.Search(len(tr.segments), func(n int) bool { return !mid(n).Before(from) })
	j = sort.Search(len(tr.segments), func(n int) bool { return !mid(n).Before(to) })
	return i, j
}

// partsOf returns the parts that the window's segments refer to.
func (s *snapshot) partsOf(w *packager.Window) []media.Part {
	lo, hi := w.Tracks[0].Segments[0].Part, uint32(0)
	for _, tw := range w.Tracks {
		lo, hi = min(lo, tw.Segments[0].Part), max(hi, tw.Last().Part)
	}
	i := sort.Search(len(s.parts), func(n int) bool { return s.parts[n].Ordinal >= lo })
	j := sort.Search(len(s.parts), func(n int) bool { return s.parts[n].Ordinal > hi })
	return s.parts[i:j:j]
}
