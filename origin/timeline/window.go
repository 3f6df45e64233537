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

// maxAhead is how far in the future a start may lie that is worth asking for again: longer than caches keep an answer that
// says nothing of its age (CloudFront 10 s, Varnish 2 min), so that none keeps it until after the start.
const maxAhead = 5 * time.Minute

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
	case q.Start.After(q.Now.Add(maxAhead)): // what is nearer has not begun: see nothing
		return fmt.Errorf("%w: start is more than %s ahead", ErrOutside, maxAhead)
	case !q.End.IsZero() && q.End.Before(oldest):
		return fmt.Errorf("%w: end is more than %s ago", ErrOutside, q.Startover)
	}
	return nil
}

// Window returns the view of the timeline that q asks for: whole output segments, bounded by those of one track, the
// others by the middle of theirs. Errors: ErrBadWindow, ErrOutside, or ErrNotYet when there is nothing to show yet.
func (t *Timeline) Window(q Query) (*packager.Window, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	s := t.snap.Load()
	ks := s.joins(q.Segment)
	w := &packager.Window{Live: true, Fixed: !q.Start.IsZero(), Delay: q.Delay, Depth: q.Length, TargetDuration: s.target(ks)}
	ref := s.reference(q)
	if ref == nil {
		return nil, s.nothing(q, ks)
	}
	lo, hi, done := s.bounds(joiner{ref, ks}, q)
	w.Live = !(done || q.late(s.length(ks)))
	if w.Fixed || !w.Live {
		w.Depth = 0
	}
	if lo >= hi {
		return nil, s.nothing(q, ks)
	}
	from, to := ref.start(lo), ref.endOf(hi-1)
	for n := range s.tracks {
		tr := &s.tracks[n]
		j := joiner{tr, ks}
		a, b := lo, hi
		if tr != ref {
			a, b = j.within(from, to)
		}
		if a >= b {
			continue
		}
		tw := packager.TrackWindow{Track: tr.Track, Segments: j.list(a, b), Peak: tr.peak, Average: tr.average}
		if len(tw.Segments) == 0 {
			continue
		}
		w.Tracks = append(w.Tracks, tw)
		if at := time.UnixMilli(tw.Last().Arrived).UTC(); at.After(w.Updated) {
			w.Updated = at
		}
	}
	if len(w.Tracks) == 0 {
		return nil, s.nothing(q, ks)
	}
	w.SegmentDuration = whole(media.At(usual(w.Tracks[0].Segments), w.Tracks[0].Timescale).Duration())
	w.Parts = s.partsOf(w)
	return w, nil
}

// late reports whether all that could come before End has had time to come.
func (q Query) late(length time.Duration) bool {
	return !q.End.IsZero() && q.Now.Add(-q.Delay).After(q.End.Add(stalled*length))
}

// nothing says why a window is empty.
func (s *snapshot) nothing(q Query, ks []kFrom) error {
	switch {
	case q.Start.IsZero() && q.End.IsZero():
		return fmt.Errorf("%w: no complete segment in the window", ErrNotYet)
	case s.edge.Scale == 0 || !media.FromUTC(q.Start).Before(s.limit(q)) && !q.late(s.length(ks)):
		return fmt.Errorf("%w: the window has not begun", ErrNotYet)
	}
	return fmt.Errorf("%w: no media between start and end", ErrOutside)
}

// limit returns the instant before which everything that q's viewer may see is there: the live edge, or a time delay
// behind now.
func (s *snapshot) limit(q Query) media.Time {
	if q.Delay <= 0 {
		return s.edge
	}
	return earlier(s.edge, media.FromUTC(q.Now.Add(-q.Delay)))
}

// reference returns the track whose segments bound q's window: the first that has media in it about as far as any other
// has. Nil when there is none.
func (s *snapshot) reference(q Query) (ref *trackView) {
	to := s.limit(q)
	if !q.End.IsZero() {
		to = earlier(to, media.FromUTC(q.End))
	}
	from := media.FromUTC(q.Start)
	if q.Start.IsZero() {
		from = to.Sub(media.FromDuration(q.Length))
	}
	patience := s.patience()
	var furthest media.Time
	reach := make([]media.Time, len(s.tracks))
	for i := range s.tracks {
		tr := &s.tracks[i]
		n := sort.Search(len(tr.segments), func(n int) bool { return !tr.start(n).Before(to) })
		if n == 0 || !from.Before(tr.endOf(n-1)) {
			continue
		}
		reach[i] = tr.endOf(n - 1)
		if furthest.Before(reach[i]) {
			furthest = reach[i]
		}
	}
	for i := range s.tracks {
		if reach[i].Scale != 0 && !reach[i].Add(patience).Before(furthest) {
			return &s.tracks[i]
		}
	}
	return nil
}

// bounds returns the range of the reference track's segments that are in q's window: whole and complete output segments
// that overlap [start, end), up to the live edge. done says that q has an end and that nothing before it is to come.
func (s *snapshot) bounds(j joiner, q Query) (lo, hi int, done bool) {
	tr := j.track
	// A segment counts as before the edge by its middle, since the edge may be that of another track, within a frame.
	hi = sort.Search(len(tr.segments), func(n int) bool { return !tr.middle(n).Before(s.edge) })
	if q.Delay > 0 {
		delayed := media.FromUTC(q.Now.Add(-q.Delay))
		hi = min(hi, sort.Search(len(tr.segments), func(n int) bool { return delayed.Before(tr.endOf(n)) }))
	}
	if hi > 0 {
		if a, b := j.around(hi - 1); b > hi || !j.complete(b) {
			hi = a
		}
	}
	if !q.End.IsZero() {
		end := media.FromUTC(q.End)
		wanted := sort.Search(len(tr.segments), func(n int) bool { return !tr.start(n).Before(end) })
		if wanted > 0 {
			_, wanted = j.around(wanted - 1)
		}
		done = wanted <= hi && !s.limit(q).Before(end)
		hi = min(hi, wanted)
	}
	if hi == 0 {
		return 0, 0, done
	}
	from := media.FromUTC(q.Start)
	if q.Start.IsZero() {
		from = tr.endOf(hi - 1).Sub(media.FromDuration(q.Length))
	}
	lo = sort.Search(len(tr.segments), func(n int) bool { return from.Before(tr.endOf(n)) })
	if lo < hi {
		lo, _ = j.around(lo)
	}
	return lo, hi, done
}

func earlier(a, b media.Time) media.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// partsOf returns the parts that the window's segments refer to.
func (s *snapshot) partsOf(w *packager.Window) []media.Part {
	lo, hi := w.Tracks[0].Segments[0].Part, uint32(0)
	for _, tw := range w.Tracks {
		// A segment that came late may belong to an earlier part than its neighbours.
		lo = min(lo, tw.Segments[0].Part, tw.Last().Part)
		hi = max(hi, tw.Segments[0].Part, tw.Last().Part)
	}
	return s.parts[lo : hi+1 : hi+1]
}
