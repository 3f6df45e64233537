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

// appendTimeline appends the S elements of segments (ISO/IEC 23009-1 5.3.9.6): t on the first and behind missing media, r
// as the number of repetitions. d reaches to the next segment's start, over missing media too: see the package's doc.
func appendTimeline(b []byte, segments []media.Segment) []byte {
	for i := 0; i < len(segments); {
		d := span(segments, i)
		b = append(b, `<S`...)
		if i == 0 || segments[i-1].End() != segments[i].Start {
			b = append(b, ` t="`...)
			b = strconv.AppendInt(b, segments[i].Start, 10)
			b = append(b, '"')
		}
		b = append(b, ` d="`...)
		b = strconv.AppendInt(b, d, 10)
		b = append(b, '"')
		n := i + 1
		for n < len(segments) && segments[n-1].End() == segments[n].Start && span(segments, n) == d {
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

// span returns the ticks from the start of segment i to that of the next, or its own duration when it is the last.
func span(segments []media.Segment, i int) int64 {
	if i+1 < len(segments) {
		return segments[i+1].Start - segments[i].Start
	}
	return segments[i].Duration
}
