package timeline

import "headwater/packager/media"

// count gives the held segments and then p's segment the number after their track's last each, and makes the channel count
// for good. Error: ErrBackwards, for a segment that comes late and for every one that would leave a forced grid.
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

// next returns the counted number of a segment; ok is false when it comes late and none was left free for it.
// Inside a part numbers grow by one, and by more where media is missing: see across. The first segment of a part takes the
// number of another track's segment that it goes with, so that tracks that lost segments agree again. The first of a
// channel has floor(start / duration).
func (s *state) next(p *plan, tr *track, seg media.Segment) (n int64, ok bool) {
	before, after := p.neighbours(tr, seg.Start)
	if tr.gone.before(seg.Start) {
		return 0, false
	}
	if after != nil {
		return tr.between(before, after, seg)
	}
	last := tr.gone.number
	if before != nil {
		if last = before.Number; before.Part == seg.Part {
			return s.across(p, tr, before, seg), true
		}
	}
	n = last + 1
	mid := media.At(seg.Start+seg.Duration/2, tr.Timescale)
	known := last >= 0
	for _, o := range s.order {
		if o == tr || o.Kind == media.Metadata {
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

// between returns the counted number of a segment that comes late, from among those that were left free for the hole that it
// lies in; ok is false when none is.
func (tr *track) between(before, after *media.Segment, seg media.Segment) (n int64, ok bool) {
	if before == nil || before.Part != seg.Part || after.Part != seg.Part {
		return 0, false
	}
	n = before.Number + 1 + tr.missing(media.At(before.End(), tr.Timescale), media.At(seg.Start, tr.Timescale), before.Duration)
	return n, n < after.Number
}

// mostMissing bounds how many numbers a hole takes: years of segments, and so few that no sum overflows.
const mostMissing = 1 << 30

// missing returns how many usual segments of a track fit between two instants: 0 where it is less than half of one.
func (tr *track) missing(from, to media.Time, length int64) int64 {
	if n := usual(tr.segments); n > 0 {
		length = n
	}
	hole := to.Sub(from).Round(tr.Timescale)
	return min(max(0, (hole+length/2)/length), mostMissing)
}

// across returns the counted number of a segment that follows before in its part. Where media is missing between them
// nobody knows how many segments that were, but a track that has not lost them: so the segment has the number that it has
// by the track of which least is missing, and else as many numbers are free as usual segments fit into the hole.
func (s *state) across(p *plan, tr *track, before *media.Segment, seg media.Segment) int64 {
	start, mid := media.At(seg.Start, tr.Timescale), media.At(seg.Start+seg.Duration/2, tr.Timescale)
	end := media.At(before.End(), tr.Timescale)
	n := before.Number + 1 + tr.missing(end, start, before.Duration)
	if n == before.Number+1 {
		return n
	}
	for _, o := range s.order {
		at, _ := p.neighbours(o, mid.Floor(o.Timescale)+1)
		if o == tr || o.Kind == media.Metadata || at == nil || !end.Before(media.At(at.End(), o.Timescale)) {
			continue
		}
		covers := media.At(at.End(), o.Timescale)
		m := at.Number
		if !mid.Before(covers) {
			m += 1 + o.missing(covers, start, at.Duration)
		}
		if m > before.Number+1 {
			n, end = m, covers
		}
	}
	return n
}
