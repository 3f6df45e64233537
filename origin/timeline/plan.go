package timeline

import (
	"slices"
	"sort"

	"headwater/packager/media"
	"headwater/storage"
)

// plan is a decided change: what to journal, and what to apply once that is durable. Appends run at the same time, so a
// plan's numbers are claimed when it is made (track.pending), and given back when it cannot be journaled. What it decides
// for its part or for the channel stays decided either way, and each plan that rests on it journals it until one has.
type plan struct {
	track   *track
	add     Add
	segment media.Segment
	part    int // index of the segment's part

	hold     bool
	settled  []settled  // held segments that this one settles
	grid     media.Grid // that the number rests on; not valid when it is counted
	counting bool       // the number is counted
	longest  media.Time
	moved    []media.Part // parts whose start was taken back

	meta, records [][]byte
}

type settled struct {
	held
	track *track
}

// plan decides the number of a segment and claims it.
func (s *state) plan(trackID string, add Add) (*plan, error) {
	tr := s.tracks[trackID]
	if tr == nil {
		return nil, ErrNoTrack
	}
	p := &plan{track: tr, add: add, segment: add.Segment, part: s.parted(add.Part)}
	switch {
	case p.part < 0:
		return nil, errPart(add.Part)
	case !tr.knows(add.Config):
		return nil, errConfig(trackID)
	case add.Duration <= 0 || add.Size < 0 || add.Start < 0 || add.Start > maxTicks || add.Duration > maxTicks:
		return nil, errRange
	}
	if err := s.place(tr, add.Start, add.End()); err != nil {
		return nil, err
	}
	if next := tr.follower(add.Start); next != nil && add.End() > next.Start+next.Duration/jitter {
		return nil, ErrOverlap
	}
	p.segment.Number = -1
	if err := s.number(p); err != nil {
		return nil, err
	}
	s.claim(p)
	return p, nil
}

func (tr *track) knows(c *media.Config) bool {
	for _, have := range tr.configs {
		if have == c {
			return true
		}
	}
	return false
}

// follower returns the first numbered segment that starts after start, nil when there is none.
func (tr *track) follower(start int64) (next *media.Segment) {
	if i := sort.Search(len(tr.segments), func(i int) bool { return tr.segments[i].Start > start }); i < len(tr.segments) {
		next = &tr.segments[i]
	}
	for i := range tr.pending {
		if q := &tr.pending[i]; q.Number >= 0 && q.Start > start && (next == nil || q.Start < next.Start) {
			next = q
		}
	}
	return next
}

// claim makes a plan's decisions known to the plans after it, and writes its records.
func (s *state) claim(p *plan) {
	for _, h := range p.settled {
		h.track.unhold(h.Start)
		h.track.await(h.Segment)
		p.records = append(p.records, encodeSegment(recordSegment, h.track, h.Segment))
	}
	p.track.await(p.segment)
	kind := byte(recordSegment)
	if p.hold {
		kind = recordHeld
	}
	p.records = append(p.records, encodeSegment(kind, p.track, p.segment))
	if pt := &s.parts[p.part]; p.grid.Valid() {
		if !pt.grid.Valid() {
			s.setGrid(p.part, p.grid)
		}
		if !pt.kept {
			p.meta = append(p.meta, encodeGrid(pt.Ordinal, pt.grid))
		}
	}
	if p.counting {
		if !s.counting {
			s.setStep(0, p.length())
			s.counting = true
		}
		if !s.counted {
			p.meta = append(p.meta, encodeCounting(s.steps[len(s.steps)-1].step))
		}
	}
	if p.track.Kind == media.Metadata {
		s.flights[p] = s.highest
		return
	}
	if d := p.length(); s.countsForLongest(p.track) && s.longest.Before(d) {
		p.longest = d
		p.meta = append(p.meta, encodeLongest(d))
	}
	s.beginEarlier(p)
	for _, pt := range s.moved {
		p.moved = append(p.moved, pt)
		p.meta = append(p.meta, encodePart(pt))
	}
	s.flights[p] = s.highest
}

// beginEarlier takes the start of p's part back to that of its segment: encoders prime audio, so that the track that came
// first need not be the one that begins first. A part that was shown stays as it is, and none reaches into the media
// before it.
func (s *state) beginEarlier(p *plan) {
	pt := &s.parts[p.part]
	start := media.At(p.segment.Start, p.track.Timescale)
	mid := media.At(p.segment.Start+p.segment.Duration/2, p.track.Timescale)
	if !start.Before(pt.Start) || mid.Before(pt.Start) || pt.Start.Before(s.edge) {
		return
	}
	if end := s.endBefore(pt.Ordinal); start.Before(end) {
		start = end
	}
	if !start.Before(pt.Start) {
		return
	}
	s.takeBack(p.part, start)
	s.moved = slices.DeleteFunc(s.moved, func(m media.Part) bool { return m.Ordinal == pt.Ordinal })
	s.moved = append(s.moved, pt.Part)
}

// length returns how long a whole segment of the plan's source is.
func (p *plan) length() media.Time {
	d := media.At(p.add.Duration, p.track.Timescale)
	if d.Before(p.add.Step) {
		return p.add.Step
	}
	return d
}

// countsForLongest reports whether the segments of a track set the target duration: those of video, of audio while there
// is no other.
func (s *state) countsForLongest(tr *track) bool {
	if tr.Kind == media.Video {
		return true
	}
	for _, o := range s.order {
		if o.Kind == media.Video && (len(o.segments) > 0 || len(o.held) > 0 || o.gone.number >= 0) {
			return false
		}
	}
	return true
}

// described makes true what a plan says of its part and of the channel, once that is durable.
func (s *state) described(p *plan) {
	if p.grid.Valid() {
		s.parts[p.part].kept = true
	}
	s.counted = s.counted || p.counting
	s.moved = slices.DeleteFunc(s.moved, func(m media.Part) bool { return slices.Contains(p.moved, m) })
	if s.longest.Before(p.longest) {
		s.longest = p.longest
	}
}

// apply makes a plan true whose last record is durable at pos.
func (s *state) apply(p *plan, pos storage.Position) {
	delete(s.flights, p)
	s.know(pos)
	at := pos - storage.Position(len(p.settled))
	for _, h := range p.settled {
		h.track.settle(h.Start)
		s.insert(h.track, h.Segment, at)
		at++
	}
	p.track.settle(p.segment.Start)
	if p.hold {
		p.track.hold(p.segment, pos)
	} else {
		s.insert(p.track, p.segment, pos)
	}
}

// insert puts a journaled segment in its place, unless what follows it expired while it was being journaled: then it is
// gone as well, as a replay of the journal will have it.
func (s *state) insert(tr *track, seg media.Segment, pos storage.Position) {
	if tr.gone.before(seg.Start) {
		s.overtaken = append(s.overtaken, Expired{Track: tr.ID, Segment: seg})
		return
	}
	tr.insert(seg, pos)
}

// abandon gives back what a plan claimed.
func (s *state) abandon(p *plan) {
	delete(s.flights, p)
	p.track.settle(p.segment.Start)
	for _, h := range p.settled {
		h.track.settle(h.Start)
		h.Number = -1
		h.track.hold(h.Segment, h.position)
	}
}
