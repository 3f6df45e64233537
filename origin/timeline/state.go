package timeline

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"headwater/packager/media"
	"headwater/storage"
)

// state is what a Timeline knows. It is guarded by Timeline.mu and does no I/O.
type state struct {
	numbering Numbering
	begun     bool // something was appended since the timeline was opened
	counting  bool // numbers come from the counter, for good: Counter, or Auto after segments left the grid
	counted   bool // the journal knows of counting

	tracks   map[string]*track
	order    []*track     // by index, as the journal refers to them
	parts    []part       // by ordinal
	shown    []media.Part // the same for snapshots: never changed in place
	moved    []media.Part // those whose start was taken back, which the journal does not know yet
	steps    []stepFrom   // append-only
	notes    map[string][]byte
	reserved map[reservation]bool
	expected map[string]bool // IDs of tracks that only a header is known of

	overtaken []Expired                  // journaled after what follows them had expired; the next expire returns them
	flights   map[*plan]storage.Position // plans being journaled, and the highest position known when they began
	highest   storage.Position           // of the segment stream, as far as it is known

	longest media.Time // longest video segment ever seen (audio where there is no video)
	edge    media.Time // live edge: never goes back
	version uint64     // grows with every snapshot
}

// part is a Part and the grid that its segments lie on.
type part struct {
	media.Part
	grid media.Grid // valid once a segment fixed it
	kept bool       // the journal has the grid
}

// stepFrom says that segments last step from a part on.
type stepFrom struct {
	part uint32
	step media.Time
}

type track struct {
	media.Track
	index   int
	configs []*media.Config // append-only

	// segments and positions are append-only for readers: an element, once in a snapshot, is never changed in place.
	segments  []media.Segment
	positions []storage.Position
	pending   []media.Segment // being journaled, ascending by Start; Number -1 for those that will be held
	held      []held          // journaled, not yet numbered, ascending by Start
	gone      gone

	bytes, ticks int64 // sums over segments
	peak         int   // bit/s
}

type held struct {
	media.Segment
	position storage.Position
}

// gone is what is remembered of a track's expired segments: the newest number and end, and sums for the bitrate.
type gone struct {
	number, start, end int64 // number is -1 before anything expired
	bytes, ticks       int64
}

// before reports whether start lies in what is gone.
func (g gone) before(start int64) bool { return g.number >= 0 && start <= g.start }

type reservation struct {
	track string
	start int64
}

func newState(n Numbering) state {
	return state{numbering: n, tracks: map[string]*track{}, notes: map[string][]byte{}, reserved: map[reservation]bool{}, expected: map[string]bool{},
		flights: map[*plan]storage.Position{}}
}

func newTrack(tr media.Track, index int) *track {
	return &track{Track: tr, index: index, gone: gone{number: -1}}
}

func (s *state) hasVideo() bool {
	for _, tr := range s.order {
		if tr.Kind == media.Video {
			return true
		}
	}
	return false
}

// parted returns the index of the part with the given ordinal, -1 when there is none. Ordinals count from 0.
func (s *state) parted(ordinal uint32) int {
	if int64(ordinal) < int64(len(s.parts)) {
		return int(ordinal)
	}
	return -1
}

func (s *state) addPart(p media.Part) {
	s.parts = append(s.parts, part{Part: p})
	s.shown = append(s.shown, p)
}

// takeBack lets a part begin earlier, at start.
func (s *state) takeBack(i int, start media.Time) {
	s.parts[i].Start = start
	s.shown = slices.Clone(s.shown)
	s.shown[i].Start = start
}

// endBefore returns where the media of the parts before a part ends, what is being journaled or has no number included.
func (s *state) endBefore(ordinal uint32) (end media.Time) {
	for _, tr := range s.order {
		if tr.Kind == media.Metadata {
			continue
		}
		last := tr.gone.end
		n := len(tr.segments)
		for n > 0 && tr.segments[n-1].Part >= ordinal {
			n--
		}
		if n > 0 {
			last = max(last, tr.segments[n-1].End())
		}
		for _, seg := range tr.pending {
			if seg.Part < ordinal {
				last = max(last, seg.End())
			}
		}
		for _, h := range tr.held {
			if h.Part < ordinal {
				last = max(last, h.End())
			}
		}
		if at := media.At(last, tr.Timescale); end.Before(at) {
			end = at
		}
	}
	return end
}

// setGrid fixes the grid of a part.
func (s *state) setGrid(i int, g media.Grid) {
	s.parts[i].grid = g
	s.setStep(s.parts[i].Ordinal, g.Step)
}

// setStep notes how long segments are from a part on. While numbers are counted the step stays: the numbers of joined
// output segments hang on it.
func (s *state) setStep(part uint32, step media.Time) {
	n := len(s.steps)
	if n == 0 || !s.counting && s.steps[n-1].part < part && s.steps[n-1].step.Compare(step) != 0 {
		s.steps = append(s.steps, stepFrom{part, step})
	}
}

// place reports whether a segment of [start, end) can be taken in, as far as those that begin before it say: ErrDuplicate or
// ErrOverlap.
func (s *state) place(tr *track, start, end int64) error {
	i := sort.Search(len(tr.segments), func(i int) bool { return tr.segments[i].Start > start })
	if i > 0 {
		if err := beside(tr.segments[i-1], start, end); err != nil {
			return err
		}
	}
	for _, p := range tr.pending {
		if err := beside(p, start, end); err != nil {
			return err
		}
	}
	for _, h := range tr.held {
		if err := beside(h.Segment, start, end); err != nil {
			return err
		}
	}
	if tr.gone.before(start) {
		return ErrOverlap
	}
	return nil
}

// jitter is the share of a segment (one in jitter) by which its neighbour may reach into it. Sources are not exact, least of
// all about how long the last picture of a segment lasts: what follows is no less new for that.
const jitter = 4

// beside reports whether [start, end) lies beside have, and is not a part of it.
func beside(have media.Segment, start, end int64) error {
	switch {
	case have.Start == start:
		return ErrDuplicate
	case have.Start < start && (start < have.End()-have.Duration/jitter || end <= have.End()):
		return ErrOverlap
	}
	return nil
}

// each calls f with the segments of tr in any state, in no order.
func (tr *track) each(f func(media.Segment)) {
	for _, have := range tr.segments {
		f(have)
	}
	for _, have := range tr.pending {
		f(have)
	}
	for _, have := range tr.held {
		f(have.Segment)
	}
}

// uncovered implements Timeline.Uncovered.
func (tr *track) uncovered(start, end int64) int64 {
	var have []media.Segment
	tr.each(func(seg media.Segment) {
		if seg.End() > start && seg.Start < end {
			have = append(have, seg)
		}
	})
	sort.Slice(have, func(i, j int) bool { return have[i].Start < have[j].Start })
	missing := int64(0)
	if tr.gone.number >= 0 {
		start = max(start, tr.gone.end)
	}
	for _, seg := range have {
		missing += max(0, seg.Start-start)
		start = max(start, seg.End())
	}
	return missing + max(0, end-start)
}

// endless is the end of a segment that is not known yet.
const endless = math.MaxInt64

func (s *state) reserve(trackID string, start int64) error {
	r := reservation{trackID, start}
	if s.reserved[r] {
		return ErrDuplicate
	}
	if tr := s.tracks[trackID]; tr != nil {
		if err := s.place(tr, start, endless); err != nil {
			return err
		}
	}
	s.reserved[r] = true
	return nil
}

func (s *state) release(trackID string, start int64) { delete(s.reserved, reservation{trackID, start}) }

// newest returns the newest segment of a track in any state, held ones with Number -1; ok is false when it has none.
func (tr *track) newest() (seg media.Segment, ok bool) {
	if n := len(tr.segments); n > 0 {
		seg, ok = tr.segments[n-1], true
	}
	if n := len(tr.pending); n > 0 && (!ok || tr.pending[n-1].Start > seg.Start) {
		seg, ok = tr.pending[n-1], true
	}
	if n := len(tr.held); n > 0 && (!ok || tr.held[n-1].Start > seg.Start) {
		seg, ok = tr.held[n-1].Segment, true
	}
	return seg, ok
}

// insert puts a segment in its place by start. In the usual case that is the end, where appending beyond what snapshots
// can see is safe; otherwise the slices are copied.
func (tr *track) insert(seg media.Segment, pos storage.Position) {
	n := len(tr.segments)
	if n == 0 || tr.segments[n-1].Start < seg.Start {
		tr.segments = append(tr.segments, seg)
		tr.positions = append(tr.positions, pos)
	} else {
		i := sort.Search(n, func(i int) bool { return tr.segments[i].Start > seg.Start })
		tr.segments = append(append(append(make([]media.Segment, 0, n+1), tr.segments[:i]...), seg), tr.segments[i:]...)
		tr.positions = append(append(append(make([]storage.Position, 0, n+1), tr.positions[:i]...), pos), tr.positions[i:]...)
	}
	tr.bytes += seg.Size
	tr.ticks += seg.Duration
	tr.peak = max(tr.peak, bitrate(seg.Size, seg.Duration, tr.Timescale))
}

// hold keeps a segment that has no number yet.
func (tr *track) hold(seg media.Segment, pos storage.Position) {
	i := sort.Search(len(tr.held), func(i int) bool { return tr.held[i].Start >= seg.Start })
	tr.held = append(tr.held[:i:i], append([]held{{seg, pos}}, tr.held[i:]...)...)
}

// unhold drops the held segment that starts at start, if there is one.
func (tr *track) unhold(start int64) {
	for i := range tr.held {
		if tr.held[i].Start == start {
			tr.held = append(tr.held[:i:i], tr.held[i+1:]...)
			return
		}
	}
}

// await adds a segment to those being journaled.
func (tr *track) await(seg media.Segment) {
	i := sort.Search(len(tr.pending), func(i int) bool { return tr.pending[i].Start >= seg.Start })
	tr.pending = append(tr.pending[:i:i], append([]media.Segment{seg}, tr.pending[i:]...)...)
}

// settle drops a segment from those being journaled.
func (tr *track) settle(start int64) {
	for i := range tr.pending {
		if tr.pending[i].Start == start {
			tr.pending = append(tr.pending[:i:i], tr.pending[i+1:]...)
			return
		}
	}
}

// bitrate returns bit/s of size bytes in ticks at scale. Stretches under a fifth of a second say nothing.
func bitrate(size, ticks int64, scale uint32) int {
	if ticks < int64(scale)/5 {
		return 0
	}
	return int(media.At(ticks, scale).Rate(8 * size))
}

func (tr *track) average() int {
	return bitrate(tr.bytes+tr.gone.bytes, tr.ticks+tr.gone.ticks, tr.Timescale)
}

func (s *state) uniqueBitrate(tr media.Track) int {
	b := max(tr.Bitrate, 1)
	for again := true; again; {
		again = false
		for _, o := range s.order {
			if o.Kind == tr.Kind && o.Bitrate == b {
				b, again = b+1, true
			}
		}
	}
	return b
}

// earliest implements Timeline.Earliest.
func (s *state) earliest() media.Time {
	var at media.Time
	last := int64(-1)
	for _, tr := range s.order {
		if tr.Kind == media.Metadata {
			continue
		}
		end, number := tr.gone.end, tr.gone.number
		if seg, ok := tr.newest(); ok {
			end = max(end, seg.End())
			number = max(number, seg.Number)
			if n := len(tr.segments); n > 0 {
				number = max(number, tr.segments[n-1].Number)
			}
		}
		if t := media.At(end, tr.Timescale); end > 0 && at.Before(t) {
			at = t
		}
		last = max(last, number)
	}
	if s.counting || s.numbering == Counter || last < 0 {
		return at
	}
	for i := len(s.parts) - 1; i >= 0; i-- {
		if g := s.parts[i].grid; g.Valid() {
			g.Phase.Ticks = 0
			const scale = 1_000_000
			if next := media.At(g.Start(last+1, scale)+1, scale); at.Before(next) {
				at = next
			}
			break
		}
	}
	return at
}

func (s *state) expire(cutoff time.Time, limit int) (out []Expired) {
	out, s.overtaken = s.overtaken, nil
	for _, tr := range s.order {
		edge := media.FromUTC(cutoff).Floor(tr.Timescale)
		n := sort.Search(len(tr.segments), func(i int) bool { return tr.segments[i].End() > edge })
		for n > 0 && tr.segments[n-1].Arrived > cutoff.UnixMilli() { // of a source whose clock is slow
			n--
		}
		n = max(0, min(n, limit-len(out)))
		for _, seg := range tr.segments[:n] {
			out = append(out, Expired{Track: tr.ID, Segment: seg})
			tr.forget(seg)
		}
		tr.segments, tr.positions = tr.segments[n:], tr.positions[n:]
		for len(tr.held) > 0 && tr.held[0].End() <= edge && tr.held[0].Arrived <= cutoff.UnixMilli() && len(out) < limit {
			out = append(out, Expired{Track: tr.ID, Segment: tr.held[0].Segment})
			tr.held = tr.held[1:]
		}
	}
	return out
}

// forget moves a segment's share from the sums of what is there to those of what is gone.
func (tr *track) forget(seg media.Segment) {
	tr.bytes -= seg.Size
	tr.ticks -= seg.Duration
	tr.gone.bytes += seg.Size
	tr.gone.ticks += seg.Duration
	tr.gone.number = max(tr.gone.number, seg.Number)
	tr.gone.start = max(tr.gone.start, seg.Start)
	tr.gone.end = max(tr.gone.end, seg.End())
}

// epitaph returns the records that say what is gone of each track.
func (s *state) epitaph() (records [][]byte) {
	for _, tr := range s.order {
		if tr.gone.number >= 0 {
			records = append(records, encodeGone(tr))
		}
	}
	return records
}

// oldest returns the position of the oldest record that is still needed, at most limit.
func (s *state) oldest(limit storage.Position) storage.Position {
	for _, tr := range s.order {
		for _, h := range tr.held {
			limit = min(limit, h.position)
		}
		for _, p := range tr.positions {
			limit = min(limit, p)
		}
	}
	for p, known := range s.flights {
		limit = min(limit, known+1)
		for _, h := range p.settled {
			limit = min(limit, h.position)
		}
	}
	return limit
}

// know tells that the segment stream reaches pos at least.
func (s *state) know(pos storage.Position) { s.highest = max(s.highest, pos) }

// errPart is what an unknown part is refused with.
func errPart(ordinal uint32) error { return fmt.Errorf("%w: part %d", ErrNoTrack, ordinal) }
