package ingest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"headwater/origin/reply"
	"headwater/origin/timeline"
	"headwater/packager/media"
)

// How many encoder sessions of an input are remembered: keptAnchors of them, and those that tracks still belong to, as where
// each rendition has an encoder process of its own; mostAnchors in all.
const (
	keptAnchors = 4
	mostAnchors = 32
)

// input is one of the two places where an encoder pushes to a channel: its sessions, and what its names mean.
type input struct {
	channel string // for logs
	number  int
	tl      *timeline.Timeline
	names   *names
	feed    *feed
	memo    memo // guarded by feed.mu; journaled as a note before it is used

	courses map[int]*course // by ordinals of sessions; guarded by feed.mu
	fed     fedTracks
	ends    ends
	begins  ring[time.Time]          // sessions but the first ever; guarded by feed.mu
	sample  *sample                  // the last file that was left out; guarded by feed.mu
	aside   bool                     // what it sends fits none of its sessions: it has to be aligned; guarded by feed.mu
	moving  map[string]chan struct{} // of each track the last file that waits in move, closed at its end; guarded by feed.mu
}

// memo is what an input remembers over a restart of the server.
type memo struct {
	Anchors []anchor       `json:"anchors"` // oldest first
	First   int            `json:"first"`   // ordinal of Anchors[0]
	Tracks  map[string]int `json:"tracks"`  // track ID to ordinal of its anchor
}

// feed is what the inputs of a channel share: which of them was placed on the timeline last.
type feed struct {
	mu     sync.Mutex // held while a session begins, which is rare and writes to the journal
	now    feeding
	began  time.Time     // when the first request since the server began came
	placed [2]time.Time  // when a segment of input 1 and 2 last came to lie on the axis
	marks  [2]landmark   // the last file of input 1 and 2 that tells where the axis lies
	skew   time.Duration // axis minus the programme date-times of the input that feeds
}

// feeding is journaled under feedKey when it changes.
type feeding struct {
	Input int       `json:"input"` // 0: none yet
	Clock clockKind `json:"clock"`
	Axis  int64     `json:"axis,omitempty"` // of programme date-times, 0: none
	Held  int       `json:"held,omitempty"` // that somebody asked for, 0: none
}

const feedKey = "input/active"

func newFeed(tl *timeline.Timeline, now time.Time) *feed {
	f := &feed{began: now}
	if raw := tl.Noted(feedKey); raw != nil && json.Unmarshal(raw, &f.now) != nil {
		f.now = feeding{} // costs a discontinuity, no more
	}
	return f
}

// set journals f and makes it true. The lock is held.
func (f *feed) set(ctx context.Context, tl *timeline.Timeline, now feeding) error {
	raw, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("encode active input: %w", err)
	}
	if err := tl.Note(ctx, feedKey, raw); err != nil {
		return err
	}
	f.now = now
	return nil
}

// hold journals which input somebody asked for, 0 for none.
func (f *feed) hold(ctx context.Context, tl *timeline.Timeline, number int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now.Held == number {
		return nil
	}
	next := f.now
	next.Held = number
	return f.set(ctx, tl, next)
}

// utc reports whether the clock that feeds the timeline is UTC.
func (f *feed) utc() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now.Clock == clockEpoch
}

func newInput(channel string, number int, tl *timeline.Timeline, names *names, f *feed) *input {
	in := &input{channel: channel, number: number, tl: tl, names: names, feed: f, moving: map[string]chan struct{}{},
		courses: map[int]*course{}}
	if raw := tl.Noted(in.noteKey()); raw != nil && json.Unmarshal(raw, &in.memo) != nil {
		in.memo = memo{} // costs a discontinuity, no more
	}
	if in.memo.Tracks == nil {
		in.memo.Tracks = map[string]int{}
	}
	return in
}

func (in *input) noteKey() string { return fmt.Sprintf("input/%d", in.number) }

// placed is where a segment lies on the UTC axis.
type placed struct {
	Start  int64 // ticks of the track
	Shift  int64 // UTC minus source time in ticks: the same for all that follows in the upload
	Part   uint32
	Locked bool
	Shared bool // the other input may send the same

	Session int   // ordinal
	Moved   int64 // ticks by which Start is later than the source says, to be where the segment before ends
	Early   bool  // there is no place for it: the encoder's clock is fast
}

// place maps the segment of track at s to UTC. pdt is asked, outside any lock and only when a new session has to begin
// or the track joins one, for the UTC time that the encoder's playlist gives for the segment's start; it may wait. A
// change of configuration begins a new part. Errors: ErrAhead, reply.ErrConflict, or the journal's.
func (in *input) place(ctx context.Context, track string, c *media.Config, s stamp, now time.Time,
	pdt func() time.Time) (placed, error) {
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	ordinal, start, ok := in.find(track, c, s, time.Time{}, now)
	if !ok && in.apart(s, now) {
		return placed{}, errApart
	}
	if have, joined := in.memo.Tracks[track]; !ok || (!joined || !in.oneEncoder(have, ordinal)) && !in.merged(in.anchor(ordinal), now) {
		var err error
		if ordinal, start, err = in.move(ctx, track, c, s, now, pdt); err != nil {
			return placed{}, err
		}
	}
	a := in.anchor(ordinal)
	if !s.near(start, now) {
		return placed{}, errAhead(track, s, start, now)
	}
	if err := in.follow(ctx, a, s, false, start); err != nil {
		return placed{}, err
	}
	if last, has := in.tl.Last(track); !has || start > last.Start { // else it is sent again
		in.measure(ordinal, s, start, now)
	}
	if in.onAxis(a) {
		in.feed.placed[in.number-1] = now
	}
	p := placed{Start: start, Shift: start - s.Ticks, Locked: a.Kind == clockEpoch, Shared: in.merged(a, now), Session: ordinal,
		Moved: start - a.utc(s, now)}
	return in.settle(ctx, track, c, s, p)
}

// resume maps the next segment of an endless stream whose beginning was placed at: the shift stays.
func (in *input) resume(ctx context.Context, track string, c *media.Config, s stamp, at placed) (placed, error) {
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	at.Start = s.Ticks + at.Shift
	return in.settle(ctx, track, c, s, at)
}

// settle finds the part of what was mapped, unless there is no place for it, and looks after the clock.
func (in *input) settle(ctx context.Context, track string, c *media.Config, s stamp, p placed) (placed, error) {
	if p.Early = in.early(track, p.Session, p.Start, s); p.Early {
		return p, nil
	}
	if err := in.enter(ctx, track, p.Session); err != nil {
		return placed{}, err
	}
	var err error
	if p.Part, err = in.part(ctx, track, c, p.Start, s); err != nil {
		return p, err
	}
	if p.Shared {
		return p, nil // it would leave the other input's media behind
	}
	return p, in.steer(ctx, track, p.Session, p.Start, s)
}

func (in *input) anchor(ordinal int) anchor { return in.memo.Anchors[ordinal-in.memo.First] }

// find returns the newest session that s fits, and where it starts in it. pdt is the programme date-time of s, zero when
// it is not known. When the other input fed the timeline until now, only clocks that are UTC go on, and sessions on the axis of
// programme date-times that it was fed on: two encoders agree on nothing else.
func (in *input) find(track string, c *media.Config, s stamp, pdt, now time.Time) (ordinal int, start int64, ok bool) {
	last, has := in.tl.Last(track)
	have, joined := in.memo.Tracks[track]
	past := s.Past
	if joined && in.anchor(have).begunAgain(s, now) {
		past = max(past, have+1) // what an encoder sends that was restarted is in a newer session or none
	}
	joined = joined && have >= past
	slack := slack(last, has, s)
	if joined && has && !in.switches() {
		if ordinal, start, ok = in.backward(have, s, slack, now); ok {
			return ordinal, start, true
		}
	}
	if has && joined && !in.switches() {
		// What continues its own session stays in it, though another may have begun meanwhile.
		start, ok = in.anchor(have).fits(s, last.End(), true, now)
		ok = ok && s.near(start, now) && !in.leftBehind(have, s, start, now)
		if ok && abs(media.At(start-last.End(), s.Scale).Duration()) <= s.length()/4 {
			ordinal, start = in.onward(have, start, s, slack, now)
			return ordinal, start, true
		}
	}
	for i := len(in.memo.Anchors) - 1; i >= 0; i-- {
		a := in.memo.Anchors[i]
		if in.switches() && a.Kind != clockEpoch && !in.onAxis(a) {
			continue
		}
		ordinal = in.memo.First + i
		if ordinal < past {
			break
		}
		own := joined && have == ordinal
		if joined && !own && in.descends(have, ordinal) {
			continue // its own session says where it goes on there
		}
		start, ok = in.usual(a, ordinal, own).fits(s, last.End(), has && own, now)
		ok = ok && (own || media.At(start, s.Scale).Duration() >= a.Begin-slack)
		ok = ok && (a.Kind == clockEpoch || s.near(start, now)) && (own || a.agrees(start, s.Scale, pdt))
		if ok && has && (have != ordinal || last.Config != c) && start < last.End()-last.Duration/10 && a.Kind != clockEpoch && !in.merged(a, now) {
			ok = false // the track has moved on already, or this is no copy but an encoder that began again
		}
		if ok {
			ordinal, start = in.onward(ordinal, start, s, slack, now)
			return ordinal, start, true
		}
	}
	return 0, 0, false
}

// leftBehind reports whether s, at start in the session it continues, is of a newer one: that of an encoder that began
// again so soon that nothing told the end of this track's last run, as where all that it sent was the same again.
func (in *input) leftBehind(have int, s stamp, start int64, now time.Time) bool {
	newest := in.memo.Anchors[len(in.memo.Anchors)-1]
	a := in.anchor(have)
	if newest == a || newest.Follows != 0 || newest.Kind == clockEpoch || a.Kind == clockEpoch {
		return false
	}
	since := media.At(s.Ticks, s.Scale).Duration() - newest.First
	lag := s.lag(newest.utc(s, now), now) - newest.Lag
	return since >= -beginSlack && since <= lateJoin && abs(lag) <= s.length()/2 && s.lag(start, now)-a.Lag >= s.length()
}

// knows reports whether a session is there for a segment, of those that it may be of.
func (in *input) knows(track string, c *media.Config, s stamp, now time.Time) bool {
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	_, _, ok := in.find(track, c, s, time.Time{}, now)
	return ok
}

// switches reports whether the other input was the last to be placed on the timeline.
func (in *input) switches() bool { return in.feed.now.Input != 0 && in.feed.now.Input != in.number }

// begin adds a session, for track. The first of a track whose programme date-time is believed goes on beside those of other
// encoder processes that are; any other starts a part, after all that is stored.
func (in *input) begin(ctx context.Context, track string, s stamp, pdt, now time.Time) (ordinal int, start int64, err error) {
	a, start := newAnchor(s, pdt, now, media.Time{})
	_, has := in.tl.Last(track)
	beside := !has && a.Kind == clockPDT && a.Lag <= maxAhead && in.feed.now.Input == in.number && in.feed.now.Clock == clockPDT
	if !beside {
		a, start = newAnchor(s, pdt, now, in.tl.Earliest())
	}
	if !s.near(start, now) || a.Kind != clockEpoch && media.At(start, s.Scale).UTC().Sub(now) > beginAhead {
		return 0, 0, errAhead(track, s, start, now)
	}
	switch {
	case beside:
		a.Axis = in.feed.now.Axis
	case a.Kind == clockPDT:
		a.Axis = now.UnixMilli()
	}
	if err := in.follow(ctx, a, s, !beside, start); err != nil {
		return 0, 0, err
	}
	next := in.memo.copy()
	next.Anchors = append(next.Anchors, a)
	next.trim()
	if err := in.remember(ctx, next); err != nil {
		return 0, 0, err
	}
	in.aside, in.sample = false, nil
	if len(next.Anchors) > 1 || next.First > 0 {
		in.begins.add(now, keptBegins)
	}
	in.logger(ctx).Info("encoder begins", "track", track, "clock", a.Kind, "at", media.At(start, s.Scale).UTC())
	return next.First + len(next.Anchors) - 1, start, nil
}

// takeover says which input this one takes over from, "" when it goes on.
func (in *input) takeover() string {
	if !in.switches() {
		return ""
	}
	return fmt.Sprintf("input %d takes over from input %d", in.number, in.feed.now.Input)
}

const discontinuity = "discontinuity" // in logs

// tellBreak logs what happens to the timeline at start, why, and how much media is missing before it.
func (in *input) tellBreak(ctx context.Context, level slog.Level, what, reason string, start media.Time) {
	log := in.logger(ctx).With("reason", reason, "at", start.UTC())
	var end media.Time
	for _, tr := range in.tl.State().Tracks {
		if at := media.At(tr.Last.End(), tr.Timescale); tr.Segments > 0 && tr.Kind != media.Metadata && end.Before(at) {
			end = at
		}
	}
	if end.Scale != 0 { // else all of it has expired
		log = log.With("gap", start.Sub(end).Duration().Round(time.Millisecond))
	}
	log.Log(ctx, level, what)
}

func (in *input) logger(ctx context.Context) *slog.Logger {
	return reply.Logger(ctx).With("channel", in.channel, "input", in.number)
}

// follow makes the input the one that feeds the timeline. It begins a part where a session begins or the other input fed
// until now, unless the clock was and stays UTC or its axis is the same. One that fills what the other lacks stays what it is.
func (in *input) follow(ctx context.Context, a anchor, s stamp, fresh bool, ticks int64) error {
	if s.Filling && (a.Kind == clockEpoch || in.onAxis(a)) {
		return nil
	}
	f, start := in.feed.now, media.At(ticks, s.Scale)
	f.Input, f.Clock = in.number, a.Kind
	if in.switches() && f.Held != in.number {
		f.Held = 0
	}
	if fresh || in.switches() {
		f.Axis = a.Axis
	}
	if f.Axis != in.feed.now.Axis {
		in.feed.placed, in.feed.marks, in.feed.skew = [2]time.Time{}, [2]landmark{}, 0
	}
	_, any := in.tl.CurrentPart()
	seamless := f.Clock == clockEpoch && in.feed.now.Clock == clockEpoch || in.onAxis(a)
	if !any || !seamless && (fresh || in.switches()) {
		begins := start.Sub(media.FromDuration(partMargin))
		if begins.Before(in.tl.Earliest()) {
			begins = start
		}
		if _, err := in.tl.BeginPart(ctx, begins); err != nil {
			return err
		}
		if any {
			in.tellBreak(ctx, slog.LevelWarn, discontinuity, cmp.Or(in.takeover(), "the encoder began again"), start)
		}
	} else if why := in.takeover(); why != "" {
		in.tellBreak(ctx, slog.LevelWarn, "takeover without a discontinuity", why, start)
	}
	if f == in.feed.now {
		return nil
	}
	return in.feed.set(ctx, in.tl, f)
}

func (in *input) remember(ctx context.Context, next memo) error {
	raw, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode input memory: %w", err)
	}
	if err := in.tl.Note(ctx, in.noteKey(), raw); err != nil {
		return err
	}
	in.memo = next
	return nil
}

func (m memo) copy() memo {
	m.Anchors, m.Tracks = slices.Clone(m.Anchors), maps.Clone(m.Tracks)
	return m
}

// trim forgets the oldest sessions.
func (m *memo) trim() {
	used := map[int]bool{}
	for _, ordinal := range m.Tracks {
		used[ordinal] = true
	}
	for n := len(m.Anchors); n > keptAnchors && (!used[m.First] || n > mostAnchors); n-- {
		m.Anchors = m.Anchors[1:]
		m.First++
	}
	maps.DeleteFunc(m.Tracks, func(_ string, ordinal int) bool { return ordinal < m.First })
}

// part returns the part that a segment of track at start belongs to: the newest that has begun by its middle. A track
// whose configuration changes inside a part begins a new one, for all tracks.
func (in *input) part(ctx context.Context, track string, c *media.Config, start int64, s stamp) (uint32, error) {
	cur, ok := in.tl.CurrentPart()
	if !ok {
		p, err := in.tl.BeginPart(ctx, media.At(start, s.Scale))
		return p.Ordinal, err
	}
	last, has := in.tl.Last(track)
	if media.At(start+s.Duration/2, s.Scale).Before(cur.Start) {
		if has {
			return last.Part, nil
		}
		return cur.Ordinal, nil
	}
	if has && last.Config != c && last.Part == cur.Ordinal && last.Start < start {
		p, err := in.tl.BeginPart(ctx, media.At(start, s.Scale))
		if err == nil {
			in.tellBreak(ctx, slog.LevelInfo, discontinuity, "another configuration of track "+track, p.Start)
		}
		return p.Ordinal, err
	}
	return cur.Ordinal, nil
}
