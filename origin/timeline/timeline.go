// Package timeline records what exists when in a channel: tracks, their configurations, parts and segments on the UTC
// axis. It numbers segments, survives restarts through the journal, and hands out immutable windows.
//
// It does not receive or map media to UTC, hold media bytes, render, or read a clock: `now` is an argument.
package timeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"headwater/packager/media"
	"headwater/storage"
)

// Errors that a caller can match.
var (
	ErrNotYet    = errors.New("not available yet")      // may exist soon
	ErrGone      = errors.New("not available any more") // left the timeline, or was never there
	ErrNoTrack   = errors.New("no such track")          // the channel has no such track or configuration
	ErrChanged   = errors.New("track changes kind or timescale")
	ErrDuplicate = errors.New("segment is already there")           // same track and start
	ErrOverlap   = errors.New("segment overlaps one already there") // neither a duplicate nor in a free place
	// ErrBackwards: no number is left for the segment. It came late and those around it have consecutive numbers, or
	// another has its slot of the grid already; under Epoch also a segment that lies off the grid.
	ErrBackwards = errors.New("segment number would go backwards")
)

var errRange = errors.New("start, duration or size out of range")

// maxTicks bounds starts and durations, so that no sum of two overflows.
const maxTicks = 1 << 62

// Numbering is how segments get their numbers: see Options.
type Numbering uint8

// Ways of numbering.
const (
	// Auto follows the epoch grid, and falls back to a counter for good when segments leave the grid.
	Auto Numbering = iota
	// Epoch follows the grid and refuses segments whose number would go back.
	Epoch
	// Counter gives each segment of a track one more than the last, and leaves numbers free where media is missing.
	Counter
)

// Options of a Timeline.
type Options struct {
	Numbering Numbering
}

// Timeline is the record of one channel. It is safe for concurrent use. The state behind mu has one owner at a time, the
// appender; readers only see snapshots. mu is never held during I/O.
type Timeline struct {
	stream  string
	journal storage.Journal

	snap atomic.Pointer[snapshot]

	growth     growth     // see Grow
	describing sync.Mutex // see describe
	mu         sync.Mutex
	state      state
}

// Streams of the journal that belong to a channel: its description, never trimmed and small, and its segments.
const (
	streamPrefix   = "channel/"
	metaSuffix     = "/meta"
	segmentsSuffix = "/segments"
)

// Channels returns the names ("group/channel") of all channels that the journal remembers.
func Channels(ctx context.Context, j storage.Journal) ([]string, error) {
	streams, err := j.Streams(ctx)
	if err != nil {
		return nil, fmt.Errorf("timeline: list channels: %w", err)
	}
	var names []string
	for _, s := range streams {
		if name, ok := strings.CutPrefix(s, streamPrefix); ok {
			if name, ok := strings.CutSuffix(name, metaSuffix); ok {
				names = append(names, name)
			}
		}
	}
	sort.Strings(names)
	return names, nil
}

// Open replays the journal of channel name ("group/channel") and returns its timeline.
func Open(ctx context.Context, j storage.Journal, name string, opt Options) (*Timeline, error) {
	t := &Timeline{stream: streamPrefix + name, journal: j}
	t.state = newState(opt.Numbering)
	for _, suffix := range []string{metaSuffix, segmentsSuffix} {
		for rec, err := range j.Read(ctx, t.stream+suffix, 0) {
			if err == nil {
				err = t.state.replay(rec)
			}
			if err != nil {
				return nil, fmt.Errorf("timeline: replay %s%s: %w", t.stream, suffix, err)
			}
		}
	}
	t.publish()
	return t, nil
}

// Number has segments numbered in another way than Options said, if none was appended since the timeline was opened.
func (t *Timeline) Number(n Numbering) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.numbering != n && !t.state.begun {
		t.state.numbering = n
		t.publish()
	}
}

// Note remembers value under key for the channel, replacing what was there: a small memory for what feeds the timeline.
func (t *Timeline) Note(ctx context.Context, key string, value []byte) error {
	value = append([]byte(nil), value...)
	return t.describe(ctx, func(*state) ([]byte, error) { return encodeNote(key, value), nil },
		func(s *state) { s.notes[key] = value })
}

// Noted returns what Note remembered under key, nil when nothing.
func (t *Timeline) Noted(key string) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.notes[key]
}

// SetTrack adds a track, or updates the language of one that exists, and whether it is the default. It returns the track in force: the bitrate of a new
// track is made unique among its kind (Smooth names quality levels by it), an existing track keeps kind and timescale,
// and it is an error to ask for others.
func (t *Timeline) SetTrack(ctx context.Context, tr media.Track) (media.Track, error) {
	if err := checkTrack(tr); err != nil {
		return tr, err
	}
	var have *track
	err := t.describe(ctx, func(s *state) ([]byte, error) {
		if have = s.tracks[tr.ID]; have == nil {
			tr.Bitrate = s.uniqueBitrate(tr)
			have = newTrack(tr, len(s.order))
			return encodeTrack(have.index, tr), nil
		}
		if have.Kind != tr.Kind || have.Timescale != tr.Timescale {
			return nil, fmt.Errorf("%w: %s from %s at %d to %s at %d ticks per second", ErrChanged,
				tr.ID, have.Kind, have.Timescale, tr.Kind, tr.Timescale)
		}
		tr.Bitrate = have.Bitrate
		if tr.Language == "" {
			tr.Language = have.Language
		}
		if tr == have.Track {
			return nil, nil
		}
		return encodeTrack(have.index, tr), nil
	}, func(s *state) {
		if s.tracks[tr.ID] == nil {
			s.addTrack(have)
		}
		have.Track = tr
	})
	return tr, err
}

func (s *state) addTrack(tr *track) {
	s.tracks[tr.ID] = tr
	s.order = append(s.order, tr)
	delete(s.expected, tr.ID)
}

func checkTrack(tr media.Track) error {
	if tr.ID == "" || tr.Kind < media.Video || tr.Kind > media.Metadata || tr.Timescale == 0 || tr.Bitrate < 0 || tr.Bitrate > math.MaxInt32 ||
		!tr.Roles.Valid() {
		return fmt.Errorf("track %q of %s with %d ticks per second and %d bit/s cannot be", tr.ID, tr.Kind, tr.Timescale, tr.Bitrate)
	}
	return nil
}

func errConfig(trackID string) error {
	return fmt.Errorf("%w: the configuration of %s is unknown", ErrNoTrack, trackID)
}

// SetConfig adds a configuration to a track and returns the one in force (a configuration already known is shared).
func (t *Timeline) SetConfig(ctx context.Context, trackID string, c *media.Config) (*media.Config, error) {
	var tr *track
	err := t.describe(ctx, func(s *state) ([]byte, error) {
		if tr = s.tracks[trackID]; tr == nil {
			return nil, fmt.Errorf("%w: %s", ErrNoTrack, trackID)
		}
		for _, have := range tr.configs {
			if have.ID == c.ID {
				c = have
				return nil, nil
			}
		}
		return encodeConfig(tr.index, len(tr.configs), c), nil
	}, func(*state) { tr.configs = append(tr.configs, c) })
	return c, err
}

// BeginPart ends the running part and begins the next at start (UTC).
func (t *Timeline) BeginPart(ctx context.Context, start media.Time) (media.Part, error) {
	p := media.Part{Start: start}
	err := t.describe(ctx, func(s *state) ([]byte, error) {
		if n := len(s.parts); n > 0 {
			p.Ordinal = s.parts[n-1].Ordinal + 1
		}
		return encodePart(p), nil
	}, func(s *state) { s.addPart(p) })
	return p, err
}

// describe changes the channel's description: decide returns the record, nil for no change; apply makes it true once the
// record is durable. Descriptions change rarely and in the order of their records, so one lock serialises them; readers
// and appenders do not take it.
func (t *Timeline) describe(ctx context.Context, decide func(*state) ([]byte, error), apply func(*state)) error {
	t.describing.Lock()
	defer t.describing.Unlock()
	t.mu.Lock()
	rec, err := decide(&t.state)
	t.mu.Unlock()
	if err != nil || rec == nil {
		return err
	}
	if _, err := t.journal.Append(ctx, t.stream+metaSuffix, rec); err != nil {
		return fmt.Errorf("timeline: append to %s: %w", t.stream, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	apply(&t.state)
	t.publish()
	return nil
}

// CurrentPart returns the newest part; ok is false when there is none.
func (t *Timeline) CurrentPart() (p media.Part, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.state.parts); n > 0 {
		return t.state.parts[n-1].Part, true
	}
	return p, false
}

// Last returns the newest segment of a track, numbered or not yet; ok is false when the track has none. One
// that is being appended counts.
func (t *Timeline) Last(trackID string) (seg media.Segment, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tr := t.state.tracks[trackID]
	if tr == nil {
		return seg, false
	}
	return tr.newest()
}

// Earliest returns the earliest UTC start of a new part for which neither time nor numbers go backwards.
func (t *Timeline) Earliest() media.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.earliest()
}

// Add is a segment to be appended. Number, Part and Config of Segment are as ingest mapped them, save that Number is
// chosen by the timeline.
type Add struct {
	media.Segment
	// Step is the exact duration of a regular segment of the source when the caller knows it, else zero.
	Step media.Time
	// Locked says that the source's clock is UTC, so that its boundaries are expected on whole multiples of its step.
	Locked bool
}

// Append numbers a segment whose bytes are durable, journals it and makes it visible. A segment that cannot be numbered
// yet (the first of an audio track before its video) is journaled and becomes visible with the one that settles it; its
// Number is -1. Its Config is one that SetConfig returned. Errors: ErrNoTrack (also for an unknown Part or Config),
// ErrDuplicate, ErrOverlap, ErrBackwards, or the journal's; nothing has been recorded then.
func (t *Timeline) Append(ctx context.Context, trackID string, add Add) (media.Segment, error) {
	t.mu.Lock()
	for t.state.unsettled(trackID, add.Part) {
		landed := t.snap.Load().passed
		t.mu.Unlock()
		<-landed // with the end of its journal write
		t.mu.Lock()
	}
	plan, err := t.state.plan(trackID, add)
	t.state.begun = true
	if err != nil {
		t.state.release(trackID, add.Start)
	}
	t.mu.Unlock()
	if err != nil {
		return media.Segment{}, fmt.Errorf("append to track %s at %d: %w", trackID, add.Start, err)
	}
	pos, described, err := t.commit(ctx, plan)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.release(trackID, add.Start)
	if described {
		t.state.described(plan)
	}
	defer t.publish()
	if err != nil {
		t.state.abandon(plan)
		return media.Segment{}, err
	}
	t.state.apply(plan, pos)
	return plan.segment, nil
}

// commit journals a plan, what it says of the channel first. described is true when that is durable.
func (t *Timeline) commit(ctx context.Context, p *plan) (pos storage.Position, described bool, err error) {
	if len(p.meta) > 0 {
		if _, err := t.journal.Append(ctx, t.stream+metaSuffix, p.meta...); err != nil {
			return 0, false, fmt.Errorf("timeline: append to %s: %w", t.stream, err)
		}
	}
	pos, err = t.journal.Append(ctx, t.stream+segmentsSuffix, p.records...)
	if err != nil {
		return 0, true, fmt.Errorf("timeline: append to %s: %w", t.stream, err)
	}
	return pos, true, nil
}

// publish makes a snapshot of the state visible to readers. The caller holds mu.
func (t *Timeline) publish() {
	if old := t.snap.Swap(t.state.snapshot()); old != nil {
		close(old.passed)
	}
}

// Version grows with every change that readers can see.
func (t *Timeline) Version() uint64 { return t.snap.Load().version }

// Changed returns a channel that is closed with the next change that readers can see.
func (t *Timeline) Changed() <-chan struct{} { return t.snap.Load().passed }

// Reserve claims the place of a segment before its bytes are stored, so that of two uploads of one segment only one is
// written. It returns ErrDuplicate or ErrOverlap when the place is taken. Append releases it; Release does otherwise.
func (t *Timeline) Reserve(trackID string, start int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.reserve(trackID, start)
}

// Uncovered returns how many ticks of [start, end) no segment of the track covers. What expired counts as covered.
func (t *Timeline) Uncovered(trackID string, start, end int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	tr := t.state.tracks[trackID]
	if tr == nil {
		return max(0, end-start)
	}
	return tr.uncovered(start, end)
}

// Release gives up a reservation.
func (t *Timeline) Release(trackID string, start int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.release(trackID, start)
}

// Expired is a segment that left the timeline and whose bytes may be deleted.
type Expired struct {
	Track   string
	Segment media.Segment
}

// Expire removes the segments that ended and arrived before cutoff and returns them, at most limit, also those that never got
// a number. Call Forget after their bytes are gone.
func (t *Timeline) Expire(cutoff time.Time, limit int) []Expired {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.state.expire(cutoff, limit)
	if len(out) > 0 {
		t.publish()
	}
	return out
}

// Forget journals what expired, so that it stays gone and numbers never go back even when nothing is left, and trims the
// journal up to the oldest record that is needed.
func (t *Timeline) Forget(ctx context.Context) error {
	t.mu.Lock()
	records := t.state.epitaph()
	t.mu.Unlock()
	if len(records) == 0 {
		return nil
	}
	pos, err := t.journal.Append(ctx, t.stream+segmentsSuffix, records...)
	if err != nil {
		return fmt.Errorf("timeline: append to %s: %w", t.stream, err)
	}
	t.mu.Lock()
	before := t.state.oldest(pos + 1 - storage.Position(len(records)))
	t.state.know(pos)
	t.mu.Unlock()
	if err := t.journal.Trim(ctx, t.stream+segmentsSuffix, before); err != nil {
		return fmt.Errorf("timeline: trim %s: %w", t.stream, err)
	}
	return nil
}
