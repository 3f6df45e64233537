package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/packager/media"
)

// This file is where MPEG-TS is received: a segment, or an endless stream that is cut.

// ts receives MPEG-TS.
func (p *push) ts(ctx context.Context, r io.Reader) error {
	p.muxed = true
	p.body.held = p.held // what r has read ahead is not counted
	if p.lasting && unnumbered(p.name) {
		p.body.lasts()
	}
	s := &spool{limit: p.limits.Fragment, now: p.now}
	tee := io.TeeReader(r, s)
	endless, err, held := false, error(nil), time.Duration(0)
	if p.lasting {
		endless, err = demux.Outlasts(tee, func(length time.Duration) bool {
			held = length
			return p.outlasts(length, s)
		})
	}
	if err == nil && !endless {
		_, err = io.Copy(io.Discard, tee)
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: %w: the body ends at %d", p.name, demux.ErrTruncated, len(s.data))
	case err != nil:
		return fmt.Errorf("%s: reading MPEG-TS: %w", p.name, err)
	case endless:
		return p.tsStream(ctx, &replay{spool: s, rest: r, held: p.held, lead: s.lead(held)})
	case len(s.data) == 0:
		return nil // a probe of the URL, or a file that an encoder opens to write to it in another upload
	}
	return p.tsFile(ctx, s.data)
}

// longestNumbered is how much media an upload may hold and still be a segment whose name has a number, and which no playlist
// lists yet: those of HLS are seldom longer than ten seconds.
const longestNumbered = time.Minute

// outlasts reports whether an upload of which so much media came, and that goes on, is an endless stream. One that is about
// to be too large for a segment can be nothing else.
func (p *push) outlasts(length time.Duration, s *spool) bool {
	cut := p.channel.Load().CutDuration()
	longest := 3 * cut
	if !unnumbered(p.name) {
		longest = max(longestNumbered, 4*cut)
	}
	if full := int64(len(s.data)) > s.limit-s.limit/16; p.segment || length <= longest && !full {
		return false
	}
	p.segment = p.in.names.segmented(p.name)
	return !p.segment
}

// unnumbered reports whether a name has no number that could be that of a segment.
func unnumbered(name string) bool {
	if _, stream := streamName(name); stream {
		return true
	}
	return mediaStem(name) == strings.TrimSuffix(path.Base(name), path.Ext(name)) && dateless(name) == name
}

// segmented reports whether a playlist lists a file, or others of which only numbers tell it apart.
func (n *names) segmented(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at, _ := n.listed(name, true, 0); at != "" {
		return true
	}
	key := stemKey(name)
	for _, p := range n.playlists.m {
		for i := range p.files {
			if stemKey(p.files[i].name) == key {
				return true
			}
		}
	}
	return false
}

// tsFile stores one segment.
func (p *push) tsFile(ctx context.Context, data []byte) error {
	frags, err := demux.ParseTS(data, p.limits)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if len(frags) == 0 {
		return nil
	}
	p.tsLeftOut(frags)
	now := p.now()
	for i := range frags {
		p.brings(frags[i].Track, now)
	}
	turn := p.claim(ctx, false, now)
	if err := p.goesOn(ctx, turn == active, now); err != nil {
		return err
	}
	if turn == standby {
		return p.tsLeave(ctx, frags)
	}
	p.filling.Store(turn == filling)
	variant := p.variant(ctx)
	p.in.ends.hear(variant, p.name, now)
	defer p.closeAll(ctx, false) //nolint:errcheck // dropping does not fail
	for i := range frags {
		p.lastLonger(ctx, &frags[i])
		p.whole = max(p.whole, media.At(frags[i].Duration(), frags[i].Track.Timescale).Duration())
	}
	// What changes begins a part, which is also that of the others.
	slices.SortStableFunc(frags, func(a, b demux.Fragment) int { return boolCompare(p.changes(variant, &b), p.changes(variant, &a)) })
	for i := range frags {
		f := &frags[i]
		if turn == filling && !p.interchangeable(trackID(variant, f.Track, true), f.Track) {
			return p.tsLeave(ctx, frags)
		}
		tr, c, err := p.track(ctx, variant, f, true)
		if err != nil {
			return err
		}
		l := p.lane(tr, c)
		p.lanes[f.Track] = l
		if err := l.add(ctx, f); errors.Is(err, errApart) {
			return p.tsLeave(ctx, frags)
		} else if err != nil {
			return err
		}
	}
	if turn == filling {
		p.fills(now)
	}
	return p.closeAll(ctx, true)
}

// changes reports whether a fragment is of another configuration than its track was.
func (p *push) changes(variant string, f *demux.Fragment) bool {
	last, has := p.tl.Last(trackID(variant, f.Track, true))
	return has && last.Config.ID != f.Track.Config.ID
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// tsLeave leaves out a segment.
func (p *push) tsLeave(ctx context.Context, frags []demux.Fragment) error {
	for i := range frags {
		p.leaveOut(ctx, &frags[i])
	}
	p.keepSample()
	return p.standBy(ctx)
}

// tsStream cuts an endless stream, from its beginning on. Its tracks are headed: each upload is of an encoder that began, or
// that goes on with the clock it had.
func (p *push) tsStream(ctx context.Context, body *replay) error {
	p.endless, p.headed, p.body.limit, p.body.held = true, true, 0, nil
	p.log.Info("upload is an endless MPEG-TS stream: cut from its beginning on", "bytes", len(body.data))
	r := demux.NewTSReader(body, p.limits)
	r.Charge(p.held)
	defer p.leave()
	defer p.closeAll(ctx, false) //nolint:errcheck // dropping does not fail
	for {
		ev, err := r.Next()
		p.came, p.pictured = body.arrived(), r.HasVideo()
		switch {
		case errors.Is(err, io.EOF):
			return p.closeAll(ctx, !p.covered(p.in.number, p.now()))
		case err != nil:
		case ev.Ended != nil:
			err = p.trackEnded(ctx, ev.Ended)
		default:
			p.tsLeftOut([]demux.Fragment{*ev.Fragment})
			err = p.fragment(ctx, ev.Fragment)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", p.name, err), p.closeAll(ctx, p.keepsRest()))
		}
	}
}

// trackEnded stores what is left of a track.
func (p *push) trackEnded(ctx context.Context, tr *demux.Track) error {
	l := p.lanes[tr]
	if l == nil {
		return nil
	}
	delete(p.lanes, tr)
	if a, ok := l.(*audioLane); ok {
		a.cedes = true
	}
	return l.close(ctx, true)
}

// arrival returns when the fragment at hand came.
func (p *push) arrival() time.Time {
	if p.came.IsZero() {
		return p.now()
	}
	return p.came
}

// spool is the beginning of a body, kept until it is known what it is.
type spool struct {
	limit int64 // bytes
	now   func() time.Time
	data  []byte
	marks []mark
}

// mark says when the bytes before end came that the mark before it does not tell of.
type mark struct {
	end int
	at  time.Time
}

// markGrain is how exact that is.
const markGrain = 100 * time.Millisecond

func (s *spool) Write(b []byte) (int, error) {
	if int64(len(s.data)+len(b)) > s.limit {
		return 0, fmt.Errorf("%w: MPEG-TS segment of more than %d bytes", demux.ErrTooLarge, s.limit)
	}
	s.data = append(s.data, b...)
	now := s.now()
	if n := len(s.marks); n > 0 && now.Sub(s.marks[n-1].at) < markGrain {
		s.marks[n-1].end = len(s.data)
	} else {
		s.marks = append(s.marks, mark{len(s.data), now})
	}
	return len(b), nil
}

// leastLead: what an encoder had ready when it began is not told from how unevenly it sends.
const leastLead = time.Second

// lead returns how much of what was kept, which has so much media, the encoder had ready when it began: one that relays a live
// stream has looked at some seconds of it first, which lie in the past.
func (s *spool) lead(length time.Duration) time.Duration {
	if n := len(s.marks); n > 0 {
		if lead := length - s.marks[n-1].at.Sub(s.marks[0].at); lead >= leastLead {
			return lead
		}
	}
	return 0
}

// replay reads a body of which the beginning was kept.
type replay struct {
	*spool
	rest io.Reader
	held *share
	off  int
	at   time.Time // when what was read last came; zero: now
	lead time.Duration
}

// arrived returns when what was read last came, or would have come if it had been sent when it was made; zero: now.
func (r *replay) arrived() time.Time {
	if r.at.IsZero() {
		return r.at
	}
	return r.at.Add(-r.lead)
}

func (r *replay) Read(b []byte) (int, error) {
	if len(r.marks) == 0 {
		if r.data != nil {
			r.held.Give(int64(len(r.data)))
			r.data, r.at = nil, time.Time{}
		}
		return r.rest.Read(b)
	}
	m := r.marks[0]
	n := copy(b, r.data[r.off:m.end])
	if r.off, r.at = r.off+n, m.at; r.off == m.end {
		r.marks = r.marks[1:]
	}
	return n, nil
}
