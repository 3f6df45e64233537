package timeline

import (
	"sort"
	"time"

	"headwater/packager/media"
)

// joiner makes output segments of k ingested ones each: number div k is the output number, and a part or a change of
// configuration ends an output segment (reference mediapackage.md 6a). k is fixed for the stretch of parts in which
// segments have one step.
type joiner struct {
	track *trackView
	ks    []kFrom
}

type kFrom struct {
	part uint32
	k    int64
}

// joins returns how many ingested segments make an output segment of about d in each part: the nearest whole number, and
// where the step changes no more than keeps output segments as short as before, so that their numbers never go back.
func (s *snapshot) joins(d time.Duration) []kFrom {
	if d <= 0 || len(s.steps) == 0 {
		return []kFrom{{0, 1}}
	}
	ks := make([]kFrom, 0, len(s.steps))
	most := time.Duration(1<<63 - 1)
	for _, from := range s.steps {
		step := max(1, from.step.Duration())
		k := max(1, int64((d+step/2)/step))
		for k > 1 && time.Duration(k)*step > most {
			k--
		}
		most = time.Duration(k) * step
		ks = append(ks, kFrom{from.part, k})
	}
	return ks
}

// target returns the longest output segment that a channel makes: constant while its segments are regular. It never
// shrinks, since EXT-X-TARGETDURATION must not change.
func (s *snapshot) target(ks []kFrom) time.Duration {
	d := s.longest.Duration()
	for i, from := range s.steps {
		step := from.step.Duration()
		if s.counted {
			step = s.longest.Duration()
		}
		d = max(d, time.Duration(ks[min(i, len(ks)-1)].k)*step)
	}
	return whole(d)
}

func (j joiner) k(part uint32) int64 {
	n := len(j.ks) - 1
	for n > 0 && j.ks[n].part > part {
		n--
	}
	return j.ks[n].k
}

// plain reports whether output segments are the ingested ones.
func (j joiner) plain() bool {
	for _, from := range j.ks {
		if from.k != 1 {
			return false
		}
	}
	return true
}

// number returns the output number of segment i.
func (j joiner) number(i int) int64 {
	s := &j.track.segments[i]
	return s.Number / j.k(s.Part)
}

// around returns the range of the stored segments of the output segment that segment i belongs to.
func (j joiner) around(i int) (lo, hi int) {
	segs := j.track.segments
	first := &segs[i]
	k := j.k(first.Part)
	limit := first.Number / k * k
	for lo = i; lo > 0 && segs[lo-1].Number >= limit && segs[lo-1].Part == first.Part && segs[lo-1].Config == first.Config; lo-- {
	}
	return lo, j.after(i)
}

// complete reports whether nothing can be added any more to the output segment that ends before segment hi: its last
// member is there, or something later is.
func (j joiner) complete(hi int) bool {
	last := &j.track.segments[hi-1]
	k := j.k(last.Part)
	return hi < len(j.track.segments) || last.Number%k == k-1
}

// hidden reports whether the output segment that begins with segment lo is left out: its number belongs to another, of
// the part before or of one whose beginning has expired.
func (j joiner) hidden(lo int) bool {
	if lo > 0 {
		return j.number(lo-1) >= j.number(lo)
	}
	gone := j.track.gone.number
	return gone >= 0 && gone/j.k(j.track.segments[0].Part) >= j.number(0)
}

// find returns the index of the first segment with an output number of at least number.
func (j joiner) find(number int64) int {
	return sort.Search(len(j.track.segments), func(i int) bool { return j.number(i) >= number })
}

// merge returns the output segment of the stored segments [lo, hi). Those that came after the output segment was
// complete, and so after somebody may have read it, are left out.
func (j joiner) merge(lo, hi int) (media.Segment, []media.Segment) {
	stored := j.track.segments[lo:hi:hi]
	if hi-lo > 1 {
		stored = j.intime(lo, hi)
	}
	return merge(stored, j.k(stored[0].Part)), stored
}

// intime returns the segments of [lo, hi) that were there when the output segment became complete.
func (j joiner) intime(lo, hi int) []media.Segment {
	at := j.track.positions
	last := &j.track.segments[hi-1]
	k := j.k(last.Part)
	limit := at[hi-1]
	if last.Number%k != k-1 || hi < len(at) && at[hi] < limit {
		if hi == len(at) {
			return j.track.segments[lo:hi:hi]
		}
		limit = at[hi]
	}
	late := 0
	for i := lo; i < hi; i++ {
		if at[i] > limit {
			late++
		}
	}
	if late == 0 || late == hi-lo {
		return j.track.segments[lo:hi:hi]
	}
	out := make([]media.Segment, 0, hi-lo-late)
	for i := lo; i < hi; i++ {
		if at[i] <= limit {
			out = append(out, j.track.segments[i])
		}
	}
	return out
}

// merge returns segments of one track as one, numbered by the first div k.
func merge(stored []media.Segment, k int64) media.Segment {
	out := stored[0]
	out.Number /= k
	out.Size = 0
	for i := range stored {
		s := &stored[i]
		out.Size += s.Size
		out.Duration = s.End() - out.Start
		out.Arrived = max(out.Arrived, s.Arrived)
		if i > 0 {
			out.Hash = out.Hash*0x9e3779b97f4a7c15 + s.Hash
		}
	}
	return out
}

// list returns the output segments made of the stored segments [lo, hi), which are whole output segments; where those are
// the ingested ones they are not copied.
func (j joiner) list(lo, hi int) []media.Segment {
	if j.plain() {
		return j.track.segments[lo:hi:hi]
	}
	out := make([]media.Segment, 0, (hi-lo)/int(max(1, j.k(j.track.segments[lo].Part)))+1)
	for lo < hi {
		next := j.after(lo)
		if !j.hidden(lo) {
			seg, _ := j.merge(lo, next)
			out = append(out, seg)
		}
		lo = next
	}
	return out
}

// after returns the index behind the output segment that segment i belongs to.
func (j joiner) after(i int) int {
	segs := j.track.segments
	first := &segs[i]
	k := j.k(first.Part)
	limit := (first.Number/k + 1) * k
	for i++; i < len(segs) && segs[i].Number < limit && segs[i].Part == first.Part && segs[i].Config == first.Config; i++ {
	}
	return i
}

// within returns the range of the complete output segments whose middle lies in [from, to).
func (j joiner) within(from, to media.Time) (lo, hi int) {
	tr := j.track
	lo = sort.Search(len(tr.segments), func(n int) bool { return !tr.middle(n).Before(from) })
	hi = sort.Search(len(tr.segments), func(n int) bool { return !tr.middle(n).Before(to) })
	if lo >= hi || j.plain() {
		return lo, max(lo, hi)
	}
	middle := func(lo, hi int) media.Time {
		start := tr.segments[lo].Start
		return media.At(start+(tr.segments[hi-1].End()-start)/2, tr.Timescale)
	}
	if a, b := j.around(lo); middle(a, b).Before(from) {
		lo = b
	} else {
		lo = a
	}
	if a, b := j.around(hi - 1); !middle(a, b).Before(to) || !j.complete(b) {
		hi = a
	} else {
		hi = b
	}
	return lo, max(lo, hi)
}
