package timeline

import (
	"fmt"
	"sort"
	"time"

	"headwater/packager/media"
)

// sameGroup reports whether two segments are joined into one output segment of k ingested ones: number div k is the
// output number, and a part ends an output segment.
func sameGroup(a, b media.Segment, k int64) bool {
	return a.Number/k == b.Number/k && a.Part == b.Part && a.Config == b.Config
}

// complete reports whether nothing can be added any more to the group of segment n: its last member is there, or a
// later group has begun.
func complete(all []media.Segment, n int, k int64) bool {
	for ; n < len(all)-1; n++ {
		if !sameGroup(all[n], all[n+1], k) {
			return true
		}
	}
	return all[n].Number%k == k-1
}

// joined returns the output segments of k ingested ones each; for k of 1 the segments themselves, not copied. Where a
// part ends inside an output segment, only the first stretch of that number is kept: numbers never repeat.
func joined(segs []media.Segment, k int64) []media.Segment {
	if k == 1 {
		return segs
	}
	out := make([]media.Segment, 0, len(segs)/int(k)+1)
	for i := 0; i < len(segs); {
		j := i + 1
		for j < len(segs) && sameGroup(segs[i], segs[j], k) {
			j++
		}
		seg := merge(segs[i:j], k)
		if n := len(out); n == 0 || out[n-1].Number < seg.Number {
			out = append(out, seg)
		}
		i = j
	}
	return out
}

// merge returns the output segment of one group.
func merge(group []media.Segment, k int64) media.Segment {
	out := group[0]
	out.Number /= k
	out.Size = 0
	for i, s := range group {
		out.Size += s.Size
		out.Duration = s.End() - out.Start
		out.Arrived = max(out.Arrived, s.Arrived)
		if i > 0 {
			out.Hash = out.Hash*0x9e3779b97f4a7c15 + s.Hash
		}
	}
	return out
}

// Output is an output segment and the stored segments that it is made of.
type Output struct {
	Track   media.Track
	Segment media.Segment
	Stored  []media.Segment // in order; must not be modified
}

// Key selects a segment of a track: by number, or by start where ByTime is set.
type Key struct {
	Track  string
	Number int64
	Time   int64 // ticks of the track
	Within int64 // ticks by which the start may lie beside Time
	ByTime bool
}

// Segment returns an output segment of about length d (0: as ingested). Errors: ErrNoTrack, ErrNotYet for what may
// exist soon, ErrGone for what does not.
func (t *Timeline) Segment(key Key, d time.Duration) (Output, error) {
	s := t.snap.Load()
	tr := s.track(key.Track)
	if tr == nil {
		return Output{}, fmt.Errorf("%w: %s", ErrNoTrack, key.Track)
	}
	k := s.join(d)
	segs := tr.segments
	i := sort.Search(len(segs), func(n int) bool {
		if key.ByTime {
			return segs[n].Start >= key.Time-key.Within
		}
		return segs[n].Number/k >= key.Number
	})
	if i == len(segs) {
		return Output{}, fmt.Errorf("%w: track %s ends before it", ErrNotYet, key.Track)
	}
	if key.ByTime && (segs[i].Start > key.Time+key.Within || i > 0 && sameGroup(segs[i-1], segs[i], k)) ||
		!key.ByTime && segs[i].Number/k != key.Number {
		return Output{}, fmt.Errorf("%w: track %s has no such segment", ErrGone, key.Track)
	}
	if !complete(segs, i, k) {
		return Output{}, fmt.Errorf("%w: the segment is not complete", ErrNotYet)
	}
	j := i + 1
	for j < len(segs) && sameGroup(segs[i], segs[j], k) {
		j++
	}
	return Output{Track: tr.Track, Segment: merge(segs[i:j], k), Stored: segs[i:j:j]}, nil
}

// During returns the segments of a track whose middle lies in [from, to), as one output; ok is false when it has none
// there. Its Config is the first one's: what follows a change of it is left out. Errors: ErrNoTrack, and ErrNotYet while
// the track is running but has not reached to.
func (t *Timeline) During(trackID string, from, to media.Time) (out Output, ok bool, err error) {
	s := t.snap.Load()
	tr := s.track(trackID)
	if tr == nil {
		return out, false, fmt.Errorf("%w: %s", ErrNoTrack, trackID)
	}
	if s.behind(tr, to) {
		return out, false, fmt.Errorf("%w: track %s has not come so far", ErrNotYet, trackID)
	}
	i, j := tr.within(from, to)
	if i >= j {
		return out, false, nil
	}
	group := tr.segments[i:j:j]
	for n := range group {
		if group[n].Config != group[0].Config {
			group = group[:n:n]
			break
		}
	}
	return Output{Track: tr.Track, Segment: merge(group, 1), Stored: group}, true, nil
}

// Following returns up to n output segments of about length d that follow the one numbered number in its part.
func (t *Timeline) Following(trackID string, number int64, d time.Duration, n int) []media.Segment {
	s := t.snap.Load()
	tr := s.track(trackID)
	if tr == nil {
		return nil
	}
	k := s.join(d)
	i := sort.Search(len(tr.segments), func(i int) bool { return tr.segments[i].Number/k > number })
	var out []media.Segment
	for i < len(tr.segments) && len(out) < n && complete(tr.segments, i, k) {
		j := i + 1
		for j < len(tr.segments) && sameGroup(tr.segments[i], tr.segments[j], k) {
			j++
		}
		out = append(out, merge(tr.segments[i:j], k))
		i = j
	}
	return out
}

// TrackByBitrate returns the track of a kind with the given nominal bitrate (Smooth quality levels).
func (t *Timeline) TrackByBitrate(kind media.Kind, bitrate int) (media.Track, bool) {
	for _, tr := range t.snap.Load().tracks {
		if tr.Kind == kind && tr.Bitrate == bitrate {
			return tr.Track, true
		}
	}
	return media.Track{}, false
}

// Config returns the configuration of a track with the given ID. Error: ErrNoTrack.
func (t *Timeline) Config(trackID, configID string) (*media.Config, error) {
	if tr := t.snap.Load().track(trackID); tr != nil {
		for _, c := range tr.configs {
			if c.ID == configID {
				return c, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: %s with init segment %s", ErrNoTrack, trackID, configID)
}

func (s *snapshot) track(id string) *trackView {
	for i := range s.tracks {
		if s.tracks[i].ID == id {
			return &s.tracks[i]
		}
	}
	return nil
}

// Step returns the duration of an ingested segment, or of the longest where they are irregular; 0 when not known yet.
func (t *Timeline) Step() time.Duration {
	s := t.snap.Load()
	if !s.counted && s.step.Ticks > 0 {
		return s.step.Duration()
	}
	return s.longest.Duration()
}

// Grid returns the grid of the newest part; it is not valid when numbers are counted or nothing fixed it yet.
func (t *Timeline) Grid() media.Grid {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.state.parts); n > 0 && !t.state.counting && t.state.numbering != Counter {
		return t.state.parts[n-1].grid
	}
	return media.Grid{}
}

// TrackState describes a track for people and metrics.
type TrackState struct {
	media.Track
	Config        *media.Config // newest; nil before any segment
	Segments      int
	First, Last   media.Segment
	Peak, Average int // bit/s
}

// State describes a timeline for people and metrics.
type State struct {
	Counted bool // numbers come from the counter instead of the epoch grid
	Step    time.Duration
	Parts   int
	Tracks  []TrackState
}

// State returns what the timeline holds now.
func (t *Timeline) State() State {
	s := t.snap.Load()
	out := State{Counted: s.counted, Step: t.Step(), Parts: len(s.parts)}
	for _, tr := range s.tracks {
		ts := TrackState{Track: tr.Track, Segments: len(tr.segments), Peak: tr.peak, Average: tr.average}
		if n := len(tr.segments); n > 0 {
			ts.First, ts.Last, ts.Config = tr.segments[0], tr.segments[n-1], tr.segments[n-1].Config
		}
		out.Tracks = append(out.Tracks, ts)
	}
	return out
}
