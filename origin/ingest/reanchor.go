package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"headwater/packager/media"
)

// This file is where a session goes on in another one, because its encoder's clock has drifted or stood still: media is mapped
// anew from a boundary on that all its tracks share, and a part begins there (docs/adr/0006-clock-drift.md).

const (
	// maxDrift is how far the time of media may be from UTC. Jitter and what an encoder keeps back at its beginning are less; by
	// more the live edge is not where players look for it, and DASH players have no more than a segment or two to spare.
	maxDrift = 2 * time.Second
	// maxDoubt is how far arrival may contradict an encoder that gives its own UTC time: beyond it that is a count of its
	// media and no clock. In the future no such time is believed either.
	maxDoubt = pdtAhead
)

// shift is how a session goes on in another one.
type shift struct {
	by         time.Duration // added to the offset
	cut, begin time.Duration // UTC: where the session ends in its own time, and where the next begins in its own
	gained     time.Duration // by the encoder's clock
	said       bool          // by its programme date-times
}

// shifted returns the session that goes on from a, which has the given ordinal.
func (a anchor) shifted(s shift, ordinal int, lag time.Duration) anchor {
	next := a
	next.Offset, next.Lag = a.Offset+s.by, lag-s.by
	next.Follows, next.Cut, next.Begin, next.Gained = ordinal+1, s.cut, s.begin, s.gained
	next.Axis = 0 // the other input's sessions stay where they are
	if s.said {
		next.Said = a.Offset - s.gained
	} else {
		next.Kind, next.Said = clockArrival, 0
	}
	return next
}

// slowed moves what lags behind: a gap of that length is left.
func slowed(behind, cut time.Duration, said bool) shift {
	grain := anchorGrain
	if said {
		grain = time.Millisecond
	}
	by := behind.Truncate(grain)
	return shift{by: by, cut: cut, begin: cut + by, gained: -behind, said: said}
}

// hurried moves what runs ahead. Nothing can overlap what is stored, so segments of that length are left out: by arrival as
// many whole ones as there is room for, that no more is lost than has to be; by what the encoder says to its very time. ok is
// false while the excess is no more than that of an input that took over and had to begin behind what is stored: a segment and
// joinMargin.
func hurried(ahead, cut, length time.Duration, said bool) (s shift, ok bool) {
	ok = ahead >= length+2*joinMargin
	if said {
		left := (ahead + joinMargin + length - 1) / length
		by := -ahead.Round(time.Millisecond)
		return shift{by: by, cut: cut, begin: cut + left*length + by, gained: ahead, said: true}, ok
	}
	left := (ahead + joinMargin) / length
	by := -(left*length - joinMargin).Truncate(anchorGrain)
	return shift{by: by, cut: cut, begin: cut + left*length + by, gained: ahead}, ok
}

// off returns by how much the media of a session is behind its time (negative: ahead), where that is more than it may be.
// What the encoder says of the time counts more than when its media comes.
func (in *input) off(ordinal int) (behind time.Duration, said, ok bool) {
	a, c := in.anchor(ordinal), in.course(ordinal)
	if a.Kind != clockPDT {
		behind, ok = c.arrival.off(maxDrift, maxDrift)
		return behind, false, ok
	}
	if behind, ok = c.said.off(maxDrift, maxDrift); ok {
		return behind, true, true
	}
	behind, ok = c.arrival.off(a.Lag+maxDoubt, maxDoubt)
	return behind, false, ok
}

// steer lets a session go on in another one where its clock is off, from a boundary on that no track has reached. Video says
// where segments begin, if there is any. The lock is held.
func (in *input) steer(ctx context.Context, track string, ordinal int, start int64, s stamp) error {
	if ordinal < in.memo.First || in.anchor(ordinal).Kind == clockEpoch || in.switches() || !in.leads(track, ordinal) {
		return nil
	}
	last, has := in.tl.Last(track)
	_, gone := in.successor(ordinal)
	behind, said, off := in.off(ordinal)
	if !has || gone || !off {
		return nil
	}
	c, length := in.course(ordinal), media.At(last.Duration, s.Scale).Duration()
	cut := media.At(start+last.Duration, s.Scale)
	for cut.Duration() <= c.newest+length/2 {
		cut.Ticks += last.Duration
	}
	move, ok := slowed(behind, cut.Duration(), said), true
	if behind < 0 {
		move, ok = hurried(-behind, cut.Duration(), length, said)
	}
	if !ok {
		return nil
	}
	return in.reanchor(ctx, ordinal, move)
}

func (in *input) reanchor(ctx context.Context, ordinal int, s shift) error {
	c := in.course(ordinal)
	lag, _ := c.arrival.now()
	a := in.anchor(ordinal).shifted(s, ordinal, lag)
	if in.onAxis(in.anchor(ordinal)) {
		a.Axis = in.feed.now.Axis + 1
	}
	if ppm, rated := c.arrival.rate(); rated {
		a.PPM = &ppm
	}
	next := in.memo.copy()
	next.Anchors = append(next.Anchors, a)
	next.trim()
	if err := in.remember(ctx, next); err != nil {
		return err
	}
	c.arrival.shifted(s.by)
	c.said.shifted(s.by)
	in.courses[next.First+len(next.Anchors)-1] = c
	in.courses[ordinal] = &course{}
	in.logger(ctx).Info("encoder's time is anchored anew", "reason", a.drifted(), "at", time.Unix(0, int64(a.Cut)).UTC())
	return nil
}

// drifted says why a session goes on from another.
func (a anchor) drifted() string {
	why := fmt.Sprintf("clock drifted by %.1f s", a.Gained.Seconds())
	if a.PPM != nil {
		why += fmt.Sprintf(" (%+d ppm)", *a.PPM)
	}
	return why
}

// leads reports whether a track is one that says where the session's segments begin.
func (in *input) leads(track string, ordinal int) bool {
	if tr, _ := in.tl.Track(track); tr.Kind == media.Video {
		return true
	}
	for id, have := range in.memo.Tracks {
		if tr, _ := in.tl.Track(id); have == ordinal && tr.Kind == media.Video {
			return false
		}
	}
	return true
}

// successor returns the ordinal of the session that goes on from another.
func (in *input) successor(ordinal int) (next int, ok bool) {
	i := slices.IndexFunc(in.memo.Anchors, func(a anchor) bool { return a.Follows == ordinal+1 })
	return in.memo.First + i, i >= 0
}

// descends reports whether a session is that of from, or goes on from it, over others too.
func (in *input) descends(from, ordinal int) bool {
	for ordinal > from && ordinal >= in.memo.First {
		ordinal = in.anchor(ordinal).Follows - 1
	}
	return ordinal == from
}

// oneEncoder reports whether two sessions are of one encoder that was never restarted.
func (in *input) oneEncoder(a, b int) bool { return in.descends(min(a, b), max(a, b)) }

// slack is how much before a boundary a segment of a track may begin that is meant to begin there.
func slack(last media.Segment, has bool, s stamp) time.Duration {
	if has {
		return media.At(last.Duration, s.Scale).Duration() / 2
	}
	return s.length() / 2
}

// onward returns the session that a segment is of which would start at start in session ordinal, and its start in that.
func (in *input) onward(ordinal int, start int64, s stamp, slack time.Duration, now time.Time) (int, int64) {
	for {
		next, ok := in.successor(ordinal)
		if !ok || media.At(start, s.Scale).Duration() < in.anchor(next).Cut-slack {
			return ordinal, start
		}
		ordinal, start = next, in.anchor(next).utc(s, now)
	}
}

// backward returns the session before a track's own that a segment is of which is sent again.
func (in *input) backward(have int, s stamp, slack time.Duration, now time.Time) (ordinal int, start int64, ok bool) {
	a := in.anchor(have)
	ordinal = a.Follows - 1
	if ordinal < max(in.memo.First, s.Past) || media.At(a.utc(s, now), s.Scale).Duration() >= a.Begin-slack {
		return 0, 0, false
	}
	start = in.anchor(ordinal).utc(s, now)
	const few = 5 // half segments, as fits takes for copies
	return ordinal, start, a.Cut-media.At(start, s.Scale).Duration() <= few*slack
}

// usual returns the anchor of a session with the lag that its media has now. A track's own continues where it was.
func (in *input) usual(a anchor, ordinal int, own bool) anchor {
	if c := in.courses[ordinal]; c != nil && !own && a.Kind != clockEpoch {
		if lag, ok := c.arrival.now(); ok {
			a.Lag = lag
		}
	}
	return a
}

// early reports whether media of a track at start has no place in a session that it has not come to yet: what an encoder whose
// clock is fast has too much.
func (in *input) early(track string, ordinal int, start int64, s stamp) bool {
	if ordinal < in.memo.First || in.anchor(ordinal).Follows == 0 {
		return false
	}
	last, has := in.tl.Last(track)
	slack := slack(last, has, s)
	if media.At(start, s.Scale).Duration() < in.anchor(ordinal).Begin-slack {
		return true
	}
	return has && in.memo.Tracks[track] != ordinal && media.At(start-last.End(), s.Scale).Duration() < -slack/2
}

// enter makes a track one of a session. Where it is the first of one that goes on from another, a part begins.
func (in *input) enter(ctx context.Context, track string, ordinal int) error {
	have, known := in.memo.Tracks[track]
	if known && (have == ordinal || have > ordinal && in.oneEncoder(have, ordinal)) || ordinal < in.memo.First {
		return nil
	}
	a := in.anchor(ordinal)
	begun := slices.ContainsFunc(slices.Collect(maps.Values(in.memo.Tracks)), func(o int) bool { return in.descends(ordinal, o) })
	if a.Follows != 0 && !begun {
		at := media.FromDuration(a.Begin)
		begins := at.Sub(media.FromDuration(partMargin))
		if begins.Before(in.tl.Earliest()) {
			begins = at
		}
		if _, err := in.tl.BeginPart(ctx, begins); err != nil {
			return err
		}
		in.tellBreak(ctx, slog.LevelWarn, discontinuity, a.drifted(), at)
		if a.Axis != 0 {
			f := in.feed.now
			f.Axis = a.Axis
			in.feed.placed, in.feed.marks, in.feed.skew = [2]time.Time{}, [2]landmark{}, 0
			if err := in.feed.set(ctx, in.tl, f); err != nil {
				return err
			}
		}
	}
	next := in.memo.copy()
	next.Tracks[track] = ordinal
	return in.remember(ctx, next)
}

// continues returns the place of a stream in the session that goes on from its own, and where that begins, once what comes next
// has come there: that starts at start, which is as good as slack.
func (l *fileLane) continues(at placed, start int64, slack time.Duration) (next placed, ok bool) {
	in := l.in
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	ordinal, ok := in.successor(at.Session)
	if !ok || at.Session < in.memo.First {
		return at, false
	}
	a, b := in.anchor(at.Session), in.anchor(ordinal)
	if start < media.FromDuration(b.Cut-slack).Round(l.track.Timescale) { // to the tick at which audio is cut
		return at, false
	}
	next = at
	next.Session, next.Start = ordinal, media.FromDuration(b.Begin).Round(l.track.Timescale)
	next.Shift += media.FromDuration(b.Offset).Round(l.track.Timescale) - media.FromDuration(a.Offset).Round(l.track.Timescale)
	return next, true
}

// turning returns where media is to be cut because the session goes on in another one, in UTC ticks of the session.
func (l *fileLane) turning(at placed) (cut int64, ok bool) {
	in := l.in
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	ordinal, ok := in.successor(at.Session)
	if !ok {
		return 0, false
	}
	return media.FromDuration(in.anchor(ordinal).Cut).Round(l.track.Timescale), true
}

// passOver tells of a segment that has no place because the encoder's clock is fast.
func (l *fileLane) passOver() {
	l.dropped, l.overlap = true, nil
	l.seen.LeftOut(l.id, LeftDrift, 1)
	l.log.Info("segment left out: the encoder's clock is fast", "track", l.track.ID)
}
