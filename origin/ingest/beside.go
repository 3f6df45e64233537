package ingest

import (
	"context"
	"errors"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/packager/media"
)

// This file is tracks of timed metadata (SCTE-35 and other events): they are kept beside the media that they describe, on its
// clock, and decide nothing about it: neither which input is active nor where a session, a part or a segment begins.

// patienceBeside is how long metadata waits for the media whose clock it has to come.
const patienceBeside = patienceInit

// beside stores a fragment of metadata as a segment, as far as the media of its encoder feeds the timeline.
func (p *push) beside(ctx context.Context, f *demux.Fragment) error {
	turn := p.turnBeside(p.in.number, p.stampOf(f).onEpoch(p.now()))
	if turn == standby {
		p.standsBy()
		return nil // the reader skips the fragment's body
	}
	l := p.lanes[f.Track]
	if l == nil {
		variant, muxed := p.variant(ctx), p.severed(f.Track)
		if turn == filling && !p.interchangeable(trackID(variant, f.Track, muxed), f.Track) {
			p.standsBy()
			return nil
		}
		tr, c, err := p.track(ctx, variant, f, muxed)
		if err != nil {
			return err
		}
		if err := p.succeed(tr, f); err != nil {
			return err
		}
		l = &besideLane{push: p, track: tr, config: c}
		p.lanes[f.Track] = l
	}
	return l.add(ctx, f)
}

// turnBeside returns what is done with metadata of an input now, as claim does, and changes nothing.
func (t *intake) turnBeside(input int, utc bool) turn {
	t.mu.Lock()
	fed := t.choice.active
	t.mu.Unlock()
	switch {
	case fed == input, fed == 0:
		return active
	case utc && t.feed.utc():
		return filling
	}
	return standby
}

// besideLane makes a stored segment of each fragment of metadata.
type besideLane struct {
	*push
	track  media.Track
	config *media.Config
	waited bool // for media on its clock, which did not come
}

func (l *besideLane) add(ctx context.Context, f *demux.Fragment) error {
	at, ok, err := l.place(ctx, f)
	if err != nil {
		return err
	}
	if !ok {
		l.leftOut(LeftTracks, []string{"metadata without media on its clock"})
		return nil
	}
	file := &fileLane{push: l.push, track: l.track, config: l.config, until: f.Time + f.Duration()}
	if err := file.openAt(ctx, at); err != nil {
		return err
	}
	if !file.dropped {
		if err := file.write(f); err != nil {
			return errors.Join(err, file.close(ctx, false))
		}
	}
	return file.close(ctx, true)
}

// close has nothing to do: what came whole is stored.
func (l *besideLane) close(context.Context, bool) error { return nil }

// place waits until the media has come whose session f belongs to, where that may come in another upload; ok is false when none
// does.
func (l *besideLane) place(ctx context.Context, f *demux.Fragment) (at placed, ok bool, err error) {
	timer := time.NewTimer(patienceBeside)
	defer timer.Stop()
	for now := l.now(); ; {
		changed := l.tl.Changed()
		if at, ok = l.in.placeBeside(l.stampOf(f), now); ok {
			return at, true, nil
		}
		if l.waited || l.severed(f.Track) {
			return at, false, nil
		}
		select {
		case <-changed:
		case <-timer.C:
			l.waited = true
			return at, false, nil
		case <-ctx.Done():
			return at, false, ctx.Err()
		}
	}
}

// placeBeside maps metadata at s, which arrived at now, to UTC by the newest session of the input whose clock it can have.
func (in *input) placeBeside(s stamp, now time.Time) (at placed, ok bool) {
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	cur, any := in.tl.CurrentPart()
	if !any {
		return at, false
	}
	for i := len(in.memo.Anchors) - 1; i >= 0; i-- {
		a := in.memo.Anchors[i]
		if (a.Kind == clockEpoch) != s.onEpoch(now) || in.switches() && a.Kind != clockEpoch {
			continue
		}
		start := a.utc(s, now)
		if a.Follows != 0 && media.At(start, s.Scale).Duration() < a.Begin {
			continue
		}
		if !s.near(start, now) || a.Kind != clockEpoch && abs(s.lag(start, now)-a.Lag) > lateJoin {
			continue
		}
		at = placed{Start: start, Shift: start - s.Ticks, Part: cur.Ordinal, Locked: a.Kind == clockEpoch, Session: in.memo.First + i}
		if cur.Ordinal > 0 && media.At(start+s.Duration/2, s.Scale).Before(cur.Start) {
			at.Part--
		}
		return at, true
	}
	return at, false
}
