package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"headwater/origin/channel"
	"headwater/origin/ingest/demux"
	"headwater/origin/ingest/manifest"
	"headwater/origin/timeline"
	"headwater/packager/media"
	"headwater/storage"
)

// switchAfter is how long the active input must be silent before the other takes over, or three segments if longer.
const switchAfter = 6 * time.Second

// intake is the ingest side of one channel: two inputs, one of which is active. Where the clocks of both are UTC, the other
// one fills what the active one lacks.
type intake struct {
	id      channel.ID
	channel atomic.Pointer[channel.Channel] // settings as of the last request
	tl      *timeline.Timeline
	store   *storage.Store
	seen    Observer
	cuts    *cuts
	copies  *sync.Pool // of *[]byte, copyBuffer long
	feed    *feed
	writing writing
	gate    gate

	mu                sync.Mutex
	inputs            map[int]*input
	air               map[storage.Key]chan struct{} // segments on their way in; closed at their end
	streams           map[string]*ongoing           // endless uploads, by input and name
	active            int                           // 0: none yet
	last              time.Time                     // of media of the active input
	filled            time.Time                     // of media of the other one that may stand beside it
	heard             [2]time.Time                  // of media of input 1 and 2, whatever is done with it
	taken             int
	protocol, encoder string
	refused           int
	why               string
	whyAt             time.Time
	meters            [2]inputMeter // of inputs 1 and 2
}

// Status of a channel's inputs.
type Status struct {
	Active       int          // input that feeds the timeline, 0 when nothing was pushed yet
	LastPush     time.Time    // of the active input
	Heard        [2]time.Time // when media of input 1 and 2 came last, taken or not; zero: not since the server began
	Accepted     int          // segments
	Encoder      string       // User-Agent of the last upload that was taken
	Protocol     string       // of the last upload that was taken, such as "HLS (TS)"
	Rejected     int
	LastRejected string // reason and name
	RejectedAt   time.Time
	Clock        string // what the active input's time rests on: epoch, pdt or arrival
}

func (t *intake) status() Status {
	t.mu.Lock()
	in := t.inputs[t.active]
	s := Status{Active: t.active, LastPush: t.last, Heard: t.heard, Accepted: t.taken, Protocol: t.protocol, Encoder: t.encoder,
		Rejected: t.refused, LastRejected: t.why, RejectedAt: t.whyAt}
	t.mu.Unlock()
	if in != nil {
		s.Clock = in.clock() // which waits while a session begins
	}
	return s
}

// reject counts what was not taken of an input.
func (t *intake) reject(input int, r Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused++
	t.why, t.whyAt = r.Reason+": "+r.Name, r.Time
	t.meters[input-1].refuse(r)
}

// countRejected counts what was not taken of an input and is not told of one by one.
func (t *intake) countRejected(input int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused++
	t.meters[input-1].refused++
}

// took counts and measures a segment that became visible.
func (p *push) took(s *segment, seg media.Segment, now time.Time) {
	protocol, m, tracks := p.protocol(), &p.meters[p.in.number-1], p.gate.inForce().Tracks
	m.hear(p.encoder, now)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken++
	p.intake.protocol, p.intake.encoder = protocol.words(), p.encoder
	m.protocol = string(protocol)
	m.measure(s, seg, tracks, now)
}

// resumeActive remembers over a restart of the server which input was active: it has its usual time to come back.
func (t *intake) resumeActive() {
	if t.active = t.feed.now.Input; t.active == 0 {
		return
	}
	for _, tr := range t.tl.State().Tracks {
		if at := time.UnixMilli(tr.Last.Arrived); tr.Segments > 0 && at.After(t.last) {
			t.last = at
		}
	}
}

// turn is what is done with media of an input.
type turn uint8

const (
	standby turn = iota // nothing: the other input is active
	active              // it goes to the timeline
	filling             // it goes where the active input's media is missing
)

// claim returns what is done with media of an input now; utc says that its own timestamps are UTC. An input becomes the
// active one when that has been silent. Two encoders whose clocks are both UTC make the same segments (DASH-IF ingest 1.2,
// epoch locking; reference ingest.md 3.5): of each the first complete copy is taken, whosever it is.
func (t *intake) claim(input int, utc bool, now time.Time) turn {
	switch {
	case t.takes(input, now):
		return active
	case utc && t.feed.utc():
		return filling
	}
	return standby
}

// takes reports whether an input is the active one, or becomes it.
func (t *intake) takes(input int, now time.Time) bool {
	patience := t.patience()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard[input-1] = now
	if t.active != input && t.active != 0 && now.Sub(t.last) < patience {
		return false
	}
	t.active, t.last = input, now
	return true
}

// patience returns how long an input may be silent before it counts as gone.
func (t *intake) patience() time.Duration { return max(switchAfter, 3*t.tl.Longest()) }

// fills notes that media of the other input stands beside that of the active one.
func (t *intake) fills(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.filled = now
}

// covered reports whether the other input sends the same as this one, so that it has whole what this one broke off.
func (t *intake) covered(input int, now time.Time) bool {
	patience := t.patience()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.filled.IsZero() {
		return false
	}
	return now.Sub(t.filled) < patience && (t.active == input || now.Sub(t.last) < patience)
}

// fly notes that a segment is on its way in, until landed is called.
func (t *intake) fly(key storage.Key) (landed func()) {
	ended := make(chan struct{})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.air[key] = ended
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.air[key] == ended {
			delete(t.air, key)
		}
		close(ended)
	}
}

// flying returns what is closed when the segment that is on its way to key has ended, nil when none is.
func (t *intake) flying(key storage.Key) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ended, ok := t.air[key]; ok {
		return ended
	}
	return nil
}

func (t *intake) opened(number int) *input {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.inputs[number]
}

// input returns input number, with what it remembers from before a restart.
func (t *intake) input(ctx context.Context, number int) (*input, error) {
	if in := t.opened(number); in != nil {
		return in, nil
	}
	in := newInput(t.id.String(), number, t.tl, newNames(), t.feed)
	if err := t.recall(ctx, in); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if have := t.inputs[number]; have != nil {
		return have, nil
	}
	t.inputs[number] = in
	return in, nil
}

// fileContainer holds the files of encoders that are sent only once: init segments and multivariant playlists.
const fileContainer = "ingest"

func (t *intake) filePrefix(number int) string {
	return fmt.Sprintf("%s/%s/%d/", t.id.Group, t.id.Name, number)
}

// keep stores a file that the encoder will not send again.
func (p *push) keep(ctx context.Context, data []byte) error {
	key := storage.Key{Container: fileContainer, Path: p.filePrefix(p.in.number) + p.name}
	_, err := p.store.Put(ctx, key, storage.Attrs{}, strings.NewReader(string(data)))
	return err
}

// forget deletes kept files that are not remembered any more.
func (p *push) forget(ctx context.Context, files ...string) error {
	for _, name := range files {
		err := p.store.Delete(ctx, storage.Key{Container: fileContainer, Path: p.filePrefix(p.in.number) + name})
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return nil
}

// recall reads the kept files and the names of an input.
func (t *intake) recall(ctx context.Context, in *input) error {
	prefix := t.filePrefix(in.number)
	for info, err := range t.store.List(ctx, fileContainer, prefix, "") {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(info.Key.Path, prefix)
		data, err := t.read(ctx, info.Key)
		if err != nil {
			return err
		}
		if kind, _ := signature(data[:min(len(data), maxSniff)]); kind == filePlaylist {
			if pl, err := manifest.ParsePlaylist(data); err == nil {
				in.names.setMaster(name, pl)
				in.names.setText(name, data)
			}
		} else if header, err := demux.ParseInit(data); err == nil {
			in.names.setInit(name, header)
		}
	}
	in.names.restore(t.tl.Noted(in.namesKey()))
	return nil
}

func (t *intake) read(ctx context.Context, key storage.Key) ([]byte, error) {
	obj, err := t.store.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer obj.Body.Close()
	return io.ReadAll(io.LimitReader(obj.Body, 8<<20))
}

func (in *input) clock() string {
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	if n := len(in.memo.Anchors); n > 0 {
		return string(in.memo.Anchors[n-1].Kind)
	}
	return ""
}
