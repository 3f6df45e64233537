package dash

import (
	"math"
	"strconv"

	"headwater/packager/media"
)

// byTime reports whether segments must be addressed by $Time$: the numbers have a gap, or do not fit @startNumber, which
// is an unsigned 32-bit integer in the MPD schema.
func byTime(segments []media.Segment) bool {
	first, last := segments[0].Number, segments[len(segments)-1].Number
	return last-first != int64(len(segments))-1 || first < 0 || last > math.MaxUint32
}

// sameTimeline reports whether two runs have the same S list and the same addressing.
func sameTimeline(a, b run) bool {
	if a.track.Timescale != b.track.Timescale || len(a.segments) != len(b.segments) {
		return false
	}
	for i := range a.segments {
		x, y := &a.segments[i], &b.segments[i]
		if x.Start != y.Start || x.Duration != y.Duration || x.Number != y.Number {
			return false
		}
	}
	return true
}

// appendTimeline appends the S elements of segments (ISO/IEC 23009-1 5.3.9.6): t on the first and after a jump, r as the
// number of repetitions.
func appendTimeline(b []byte, segments []media.Segment) []byte {
	next := segments[0].Start - 1 // not the first one's start, so that it gets a t
	for i := 0; i < len(segments); {
		s := &segments[i]
		b = append(b, `<S`...)
		if s.Start != next {
			b = append(b, ` t="`...)
			b = strconv.AppendInt(b, s.Start, 10)
			b = append(b, '"')
		}
		b = append(b, ` d="`...)
		b = strconv.AppendInt(b, s.Duration, 10)
		b = append(b, '"')
		next = s.End()
		n := i + 1
		for n < len(segments) && segments[n].Start == next && segments[n].Duration == s.Duration {
			next = segments[n].End()
			n++
		}
		if r := n - i - 1; r > 0 {
			b = append(b, ` r="`...)
			b = strconv.AppendInt(b, int64(r), 10)
			b = append(b, '"')
		}
		b = append(b, `/>`...)
		i = n
	}
	return b
}
