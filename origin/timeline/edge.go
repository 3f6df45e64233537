package timeline

import "headwater/packager/media"

// This file is where it is decided how far viewers may see, so that no manifest shows one track ahead of the others.

// stalled is how many segments' worth of media the other tracks deliver before they stop waiting for one.
const stalled = 3

// maxExpected is how many tracks that nothing is known of but their header are waited for.
const maxExpected = 64

func (s *snapshot) patience() media.Time { return media.At(s.usual.Ticks*stalled, s.usual.Scale) }

// running reports whether a track keeps up with the others, or may still begin to. What counts is how much media the others
// have that the track does not, and not how late it is: after an outage all tracks are late, and one that has delivered
// nothing yet is as well.
func (s *snapshot) running(tr *trackView) bool {
	end := tr.end()
	for i := range s.tracks {
		if o := &s.tracks[i]; o != tr && o.beyond(end, s.patience()) {
			return false
		}
	}
	return true
}

// beyond reports whether a track has delivered more than amount of media behind an instant.
func (tr *trackView) beyond(at, amount media.Time) bool {
	limit := at.Add(amount)
	if !limit.Before(tr.end()) {
		return false
	}
	if limit.Before(media.At(tr.gone.end, tr.Timescale)) {
		return true
	}
	var sum int64
	for n := len(tr.segments) - 1; n >= 0 && at.Before(tr.middle(n)); n-- {
		if sum += tr.segments[n].Duration; amount.Before(media.At(sum, tr.Timescale)) {
			return true
		}
	}
	return false
}

// behind reports whether a running track still has to deliver media before to.
func (s *snapshot) behind(tr *trackView, to media.Time) bool {
	if !s.running(tr) {
		return false
	}
	end := tr.end()
	if n := len(tr.segments); n > 0 {
		end = media.At(tr.segments[n-1].End()+tr.segments[n-1].Duration/2, tr.Timescale)
	}
	return end.Before(to)
}

// liveEdge returns the end of the last segment of the first running track that every other running track covers as well.
// It is zero when there is none. expecting says that there may be tracks that the snapshot does not know: they are waited
// for as those are that have delivered nothing yet.
func (s *snapshot) liveEdge(expecting bool) media.Time {
	var ref *trackView
	var running []*trackView
	for i := range s.tracks {
		tr := &s.tracks[i]
		expecting = expecting && !tr.beyond(media.Time{}, s.patience())
		if !s.running(tr) {
			continue
		}
		running = append(running, tr)
		if ref == nil && len(tr.segments) > 0 {
			ref = tr
		}
	}
	if ref == nil || expecting {
		return media.Time{}
	}
	n := len(ref.segments)
	for _, tr := range running {
		// The middle and not the end: audio ends within a frame of its video.
		for n > 0 && tr.end().Before(ref.middle(n-1)) {
			n--
		}
	}
	if n == 0 {
		return media.Time{}
	}
	return ref.endOf(n - 1)
}

// Expect says that the header of a track was received, of which nothing else is known yet: until its media comes, a new
// channel waits for it as for a track that it knows. It is not journaled.
func (t *Timeline) Expect(trackID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := &t.state; s.tracks[trackID] == nil && len(s.expected) < maxExpected {
		s.expected[trackID] = true
	}
}
