package timeline

import (
	"fmt"
	"sort"
	"time"

	"headwater/packager/media"
)

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
	j := joiner{tr, s.joins(d)}
	var i int
	if key.ByTime {
		i = sort.Search(len(tr.segments), func(n int) bool { return tr.segments[n].Start >= key.Time-key.Within })
	} else {
		i = j.find(key.Number)
	}
	if i == len(tr.segments) {
		if tr.expired(key, j) {
			return Output{}, fmt.Errorf("%w: it has expired from track %s", ErrGone, key.Track)
		}
		return Output{}, fmt.Errorf("%w: track %s ends before it", ErrNotYet, key.Track)
	}
	lo, hi := j.around(i)
	switch {
	case key.ByTime && (lo != i || tr.segments[i].Start > key.Time+key.Within), !key.ByTime && j.number(i) != key.Number, j.hidden(lo):
		return Output{}, fmt.Errorf("%w: track %s has no such segment", ErrGone, key.Track)
	case !j.complete(hi):
		return Output{}, fmt.Errorf("%w: the segment is not complete", ErrNotYet)
	}
	out := Output{Track: tr.Track}
	out.Segment, out.Stored = j.merge(lo, hi)
	return out, nil
}

// expired reports whether key asks for what a track without any segments, or whose last lies before it, had once.
func (tr *trackView) expired(key Key, j joiner) bool {
	if key.ByTime || len(tr.segments) > 0 {
		return false
	}
	last := j.ks[len(j.ks)-1].k
	return tr.gone.number >= 0 && key.Number <= tr.gone.number/last
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
	i, j := joiner{tr, s.joins(0)}.within(from, to)
	if i >= j {
		return out, false, nil
	}
	stored := tr.segments[i:j:j]
	for n := range stored {
		if stored[n].Config != stored[0].Config {
			stored = stored[:n:n]
			break
		}
	}
	return Output{Track: tr.Track, Segment: merge(stored, 1), Stored: stored}, true, nil
}

// Following returns up to n output segments of about length d that follow the one numbered number, complete ones only.
func (t *Timeline) Following(trackID string, number int64, d time.Duration, n int) []media.Segment {
	s := t.snap.Load()
	tr := s.any(trackID)
	if tr == nil {
		return nil
	}
	j := joiner{tr, s.joins(d)}
	var out []media.Segment
	for lo := j.find(number + 1); lo < len(tr.segments) && len(out) < n; {
		hi := j.after(lo)
		if !j.complete(hi) {
			break
		}
		if !j.hidden(lo) {
			seg, _ := j.merge(lo, hi)
			out = append(out, seg)
		}
		lo = hi
	}
	return out
}
