package timeline

import (
	"slices"
	"time"

	"headwater/packager/media"
)

// usualSample is how many of the newest segments say what segments usually last: enough that one or two overlong or short
// ones do not count, few enough to forget what an encoder did before.
const usualSample = 15

// usual returns the median duration of the newest of segments in ticks, the longer where there are two; 0 for none.
func usual(segments []media.Segment) int64 {
	newest := segments[max(0, len(segments)-usualSample):]
	if len(newest) == 0 {
		return 0
	}
	var sample [usualSample]int64
	ticks := sample[:len(newest)]
	for i := range newest {
		ticks[i] = newest[i].Duration
	}
	slices.Sort(ticks)
	return ticks[len(ticks)/2]
}

// newest returns the newest segments of the first track that has any, as many as say what is usual.
func (s *snapshot) newest() (segments []media.Segment, scale uint32) {
	for i := range s.tracks {
		if tr := &s.tracks[i]; len(tr.segments) > 0 {
			return tr.segments[max(0, len(tr.segments)-usualSample):], tr.Timescale
		}
	}
	return nil, 0
}

// usually returns what an ingested segment lasts now: the step of a regular source, else the median of the newest
// segments. Unlike the longest one, which HLS has to keep, it recovers from one overlong segment.
func (s *snapshot) usually() media.Time {
	if newest, scale := s.newest(); s.counted && len(newest) > 0 {
		return media.At(usual(newest), scale)
	}
	if n := len(s.steps); n > 0 {
		return s.steps[n-1].step
	}
	return s.longest
}

// Longest returns how long ingested segments are at most: Step of a regular source, else the longest of the newest ones.
func (t *Timeline) Longest() time.Duration {
	s := t.snap.Load()
	longest := s.usual
	if newest, scale := s.newest(); s.counted {
		for i := range newest {
			if d := media.At(newest[i].Duration, scale); longest.Before(d) {
				longest = d
			}
		}
	}
	return longest.Duration()
}

// length returns what an output segment lasts now.
func (s *snapshot) length(ks []kFrom) time.Duration {
	return time.Duration(ks[len(ks)-1].k) * s.usual.Duration()
}

// whole returns d as formats should see it, which round up to whole seconds where they have to, while a duration counts as
// its nearest whole second (RFC 8216bis 4.4.3.1): what is nearer to the second below is that second, unless the audio that
// goes with it may be nearer to the next.
func whole(d time.Duration) time.Duration {
	const audioFrame = 50 * time.Millisecond // 2048 samples at 44.1 kHz
	if over := d % time.Second; d > time.Second && over < time.Second/2-audioFrame {
		d -= over
	}
	return d
}
