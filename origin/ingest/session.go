package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"headwater/origin/timeline"
	"headwater/packager/media"
)

// keptAnchors is how many encoder sessions of an input are remembered: one, and those that tracks still leave.
const keptAnchors = 4

// input is one of the two places where an encoder pushes to a channel: its sessions, and what its names mean.
// Fields behind mu change rarely and are journaled as a note before they are used.
type input struct {
	number int
	tl     *timeline.Timeline
	names  *names

	mu   sync.Mutex // held while a session begins, which is rare and writes to the journal
	memo memo
}

// memo is what an input remembers over a restart of the server.
type memo struct {
	Anchors []anchor       `json:"anchors"` // oldest first
	First   int            `json:"first"`   // ordinal of Anchors[0]
	Tracks  map[string]int `json:"tracks"`  // track ID to ordinal of its anchor
}

func newInput(number int, tl *timeline.Timeline, names *names) *input {
	in := &input{number: number, tl: tl, names: names, memo: memo{Tracks: map[string]int{}}}
	if raw := tl.Noted(in.noteKey()); raw != nil {
		// A note that cannot be read costs a discontinuity, no more.
		if err := json.Unmarshal(raw, &in.memo); err != nil || in.memo.Tracks == nil {
			in.memo = memo{Tracks: map[string]int{}}
		}
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
}

// place maps the segment of track at s to UTC. pdt is asked, outside any lock and only when a new session has to begin,
// for the UTC time that the encoder's playlist gives for the segment's start; it may wait. A change of configuration
// begins a new part.
func (in *input) place(ctx context.Context, track string, c *media.Config, s stamp, now time.Time,
	pdt func() time.Time) (placed, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	ordinal, start, ok := in.find(track, s, now)
	if !ok {
		in.mu.Unlock()
		at := pdt()
		in.mu.Lock()
		if ordinal, start, ok = in.find(track, s, now); !ok {
			a, first := newAnchor(s, at, now, in.tl.Earliest())
			start = first
			if err := in.begin(ctx, a, media.At(start, s.Scale)); err != nil {
				return placed{}, err
			}
			ordinal = in.memo.First + len(in.memo.Anchors) - 1
		}
	}
	if have, known := in.memo.Tracks[track]; !known || have != ordinal {
		in.memo.Tracks[track] = ordinal
		if err := in.remember(ctx); err != nil {
			return placed{}, err
		}
	}
	p := placed{Start: start, Shift: start - s.Ticks, Locked: in.anchor(ordinal).Kind == clockEpoch}
	var err error
	p.Part, err = in.part(ctx, track, c, start, s)
	return p, err
}

// resume maps the next segment of an endless stream whose beginning was placed at: the shift stays.
func (in *input) resume(ctx context.Context, track string, c *media.Config, s stamp, at placed) (placed, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	at.Start = s.Ticks + at.Shift
	var err error
	at.Part, err = in.part(ctx, track, c, at.Start, s)
	return at, err
}

func (in *input) anchor(ordinal int) anchor { return in.memo.Anchors[ordinal-in.memo.First] }

// find returns the newest session that s fits, and where it starts in it.
func (in *input) find(track string, s stamp, now time.Time) (ordinal int, start int64, ok bool) {
	last, has := in.tl.Last(track)
	for i := len(in.memo.Anchors) - 1; i >= 0; i-- {
		ordinal = in.memo.First + i
		have, joined := in.memo.Tracks[track]
		start, ok = in.memo.Anchors[i].fits(s, last.End(), has && joined && have == ordinal, now)
		if ok && has && have != ordinal && start < last.End() && in.memo.Anchors[i].Kind != clockEpoch {
			ok = false // the track has moved on already
		}
		if ok {
			return ordinal, start, true
		}
	}
	return 0, 0, false
}

// begin adds a session and, unless the clock was and stays UTC, a new part of the timeline.
func (in *input) begin(ctx context.Context, a anchor, start media.Time) error {
	n := len(in.memo.Anchors)
	seamless := a.Kind == clockEpoch && n > 0 && in.memo.Anchors[n-1].Kind == clockEpoch
	if _, any := in.tl.CurrentPart(); !any || !seamless {
		if _, err := in.tl.BeginPart(ctx, start); err != nil {
			return err
		}
	}
	in.memo.Anchors = append(in.memo.Anchors, a)
	for len(in.memo.Anchors) > keptAnchors {
		in.memo.Anchors = in.memo.Anchors[1:]
		in.memo.First++
	}
	for id, ordinal := range in.memo.Tracks {
		if ordinal < in.memo.First {
			delete(in.memo.Tracks, id)
		}
	}
	return in.remember(ctx)
}

func (in *input) remember(ctx context.Context) error {
	raw, err := json.Marshal(in.memo)
	if err != nil {
		return fmt.Errorf("encode input memory: %w", err)
	}
	return in.tl.Note(ctx, in.noteKey(), raw)
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
		return p.Ordinal, err
	}
	return cur.Ordinal, nil
}
