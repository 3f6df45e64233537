package ingest

import (
	"context"
	"log/slog"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/packager/media"
)

// This file is which of a channel's two inputs feeds it.

// Limits of the choice, each decided here and tested by name.
const (
	// switchAfter is how long the active input must be silent before the other takes over, or three segments if longer.
	switchAfter = 6 * time.Second
	// steadyFor is how long media of the preferred input must have come without a pause and without a refusal before the
	// channel goes back to it, or three segments if longer.
	steadyFor = 10 * time.Second
	// longestGap is the most of what passed between two files of a track that counts for how long it may be missing: files
	// are seldom longer.
	longestGap = 10 * time.Second
	// shortestGap: what comes sooner is of the same file.
	shortestGap = time.Second
	// keptSwitches is how many switches are kept for the report.
	keptSwitches = 32
)

// Why an input took over: the reasons of a Switch.
const (
	SwitchSilence   = "silence"       // nothing came of the active input
	SwitchTrack     = "missing_track" // a track of the active input stopped, which the other one brings
	SwitchPreferred = "preferred"     // the preferred input is back
	SwitchManual    = "manual"        // somebody asked for it
	SwitchEnded     = "ended"         // the encoder of the active input told its end
)

// SwitchReasons are the reasons that a Switch can have.
func SwitchReasons() []string {
	return []string{SwitchEnded, SwitchManual, SwitchTrack, SwitchPreferred, SwitchSilence}
}

// Switch is one change of the active input.
type Switch struct {
	Time     time.Time
	From, To int
	Reason   string
}

// choice is which input is active, and what the next choice rests on. It is guarded by the intake's mu.
type choice struct {
	active int          // 0: none yet
	held   int          // that somebody asked for, until it falls silent; 0: none. It may have to become active yet
	yields bool         // the active input begins nothing any more: the other takes over when what has begun has ended
	last   time.Time    // of media of the active input
	filled time.Time    // of media of the other one that may stand beside it
	heard  [2]time.Time // of media of input 1 and 2, whatever is done with it
	since  [2]time.Time // when it began to come without a pause or a refusal
	feeds  [2]int       // uploads under way whose media is taken
	tracks [2]map[sourceTrack]lastOf

	switches ring[Switch]   // keptSwitches
	counts   map[string]int // of switches, by reason, since the server began
}

// sourceTrack is a track as its uploads tell it, before anything is known of it.
type sourceTrack struct {
	stem  string // of their names
	kind  media.Kind
	index int
}

// lastOf is when a track's media came last, and how long after what came before.
type lastOf struct {
	at  time.Time
	gap time.Duration
}

// late returns for how much of the time that the track has to come it did not: above 1 it is missing.
func (l lastOf) late(now time.Time, patience time.Duration) float64 {
	return float64(now.Sub(l.at)) / float64(max(patience, 3*min(l.gap, longestGap)))
}

// hear notes media of an input.
func (c *choice) hear(input int, now time.Time, patience time.Duration) {
	i := input - 1
	if now.Sub(c.heard[i]) >= patience {
		c.since[i] = now
	}
	c.heard[i] = now
}

// bring notes media of a track of an input.
func (c *choice) bring(input int, key sourceTrack, now time.Time) {
	of := c.tracks[input-1]
	if of == nil {
		of = map[sourceTrack]lastOf{}
		c.tracks[input-1] = of
	}
	last, known := of[key]
	if !known && len(of) >= maxTracks {
		oldest := key
		for k, l := range of {
			if oldest == key || l.at.Before(of[oldest].at) {
				oldest = k
			}
		}
		delete(of, oldest)
	}
	if d := now.Sub(last.at); known && d > shortestGap {
		last.gap = d
	}
	last.at = now
	of[key] = last
}

// brings returns how many tracks of each kind come of an input, and how many have stopped.
func (c *choice) brings(input int, now time.Time, patience time.Duration) (coming, stopped map[media.Kind]int) {
	coming, stopped = map[media.Kind]int{}, map[media.Kind]int{}
	for key, l := range c.tracks[input-1] {
		if l.late(now, patience) > 1 {
			stopped[key.kind]++
		} else {
			coming[key.kind]++
		}
	}
	return coming, stopped
}

// lacks reports whether a track of the active input has stopped while others go on, and the other input brings as many as
// the active one did with it.
func (c *choice) lacks(other int, now time.Time, patience time.Duration) bool {
	coming, stopped := c.brings(c.active, now, patience)
	if len(stopped) == 0 || len(coming) == 0 {
		return false
	}
	for kind, n := range stopped {
		coming[kind] += n
	}
	return c.whole(other, coming, now, patience)
}

// whole reports whether an input brings so many tracks of each kind. One that is half missing does not count: it may have
// stopped when the active input's did.
func (c *choice) whole(input int, want map[media.Kind]int, now time.Time, patience time.Duration) bool {
	have := map[media.Kind]int{}
	for key, l := range c.tracks[input-1] {
		if l.late(now, patience) <= 0.5 {
			have[key.kind]++
		}
	}
	for kind, n := range want {
		if have[kind] < n {
			return false
		}
	}
	return true
}

// steady reports whether an input has come for long enough without a pause or a refusal, with all that the active one brings.
func (c *choice) steady(input int, now time.Time, patience time.Duration) bool {
	if now.Sub(c.since[input-1]) < max(steadyFor, patience) {
		return false
	}
	coming, _ := c.brings(c.active, now, patience)
	return c.whole(input, coming, now, patience)
}

// why returns the reason for which an input that is not the active one takes over now, "" when it does not; ended says that the
// active one's encoder told its end.
func (c *choice) why(input, preferred int, merges, ended bool, now time.Time, patience time.Duration) string {
	switch {
	case c.held == input:
		return SwitchManual
	case ended:
		return SwitchEnded
	case now.Sub(c.last) >= patience:
		return SwitchSilence
	case c.held == c.active:
		return ""
	case !merges && c.lacks(input, now, patience):
		return SwitchTrack
	case preferred == input && c.held == 0 && c.steady(input, now, patience):
		return SwitchPreferred
	}
	return ""
}

// patience returns how long an input may be silent before it counts as gone.
func (t *intake) patience() time.Duration { return max(switchAfter, 3*t.tl.Longest()) }

// turn is what is done with media of an input.
type turn uint8

const (
	standby turn = iota // nothing: the other input is active
	active              // it goes to the timeline
	filling             // it goes where the active input's media is missing
)

// claim returns what is done with media of an upload now; utc says that its own timestamps are UTC. Two encoders whose clocks
// are both UTC make the same segments (DASH-IF ingest 1.2, epoch locking; reference ingest.md 3.5), and so do two whose
// programme date-times are the same (align.go): of each the first complete copy is taken, whosever it is.
func (p *push) claim(ctx context.Context, utc bool, now time.Time) turn {
	merges := utc && p.feed.utc() || !utc && p.aligned(ctx, now)
	takes, s := p.takes(p, merges, now)
	if s.Reason != "" {
		p.in.logger(ctx).LogAttrs(ctx, slog.LevelWarn, "input switch", slog.Int("from", s.From), slog.Int("to", s.To),
			slog.String("reason", s.Reason), slog.Time("at", s.Time.UTC()))
	}
	switch {
	case takes:
		return active
	case merges:
		return filling
	}
	return standby
}

// takes reports whether an upload is of the active input, or of one that becomes it by this switch. Where the two do not
// merge an input gives way at the end of what it has begun: the other one goes on behind that. An endless upload ends at once.
func (t *intake) takes(p *push, merges bool, now time.Time) (ok bool, s Switch) {
	patience, preferred, input := t.patience(), t.channel.Load().PreferredInput, p.in.number
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.choice
	c.hear(input, now, patience)
	if c.active == input {
		if c.yields && now.Sub(c.heard[2-input]) >= patience {
			c.yields = false // the other one is gone again
		}
		if c.yields && (p.endless || !p.feeds) {
			return false, s
		}
		c.last = now
		t.begins(p)
		return true, s
	}
	if c.active != 0 {
		s = Switch{Time: now, From: c.active, To: input, Reason: c.why(input, preferred, merges, !t.over[c.active-1].IsZero(), now, patience)}
		if s.Reason == "" {
			c.yields = false // the reason is gone for which it was to give way
			return false, s
		}
		if c.feeds[c.active-1] > 0 && !merges && now.Sub(c.last) < patience {
			c.yields = true
			return false, Switch{}
		}
		c.note(s)
	}
	c.active, c.last, c.yields = input, now, false
	t.begins(p)
	return true, s
}

// note makes a switch part of the history. What somebody asked for ends where the other input takes over.
func (c *choice) note(s Switch) {
	if c.held != s.To {
		c.held = 0
	}
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[s.Reason]++
	c.switches.add(s, keptSwitches)
}

// history returns the input that somebody asked for, how many switches there were, and the last of them.
func (t *intake) history() (held, count int, last []Switch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.choice.counts {
		count += n
	}
	return t.choice.held, count, t.choice.switches.all()
}

// begins counts an upload whose media is taken, until stopFeeding is called. The lock is held.
func (t *intake) begins(p *push) {
	if !p.feeds {
		p.feeds = true
		t.choice.feeds[p.in.number-1]++
	}
}

// stopFeeding says that nothing of the upload is taken any more, or not for now.
func (p *push) stopFeeding() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.feeds {
		p.feeds = false
		p.choice.feeds[p.in.number-1]--
	}
}

// brings notes which track a fragment is of.
func (p *push) brings(d *demux.Track, now time.Time) {
	if p.stem == "" {
		p.stem = stemKey(p.name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.choice.bring(p.in.number, sourceTrack{p.stem, d.Kind, d.Index}, now)
}

// falters notes that an upload of an input was refused.
func (t *intake) falters(input int, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.choice.since[input-1] = now
	if t.choice.active != input {
		t.choice.yields = false // it is not taken over from yet
	}
}

// fills notes that media of the other input stands beside that of the active one.
func (t *intake) fills(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.choice.filled = now
}

// covered reports whether the other input sends the same as this one, so that it has whole what this one broke off.
func (t *intake) covered(input int, now time.Time) bool {
	patience := t.patience()
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.choice
	if c.filled.IsZero() || !t.over[2-input].IsZero() {
		return false
	}
	return now.Sub(c.filled) < patience && (c.active == input || now.Sub(c.last) < patience)
}

// resumeActive remembers over a restart of the server which input was active: it has its usual time to come back.
func (t *intake) resumeActive() {
	t.over = Ends(t.tl)
	c := &t.choice
	if c.active, c.held = t.feed.now.Input, t.feed.now.Held; c.active == 0 {
		return
	}
	for _, tr := range t.tl.State().Tracks {
		if at := time.UnixMilli(tr.Last.Arrived); tr.Segments > 0 && tr.Kind != media.Metadata && at.After(c.last) {
			c.last = at
		}
	}
}
