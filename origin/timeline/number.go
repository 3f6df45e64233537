package timeline

import "headwater/packager/media"

// offGrid is the share of a step (one in offGrid) by which a video segment may start beside the grid.
const offGrid = 8

// mostApart is by how much numbers may lie further apart than the media between them has slots: one follows the other, and both
// may be cut short.
const mostApart = 3

// patience is how many audio segments of a part wait for video to say where the grid lies.
const patience = 4

// number chooses the number of p's segment, or holds it. See design, idea 1, and reference mediapackage.md 5c and 6a.
// Error: ErrBackwards.
func (s *state) number(p *plan) error {
	if p.track.Kind == media.Metadata {
		p.segment.Number = p.segment.Start // it has no part in the numbering, and may come in any order
		return nil
	}
	if s.counting || s.numbering == Counter {
		return s.count(p)
	}
	p.grid = s.parts[p.part].grid
	if !p.grid.Valid() {
		if p.grid, p.hold = s.newGrid(p); p.hold {
			p.grid = media.Grid{}
			return nil
		}
	}
	if !p.grid.Valid() || !s.settle(p) {
		return s.count(p)
	}
	n, ok := numberOn(p.grid, p.track, p.segment)
	switch s.judge(p, p.track, p.segment, n, ok) {
	case leaves:
		return s.count(p)
	case taken:
		return ErrBackwards
	}
	p.segment.Number = n
	return nil
}

// newGrid derives the grid of a part from its first segments: from the video's first, unless the source's clock is UTC
// and nothing says yet how long its segments are, since a first segment may be cut short by the encoder joining in the
// middle; then from the second. wait means that a later segment will tell. An invalid grid means that there is none.
func (s *state) newGrid(p *plan) (g media.Grid, wait bool) {
	tr, add := p.track, p.add
	start, end := media.At(add.Start, tr.Timescale), media.At(add.End(), tr.Timescale)
	length := end.Sub(start)
	waiting := p.track.waiting(add.Part)
	if tr.Kind != media.Video {
		// Audio boundaries only approximate the grid.
		if s.hasVideo() && waiting < patience || waiting == 0 {
			return g, true
		}
		if s.numbering == Epoch {
			return s.audioGrid(p), false
		}
		return g, false
	}
	switch {
	case add.Step.Ticks > 0 && length.Before(add.Step):
		return media.NewGrid(end, add.Step), false // what the first segment lacks, it lacks at its beginning
	case add.Step.Ticks > 0:
		return media.NewGrid(start, add.Step), false
	case !add.Locked:
		return media.NewGrid(start, length), false
	}
	for i := p.part - 1; i >= 0; i-- {
		if g := s.parts[i].grid; g.Valid() {
			_, on := numberOn(g, tr, add.Segment)
			if on && length.Ticks <= g.Step.Round(tr.Timescale)*(offGrid+1)/offGrid {
				return g, false
			}
			break
		}
	}
	return media.NewGrid(start, length), waiting == 0
}

// waiting returns how many segments of a part have no number yet.
func (tr *track) waiting(part uint32) (n int) {
	for _, h := range tr.held {
		if h.Part == part {
			n++
		}
	}
	for _, q := range tr.pending {
		if q.Part == part && q.Number < 0 {
			n++
		}
	}
	return n
}

// unsettled reports whether a segment of another track that will have no number is on its way into the journal: what would
// settle it waits, since the next one may not be of the part any more.
func (s *state) unsettled(trackID string, part uint32) bool {
	for _, tr := range s.order {
		for _, q := range tr.pending {
			if tr.ID != trackID && q.Part == part && q.Number < 0 {
				return true
			}
		}
	}
	return false
}

// audioGrid returns the grid of audio alone where there has to be one: its step is the segment's duration to a tenth of a
// second, since segments of whole audio frames vary around it.
func (s *state) audioGrid(p *plan) media.Grid {
	step := p.add.Step
	if step.Ticks <= 0 {
		step = media.At(max(1, media.At(p.add.Duration, p.track.Timescale).Round(10)), 10)
	}
	if p.add.Locked {
		return media.NewGrid(media.At(0, p.track.Timescale), step)
	}
	return media.NewGrid(media.At(p.add.Start, p.track.Timescale), step)
}

// numberOn returns the number of a segment of tr on the grid; ok is false when a video segment is off the grid. A segment
// that starts late but ends on the grid, as of an encoder that joined in the middle, has the number of its slot.
func numberOn(g media.Grid, tr *track, seg media.Segment) (n int64, ok bool) {
	n, off := g.Number(media.At(seg.Start, tr.Timescale))
	slack := g.Step.Round(tr.Timescale) / offGrid
	if tr.Kind != media.Video || off <= slack && -off <= slack {
		return n, true
	}
	slot, off := g.Number(media.At(seg.End(), tr.Timescale))
	if off <= slack && -off <= slack && seg.Duration < slack*offGrid {
		return slot - 1, true
	}
	return n, false
}

// verdict says what a number means for the order of a track.
type verdict uint8

const (
	fits   verdict = iota
	leaves         // the source has no grid
	taken          // there is no number for this segment, but the next one has its own
)

// judge says whether number n suits a segment of tr. on is false when the segment does not lie on the grid.
func (s *state) judge(p *plan, tr *track, seg media.Segment, n int64, on bool) verdict {
	before, after := p.neighbours(tr, seg.Start)
	floor, contiguous, same, apart := tr.gone.number, false, false, false
	if before != nil {
		floor = max(floor, before.Number)
		gap := seg.Start - before.End()
		contiguous = before.Part == seg.Part && gap < p.grid.Step.Round(tr.Timescale)/2
		same = before.Part == seg.Part && gap < p.grid.Step.Round(tr.Timescale)/offGrid
		apart = n-before.Number > max(0, gap)/max(1, p.grid.Step.Round(tr.Timescale))+mostApart
	}
	late := after != nil || tr.gone.before(seg.Start)
	switch {
	case late && (!on || n <= floor || after != nil && n >= after.Number):
		return taken // what comes late never changes how a channel is numbered
	case s.numbering == Epoch && n > floor:
		return fits
	case s.numbering == Epoch:
		return taken
	case !on:
		return leaves
	case n == floor && !same:
		return taken // the rest of a slot whose beginning is there
	case n <= floor:
		return leaves
	case n > floor+1 && contiguous:
		return leaves // nothing is missing, so this is not a gap: the segment before is longer than a slot
	case apart:
		return leaves // segments are shorter than they were: a playlist cannot leave out what was never between the two
	}
	return fits
}

// neighbours returns the numbered segments of tr before and after start, nil where there is none.
func (p *plan) neighbours(tr *track, start int64) (before, after *media.Segment) {
	closest := func(seg *media.Segment) {
		switch {
		case seg.Number < 0:
		case seg.Start < start && (before == nil || before.Start < seg.Start):
			before = seg
		case seg.Start > start && (after == nil || after.Start > seg.Start):
			after = seg
		}
	}
	for i := len(tr.segments) - 1; i >= 0; i-- {
		closest(&tr.segments[i])
		if tr.segments[i].Start < start {
			break
		}
	}
	for i := range tr.pending {
		closest(&tr.pending[i])
	}
	for i := range p.settled {
		if p.settled[i].track == tr {
			closest(&p.settled[i].Segment)
		}
	}
	return before, after
}

// settle numbers the segments held in p's part, now that the grid is known; false when they show that there is none.
func (s *state) settle(p *plan) bool {
	for _, tr := range s.order {
		for _, h := range tr.held {
			if h.Part != p.add.Part {
				continue
			}
			n, ok := numberOn(p.grid, tr, h.Segment)
			if before, _ := p.neighbours(tr, h.Start); before == nil || before.Part != h.Part {
				// Whatever the first segment lacks, it lacks at its beginning.
				n, _ = p.grid.Number(media.At(h.End(), tr.Timescale))
				n--
			}
			switch s.judge(p, tr, h.Segment, n, ok) {
			case leaves:
				return false
			case fits:
				h.Number = n
				p.settled = append(p.settled, settled{h, tr})
			}
		}
	}
	return true
}
