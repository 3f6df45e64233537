package timeline

import "headwater/packager/media"

// count gives the held segments and then p's segment one more than their track's last number each, and makes the channel
// count for good. Error: ErrBackwards, for a segment that comes late and for every one that would leave a forced grid.
func (s *state) count(p *plan) error {
	if s.numbering == Epoch && !s.counting {
		return ErrBackwards
	}
	p.grid, p.settled, p.counting = media.Grid{}, nil, true
	for _, tr := range s.order {
		for _, h := range tr.held {
			if tr == p.track && h.Start > p.segment.Start {
				break
			}
			if n, ok := s.next(p, tr, h.Segment); ok {
				h.Number = n
				p.settled = append(p.settled, settled{h, tr})
			}
		}
	}
	n, ok := s.next(p, p.track, p.segment)
	if !ok {
		p.settled = nil
		return ErrBackwards
	}
	p.segment.Number = n
	return nil
}

// next returns the counted number of a segment that follows all numbered ones of its track; ok is false when it does not.
// Inside a part numbers grow by one. The first segment of a part takes the number of another track's segment that it
// goes with, so that tracks that lost segments agree again. The first of a channel has floor(start / duration).
func (s *state) next(p *plan, tr *track, seg media.Segment) (n int64, ok bool) {
	before, after := p.neighbours(tr, seg.Start)
	if after != nil || tr.gone.before(seg.Start) {
		return 0, false
	}
	last := tr.gone.number
	if before != nil {
		if last = before.Number; before.Part == seg.Part {
			return last + 1, true
		}
	}
	n = last + 1
	mid := media.At(seg.Start+seg.Duration/2, tr.Timescale)
	known := last >= 0
	for _, o := range s.order {
		if o == tr {
			continue
		}
		at, _ := p.neighbours(o, mid.Floor(o.Timescale)+1)
		switch {
		case at == nil:
			if o.gone.number >= 0 && last < 0 {
				n, known = max(n, o.gone.number+1), true
			}
		case mid.Before(media.At(at.End(), o.Timescale)):
			n, known = max(n, at.Number), true
		case last < 0 || o.Kind == media.Video:
			n, known = max(n, at.Number+1), true
		}
	}
	if !known {
		return seg.Start / seg.Duration, true
	}
	return n, true
}
