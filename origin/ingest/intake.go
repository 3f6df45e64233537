package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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

// intake is the ingest side of one channel: two inputs, one of which is active (choice.go). Where the clocks of both are UTC or
// they are on one axis of programme date-times, the other one fills what the active one lacks.
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
	ending  sync.Mutex // held while the end of an input is journaled

	mu                sync.Mutex
	inputs            map[int]*input
	air               map[storage.Key]chan struct{} // segments on their way in; closed at their end
	streams           map[string]*ongoing           // endless uploads, by input and name
	choice            choice
	over              [2]time.Time // when the encoders of input 1 and 2 told their end; zero: they did not
	taken             int
	protocol, encoder string
	refused           int
	why               string
	whyAt             time.Time
	meters            [2]inputMeter // of inputs 1 and 2
}

// Status of a channel's inputs.
type Status struct {
	Active       int            // input that feeds the timeline, 0 when nothing was pushed yet
	Held         int            // input that somebody asked for, 0: none
	LastPush     time.Time      // of the active input
	Heard        [2]time.Time   // when media of input 1 and 2 came last, taken or not; zero: not since the server began
	Ended        [2]time.Time   // when the encoders of input 1 and 2 told the end of what they send; zero: they did not
	Up           [2]bool        // it has not been silent for so long that the other one takes over
	Switches     map[string]int // of the active input since the server began, by reason
	Accepted     int            // segments
	Encoder      string         // User-Agent of the last upload that was taken
	Protocol     string         // of the last upload that was taken, such as "HLS (TS)"
	Rejected     int
	LastRejected string // reason and name
	RejectedAt   time.Time
	Clock        string // what the active input's time rests on: epoch, pdt or arrival
}

func (t *intake) status(now time.Time) Status {
	patience := t.patience()
	t.mu.Lock()
	c := &t.choice
	in := t.inputs[c.active]
	s := Status{Active: c.active, Held: c.held, LastPush: c.last, Heard: c.heard, Ended: t.over, Switches: maps.Clone(c.counts), Accepted: t.taken, Protocol: t.protocol, Encoder: t.encoder,
		Rejected: t.refused, LastRejected: t.why, RejectedAt: t.whyAt}
	t.mu.Unlock()
	for i, at := range s.Heard {
		s.Up[i] = now.Sub(at) < patience
	}
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
