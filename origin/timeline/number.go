package timeline

import "headwater/packager/media"

// offGrid is the share of a step (one in offGrid) by which a video segment may start beside the grid.
const offGrid = 8

// number chooses the number of p's segment, or holds it. See design, idea 1, and reference mediapackage.md 5c and 6a.
func (s *state) number(p *plan) error {
	tr, add := p.track, p.add
	pt := &s.parts[s.parted(add.Part)]
	if s.numbering == Counter || s.counting {
		s.count(p)
		return nil
	}
	grid := pt.grid
	if !grid.Valid() {
		var wait bool
		if grid, wait = s.newGrid(p); wait {
			p.hold = true
			return nil
		}
		if !grid.Valid() {
			return s.leaveGrid(p)
		}
		p.grid = &grid
		p.meta = append(p.meta, encodeGrid(add.Part, grid))
	}
	if !s.settle(p, grid) {
		return s.leaveGrid(p)
	}
	n, ok := numberOn(grid, tr, add.Segment)
	if !ok || s.collides(p, n) {
		return s.leaveGrid(p)
	}
	p.segment.Number = n
	return nil
}

// newGrid derives the grid of a part from its first segments: from the video's first, unless the source's clock is UTC
// and nothing says yet how long its segments are, since a first segment may be cut short by the encoder joining in the
// middle; then from the second. wait means that a later segment will tell. An invalid grid means that there is none.
func (s *state) newGrid(p *plan) (g media.Grid, wait bool) {
	tr, add := p.track, p.add
	start := media.At(add.Start, tr.Timescale)
	length := media.At(add.Duration, tr.Timescale)
	if step := add.Step; step.Ticks > 0 {
		return media.NewGrid(start, step), false
	}
	if tr.Kind != media.Video {
		// Audio boundaries only approximate the grid. A second audio segment without any video means there is none.
		return g, len(tr.held) == 0 || s.hasVideoIn(add.Part)
	}
	if !add.Locked {
		return media.NewGrid(start, length), false
	}
	if i := s.parted(add.Part); i > 0 && s.parts[i-1].grid.Valid() && onGrid(s.parts[i-1].grid, tr, add.Start) {
		return s.parts[i-1].grid, false
	}
	return media.NewGrid(start, length), len(tr.held) == 0
}

func (s *state) hasVideoIn(part uint32) bool {
	for _, tr := range s.order {
		if tr.Kind != media.Video {
			continue
		}
		if n := len(tr.segments); n > 0 && tr.segments[n-1].Part == part {
			return true
		}
		if len(tr.held) > 0 {
			return true
		}
	}
	return false
}

func onGrid(g media.Grid, tr *track, start int64) bool {
	_, off := g.Number(media.At(start, tr.Timescale))
	step := g.Step.Round(tr.Timescale)
	return off <= step/offGrid && -off <= step/offGrid
}

// numberOn returns the number of a segment of tr on the grid; ok is false when a video segment is off the grid. A segment
// that starts late but ends on the grid, as of an encoder that joined in the middle, has the number of its slot.
func numberOn(g media.Grid, tr *track, seg media.Segment) (n int64, ok bool) {
	n, _ = g.Number(media.At(seg.Start, tr.Timescale))
	if tr.Kind != media.Video || onGrid(g, tr, seg.Start) {
		return n, true
	}
	n, _ = g.Number(media.At(seg.End(), tr.Timescale))
	return n - 1, onGrid(g, tr, seg.End())
}

// collides reports whether number n for p's segment would break the order of the track's numbers.
func (s *state) collides(p *plan, n int64) bool {
	tr := p.track
	before := tr.lastGone
	for _, h := range p.settled {
		if h.track == tr {
			before = max(before, h.segment.Number)
		}
	}
	after := int64(-1)
	for i := len(tr.segments) - 1; i >= 0; i-- {
		if tr.segments[i].Start < p.add.Start {
			before = max(before, tr.segments[i].Number)
			break
		}
		after = tr.segments[i].Number
	}
	return n <= before || after >= 0 && n >= after
}

// settle numbers the segments held in p's part, now that the grid is known; false when they do not fit it.
func (s *state) settle(p *plan, g media.Grid) bool {
	for _, tr := range s.order {
		last := tr.lastGone
		if n := len(tr.segments); n > 0 {
			last = tr.segments[n-1].Number
		}
		for i, h := range tr.held {
			if h.Part != p.add.Part {
				continue
			}
			seg := h.Segment
			n, ok := numberOn(g, tr, seg)
			if i == 0 {
				// Whatever the first segment lacks, it lacks at its beginning.
				n, _ = g.Number(media.At(h.End(), tr.Timescale))
				n--
			}
			if !ok || n <= last {
				p.settled = nil
				return false
			}
			seg.Number, last = n, n
			p.settled = append(p.settled, settled{tr, seg})
		}
	}
	return true
}

// leaveGrid switches the channel to counted numbers for good.
func (s *state) leaveGrid(p *plan) error {
	if s.numbering == Epoch {
		return ErrBackwards
	}
	p.grid, p.counting = nil, true
	p.meta = append(p.meta, []byte{recordCounting})
	s.count(p)
	return nil
}

// count gives the held segments and then p's segment one more than the track's last number each. A track without
// numbers takes the number of another track's segment that starts with it, else floor(start / duration).
func (s *state) count(p *plan) {
	p.settled = nil
	for _, tr := range s.order {
		last := tr.last()
		for _, h := range tr.held {
			seg := h.Segment
			seg.Number = s.counted(tr, last, h)
			last = seg.Number
			p.settled = append(p.settled, settled{tr, seg})
		}
	}
	last := p.track.last()
	for _, h := range p.settled {
		if h.track == p.track {
			last = h.segment.Number
		}
	}
	p.segment.Number = s.counted(p.track, last, p.add)
}

func (tr *track) last() int64 {
	if n := len(tr.segments); n > 0 {
		return tr.segments[n-1].Number
	}
	return tr.lastGone
}

func (s *state) counted(tr *track, last int64, add Add) int64 {
	seed := last + 1
	mid := media.At(add.Start+add.Duration/2, tr.Timescale)
	for _, o := range s.order {
		if n := len(o.segments); n > 0 && o != tr {
			seg := o.segments[n-1]
			if !mid.Before(media.At(seg.Start, o.Timescale)) && mid.Before(media.At(seg.End(), o.Timescale)) {
				return max(seed, seg.Number)
			}
		}
	}
	if last > 0 || add.Duration <= 0 {
		return seed
	}
	return add.Start / add.Duration
}
