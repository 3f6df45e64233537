package timeline

import (
	"fmt"
	"sort"
	"time"

	"headwater/packager/media"
	"headwater/storage"
)

// state is what a Timeline knows. It is guarded by Timeline.mu and does no I/O.
type state struct {
	numbering Numbering
	counting  bool // numbers come from the counter: Counter, or Auto after segments left the grid

	tracks   map[string]*track
	order    []*track     // by index, as the journal refers to them
	parts    []part       // ascending by ordinal
	shown    []media.Part // the same for snapshots: append-only
	notes    map[string][]byte
	reserved map[reservation]bool

	longest media.Time // longest video segment ever seen (audio where there is no video): TARGETDURATION never shrinks
	version uint64     // grows with every snapshot
}

type part struct {
	media.Part
	grid media.Grid
}

type track struct {
	media.Track
	index   int
	configs []*media.Config

	// segments and positions are append-only for readers: an element, once in a snapshot, is never changed in place.
	segments  []media.Segment
	positions []storage.Position
	held      []Add // journaled, not yet numbered
	lastGone  int64 // number of the newest segment that expired

	bytes, ticks int64 // sums over all segments since the track began
	peak         int   // bit/s
}

type reservation struct {
	track string
	start int64
}

// plan is a decided change: what to journal, and what to apply once that is durable.
type plan struct {
	track    *track
	segment  media.Segment
	add      Add
	hold     bool
	settled  []settled   // held segments that this one settles
	counting bool        // switch to the counter
	grid     *media.Grid // grid of the segment's part, when this segment fixes it
	longest  media.Time
	meta     [][]byte
	records  [][]byte
	position storage.Position
}

type settled struct {
	track   *track
	segment media.Segment
}

// plan decides the number of a segment. It changes nothing but reservations.
func (s *state) plan(trackID string, add Add) (*plan, error) {
	tr := s.tracks[trackID]
	if tr == nil {
		return nil, ErrNoTrack
	}
	if err := s.place(tr, add.Start); err != nil {
		return nil, err
	}
	p := &plan{track: tr, add: add, segment: add.Segment}
	if s.parted(add.Part) < 0 {
		return nil, fmt.Errorf("%w: part %d", ErrNoTrack, add.Part)
	}
	if err := s.number(p); err != nil {
		return nil, err
	}
	if d := media.At(add.Duration, tr.Timescale); s.countsForLongest(tr) && s.longest.Before(d) {
		p.longest = d
		p.meta = append(p.meta, encodeLongest(d))
	}
	if p.hold {
		p.segment.Number = -1
		p.records = append(p.records, encodeSegment(recordHeld, tr, p.segment))
		return p, nil
	}
	for _, h := range p.settled {
		p.records = append(p.records, encodeSegment(recordSegment, h.track, h.segment))
	}
	p.records = append(p.records, encodeSegment(recordSegment, tr, p.segment))
	return p, nil
}

func (s *state) countsForLongest(tr *track) bool {
	return tr.Kind == media.Video || !s.hasVideo()
}

func (s *state) hasVideo() bool {
	for _, tr := range s.order {
		if tr.Kind == media.Video {
			return true
		}
	}
	return false
}

// parted returns the index of the part with the given ordinal, -1 when there is none.
func (s *state) parted(ordinal uint32) int {
	i := sort.Search(len(s.parts), func(i int) bool { return s.parts[i].Ordinal >= ordinal })
	if i < len(s.parts) && s.parts[i].Ordinal == ordinal {
		return i
	}
	return -1
}

// place reports whether a segment that starts at start can be taken in.
func (s *state) place(tr *track, start int64) error {
	for _, h := range tr.held {
		if h.Start == start {
			return ErrDuplicate
		}
	}
	i := sort.Search(len(tr.segments), func(i int) bool { return tr.segments[i].Start > start })
	if i == 0 {
		return nil
	}
	before := tr.segments[i-1]
	if before.Start == start {
		return ErrDuplicate
	}
	// A start up to a tenth of the segment early is jitter of the source, not an overlap.
	if start < before.End()-before.Duration/10 {
		return ErrOverlap
	}
	return nil
}

func (s *state) reserve(trackID string, start int64) error {
	r := reservation{trackID, start}
	if s.reserved[r] {
		return ErrDuplicate
	}
	if tr := s.tracks[trackID]; tr != nil {
		if err := s.place(tr, start); err != nil {
			return err
		}
	}
	s.reserved[r] = true
	return nil
}

func (s *state) release(trackID string, start int64) { delete(s.reserved, reservation{trackID, start}) }

// apply makes a journaled plan true.
func (s *state) apply(p *plan) {
	if p.counting {
		s.counting = true
	}
	if p.grid != nil {
		s.parts[s.parted(p.segment.Part)].grid = *p.grid
	}
	if s.longest.Before(p.longest) {
		s.longest = p.longest
	}
	if p.hold {
		p.track.held = append(p.track.held, p.add)
		return
	}
	for _, h := range p.settled {
		if h.track.unhold(h.segment.Start) { // else a segment appended at the same time has settled it
			h.track.insert(h.segment, p.position)
		}
	}
	p.track.insert(p.segment, p.position)
}

// unhold drops the held segment that starts at start and reports whether there was one.
func (tr *track) unhold(start int64) bool {
	for i := range tr.held {
		if tr.held[i].Start == start {
			tr.held = append(tr.held[:i:i], tr.held[i+1:]...)
			return true
		}
	}
	return false
}

// insert puts a segment in its place by start. In the usual case that is the end, where appending beyond what snapshots
// can see is safe; otherwise the slices are copied.
func (tr *track) insert(seg media.Segment, pos storage.Position) {
	i := sort.Search(len(tr.segments), func(i int) bool { return tr.segments[i].Start > seg.Start })
	if i == len(tr.segments) {
		tr.segments = append(tr.segments, seg)
		tr.positions = append(tr.positions, pos)
	} else {
		tr.segments = append(append(append([]media.Segment{}, tr.segments[:i]...), seg), tr.segments[i:]...)
		tr.positions = append(append(append([]storage.Position{}, tr.positions[:i]...), pos), tr.positions[i:]...)
	}
	tr.bytes += seg.Size
	tr.ticks += seg.Duration
	tr.peak = max(tr.peak, bitrate(seg.Size, seg.Duration, tr.Timescale))
}

// bitrate returns bit/s of size bytes in ticks at scale. Stretches under a fifth of a second say nothing.
func bitrate(size, ticks int64, scale uint32) int {
	if ticks < int64(scale)/5 {
		return 0
	}
	return int(media.At(size*8, uint32(min(ticks, 1<<32-1))).Floor(scale))
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
	var last int64
	for _, tr := range s.order {
		if n := len(tr.segments); n > 0 {
			seg := tr.segments[n-1]
			if end := media.At(seg.End(), tr.Timescale); at.Before(end) {
				at = end
			}
			last = max(last, seg.Number)
		}
	}
	if n := len(s.parts); n > 0 && !s.counting {
		for i := n - 1; i >= 0; i-- {
			if g := s.parts[i].grid; g.Valid() {
				g.Phase.Ticks = 0
				const scale = 1_000_000
				if next := media.At(g.Start(last+1, scale)+1, scale); at.Before(next) {
					at = next
				}
				break
			}
		}
	}
	return at
}

func (s *state) expire(cutoff time.Time, limit int) (out []Expired) {
	for _, tr := range s.order {
		edge := media.FromUTC(cutoff).Floor(tr.Timescale)
		n := sort.Search(len(tr.segments), func(i int) bool { return tr.segments[i].End() > edge })
		n = min(n, limit-len(out))
		for _, seg := range tr.segments[:n] {
			out = append(out, Expired{Track: tr.ID, Segment: seg})
			tr.lastGone = max(tr.lastGone, seg.Number)
		}
		tr.segments, tr.positions = tr.segments[n:], tr.positions[n:]
	}
	return out
}

// oldestPosition returns the position of the oldest record still needed, 0 when nothing can be trimmed.
func (s *state) oldestPosition() (oldest storage.Position) {
	for _, tr := range s.order {
		if len(tr.held) > 0 {
			return 0
		}
		for _, p := range tr.positions[:min(len(tr.positions), 64)] {
			if oldest == 0 || p < oldest {
				oldest = p
			}
		}
	}
	return oldest
}

// finishReplay completes what the records leave to be derived.
func (s *state) finishReplay() {
	for _, tr := range s.order {
		if tr.lastGone == 0 && len(tr.segments) > 0 {
			tr.lastGone = tr.segments[0].Number - 1
		}
	}
}

func (s *state) addPart(p media.Part) {
	s.parts = append(s.parts, part{Part: p})
	s.shown = append(s.shown, p)
}
