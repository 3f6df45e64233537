package ingest

import (
	"context"
	"errors"
	"slices"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/origin/timeline"
	"headwater/packager/media"
)

// This file is where two encoders are merged whose playlists tell the same programme date-times: a session of one joins the
// UTC axis of the other's, so that its segments lie exactly where the other's do.

const (
	// alignSlack: a segment is that of the other encoder when starts and durations differ by no more. Programme date-times
	// have milliseconds, which each encoder rounds for itself; frames are further apart.
	alignSlack = 5 * time.Millisecond
	// mergedFor is how long after an input's last segment one of the other may be a copy of it, or three segments if longer.
	mergedFor = 10 * time.Second
)

// errApart says that a file of an input does not lie on the UTC axis that it shares with the other one: it is left out, and by
// it the next one is aligned. What it holds the other input sends as well.
var errApart = errors.New("the file is not aligned with the other input")

// sample is a file that was left out, by which the clock of an input is compared with that of the other one.
type sample struct {
	name  string
	tale  int // playlists that were received before it
	track string
	of    *demux.Track
	stamp stamp
	at    time.Time // when it began to come
}

// landmark is a file that was stored, by whose programme date-time the axis is known that it lies on.
type landmark struct {
	names *names // of its input
	name  string
	tale  int
	at    media.Time // where it starts on the axis
}

// marked notes a file that was stored. By then the playlist has come that lists the one before it.
func (p *push) marked(s *segment) {
	if !p.feed.dated() || !p.tells(s.track.Kind) || !p.hls() {
		return
	}
	f := p.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	last := &f.marks[p.in.number-1]
	if m := *last; m.names != nil && f.now.Input == p.in.number {
		if date := m.names.dateOf(m.name, m.tale); !date.IsZero() {
			f.skew = m.at.UTC().Sub(date)
		}
	}
	*last = landmark{p.in.names, p.name, p.tale, media.At(s.at.Start, s.track.Timescale)}
}

// tells reports whether the programme date-times of a kind of track tell where segments lie: those of audio are a frame off,
// where there is video.
func (t *intake) tells(k media.Kind) bool {
	return k == media.Video || !slices.ContainsFunc(t.tl.State().Tracks, func(tr timeline.TrackState) bool {
		return tr.Kind == media.Video && tr.Segments > 0
	})
}

// onAxis reports whether a session has the UTC axis that the timeline is fed on.
func (in *input) onAxis(a anchor) bool { return a.Axis != 0 && a.Axis == in.feed.now.Axis }

// merged reports whether both inputs feed the axis of a session, so that a segment may be a copy of the other's.
func (in *input) merged(a anchor, now time.Time) bool {
	return in.onAxis(a) && (in.switches() || in.accompanied(now, max(mergedFor, 3*in.tl.Longest())))
}

// accompanied reports whether the other input brought a segment of the same axis lately.
func (in *input) accompanied(now time.Time, lately time.Duration) bool {
	other := in.feed.placed[2-in.number]
	return !other.IsZero() && now.Sub(other) <= lately
}

// apart reports whether a file that fits no session begins none: its input, which began again, has to be aligned with the other
// one, which goes on: a segment of that has come within the time in which the next would.
func (in *input) apart(s stamp, now time.Time) bool {
	if !s.File || s.onEpoch(now) || in.feed.now.Axis == 0 {
		return false
	}
	if !s.Filling && (in.switches() || !in.accompanied(now, silence(in.tl.Longest()))) {
		return false
	}
	in.aside = true
	return true
}

// aligned reports whether what an upload brings lies on the axis of the other input, and brings it there if its clock allows.
func (p *push) aligned(ctx context.Context, now time.Time) bool {
	if p.endless || !p.feed.dated() || !p.hls() {
		return false
	}
	in := p.in
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	if n := len(in.memo.Anchors); n > 0 && in.onAxis(in.memo.Anchors[n-1]) && !in.aside {
		return in.merged(in.memo.Anchors[n-1], now)
	}
	a, ok := in.align()
	if !ok {
		return false
	}
	next := in.memo.copy()
	next.Anchors = append(next.Anchors, a)
	next.trim()
	if err := in.remember(ctx, next); err != nil {
		p.log.Error("input not aligned", "error", err) // it is tried again
		return false
	}
	in.aside, in.sample = false, nil
	if len(next.Anchors) > 1 {
		in.begins.add(now, keptBegins)
	}
	in.logger(ctx).Info("input is aligned with the other one", "clock", a.Kind)
	return true
}

// align returns a session on the axis of the other input, by the file that was left out last: its programme date-time and its
// duration must be those of a stored segment.
func (in *input) align() (a anchor, ok bool) {
	f := in.sample
	if f == nil {
		return a, false
	}
	last, has := in.tl.Last(f.track)
	pdt := in.names.dateOf(f.name, f.tale)
	a, start := newAnchor(f.stamp, pdt, f.at, media.Time{})
	if !has || a.Kind != clockPDT {
		return a, false
	}
	between := func(a, b int64) time.Duration { return media.At(b-a, f.stamp.Scale).Duration() }
	const few = 8
	for _, seg := range append(in.tl.Following(f.track, last.Number-few, 0, few), last) {
		off := between(start, seg.Start)
		if seg.Part != last.Part || abs(off-in.feed.skew) > alignSlack || abs(between(f.stamp.Duration, seg.Duration)) > alignSlack {
			continue
		}
		a.Offset += off
		a.Axis = in.feed.now.Axis
		return a, true
	}
	return a, false
}

// dateOf returns the programme date-time of a file by the playlists that came since it began, zero when none tells it.
func (n *names) dateOf(name string, tale int) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, l := n.listed(name, true, tale)
	return l.at
}

// dated reports whether the timeline is fed on an axis of programme date-times.
func (f *feed) dated() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now.Axis != 0
}

// leaveOut notes a fragment of a file that is left out.
func (p *push) leaveOut(ctx context.Context, f *demux.Fragment) {
	s := p.sample
	if s != nil && s.of == f.Track {
		s.stamp.Duration = f.Time + f.Duration() - s.stamp.Ticks
		return
	}
	if s != nil || p.endless || !p.feed.dated() || !p.tells(f.Track.Kind) || !p.hls() {
		return
	}
	p.sample = &sample{name: p.name, tale: p.tale, track: trackID(p.variant(ctx), f.Track, p.severed(f.Track)), of: f.Track, stamp: p.stampOf(f), at: p.now()}
}

// keepSample keeps what was left out of a file that came whole, until the next one.
func (p *push) keepSample() {
	s, in := p.sample, p.in
	if s == nil {
		return
	}
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	in.sample = s
}

// unlike reports whether a segment that fills a hole of another input on a shared axis is not as long as segments are: the
// other one may have it whole yet.
func (l *fileLane) unlike(s *segment) bool {
	usual := l.tl.Step()
	return s.at.Shared && l.filling.Load() && abs(s.length()-usual) > usual/unusual
}
