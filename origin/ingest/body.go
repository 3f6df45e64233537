package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"headwater/origin/channel"
	"headwater/origin/ingest/demux"
	"headwater/origin/reply"
)

// patientBody reads a request's body with an idle deadline for every read and no total one.
type patientBody struct {
	r     io.Reader
	ctl   *http.ResponseController
	idle  time.Duration
	limit int64 // bytes; 0: none
	count int64
	err   error     // that ended the body, io.EOF included
	until time.Time // when it is read no more; zero: as long as it lasts
	held  *share    // what is read stays in memory until the request ends; nil: it does not

	gate     *gate           // that counts the bytes; nil: none does
	ctx      context.Context //nolint:containedctx // of the request: ends the waits of what io.Reader has no context for
	slowedAt time.Time       // since when each read had to wait

	// Of bodies that trickle: see pace.
	paced   int64     // count at pacedAt
	pacedAt time.Time // since when fewer than leastProgress bytes came, without the time between reads
	readAt  time.Time // when the last read ended

	// Of bodies that a stopping server ends: see drains.
	stream bool // uploaded to a Streams() URL, or another that is no file's
	mu     sync.Mutex
	begun  bool      // count as of the last read is not 0
	lifted bool      // limit as of the last read is 0
	stop   time.Time // when the server began to stop; zero: it did not
	done   bool      // the request ended: its deadlines are not ours any more

	// Of endless uploads that another of their name succeeds.
	seen       int64     // count as of the last read
	heard      time.Time // when seen grew
	waiting    bool      // for more
	superseded bool
	again      bool // the other sends again what is not complete
	left       bool // it is too late for that
}

// body leaves the deadline in force when the body is done with: what net/http still reads of it has no other, and it
// sets its own for the next request.
func (h *Handler) body(w http.ResponseWriter, r *http.Request, id channel.ID) *patientBody {
	b := &patientBody{r: r.Body, ctl: http.NewResponseController(w), ctx: r.Context(), idle: h.opt.Idle, limit: h.opt.MaxUpload}
	if t := h.known(id); t != nil {
		l := t.gate.inForce()
		b.gate, b.idle, b.limit = &t.gate, l.Idle, l.Upload
	}
	return b
}

func (b *patientBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.prepare() {
		b.err = b.stopped()
		return 0, b.err
	}
	if b.gate != nil {
		p = p[:min(len(p), mostAtOnce)]
	}
	n, err := b.r.Read(p)
	b.waits(false)
	b.readAt = time.Now()
	b.count += int64(n)
	if b.limit > 0 && b.count > b.limit && err == nil {
		err = tooLarge(b.limit)
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF) && b.over():
		err = b.stopped()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = b.stalled() // in place of what the network says, which names our addresses
	}
	if heldErr := b.held.Take(int64(n)); heldErr != nil {
		n, err = 0, heldErr
	}
	if slowErr := b.slow(n, err != nil); slowErr != nil {
		n, err = 0, slowErr
	}
	b.err = err
	return n, err
}

// prepare sets the deadline of the read that follows; over means that the server stops and there shall be none.
func (b *patientBody) prepare() (over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun, b.lifted = b.count > 0, b.limit == 0
	now := time.Now()
	if b.heard.IsZero() || b.count > b.seen {
		b.seen, b.heard = b.count, now
	}
	deadline, ends := b.end()
	if !b.until.IsZero() && (!ends || b.until.Before(deadline)) {
		deadline, ends = b.until, true
	}
	if ends && !now.Before(deadline) {
		_ = b.ctl.SetReadDeadline(now) // net/http does not wait for the rest either
		return true
	}
	if idle := b.pace(now).Add(b.idle); !ends || idle.Before(deadline) {
		deadline = idle
	}
	// A writer without deadlines (in tests) has none to set.
	_ = b.ctl.SetReadDeadline(deadline)
	b.waiting = true
	return false
}

// ErrStalled refuses an upload of which nothing came for a while, or next to nothing.
var ErrStalled = errors.New("the upload stalled")

// leastProgress is how many bytes have to come in the time of the idle deadline: fewer than the smallest fragment has, that
// of a single sample of a sparse track (moof and mdat with their boxes are 100 bytes), and more than a byte a second, by which
// a connection could be held for ever.
const leastProgress = 64

// pace returns since when a body has made no progress. What we do between reads is not the encoder's time.
func (b *patientBody) pace(now time.Time) time.Time {
	switch {
	case b.pacedAt.IsZero(), b.count-b.paced >= leastProgress:
		b.paced, b.pacedAt = b.count, now
	default:
		b.pacedAt = b.pacedAt.Add(now.Sub(b.readAt))
	}
	return b.pacedAt
}

// segmentGrace is how long an upload to a Streams() URL that may be a segment, not a stream, has to end when the server stops.
const segmentGrace = 5 * time.Second

// end returns when a stopping server or a successor ends the body, if one does. The lock is held.
func (b *patientBody) end() (at time.Time, ends bool) {
	switch {
	case b.superseded:
		return b.heard, true
	case b.stop.IsZero():
		return at, false
	case b.lifted, b.stream && !b.begun:
		return b.stop, true
	}
	return b.stop.Add(segmentGrace), b.stream
}

// over reports whether the body was ended by us.
func (b *patientBody) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ends := b.end()
	return ends && !time.Now().Before(at)
}

// stopped returns why the body was ended by us.
func (b *patientBody) stopped() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.superseded {
		return fmt.Errorf("%w: the encoder connected again", reply.ErrConflict)
	}
	return fmt.Errorf("%w: the upload ended after %d bytes", reply.ErrStopping, b.count)
}

// explain returns why an upload failed, if it did, when err came of what was read.
func (b *patientBody) explain(err error) error {
	switch {
	case b.err == nil, errors.Is(b.err, io.EOF), errors.Is(b.err, reply.ErrTooLarge):
		return err
	case errors.Is(b.err, reply.ErrMemory), errors.Is(b.err, reply.ErrConflict), errors.Is(b.err, ErrStalled), errors.Is(b.err, ErrBitrate):
		return b.err
	case errors.Is(b.err, reply.ErrStopping):
		if err == nil {
			return b.err
		}
		return fmt.Errorf("%w (%s)", b.err, err.Error()) // the answer is this one, whatever else was found
	}
	return errors.Join(fmt.Errorf("%w: the body ended after %d bytes: %w", demux.ErrTruncated, b.count, b.err), err)
}

// tooLarge refuses a file of more bytes than limit.
func tooLarge(limit int64) error {
	return fmt.Errorf("%w: one file may have %d bytes (limits.max_upload)", reply.ErrTooLarge, limit)
}

// stalled says which rule ended the body.
func (b *patientBody) stalled() error {
	if b.count == b.paced {
		return fmt.Errorf("%w: nothing arrived for %v, after %d bytes (limits.upload_idle)", ErrStalled, b.idle, b.count)
	}
	return fmt.Errorf("%w: %d bytes arrived in %v, after %d, and at least %d must (limits.upload_idle)", ErrStalled, b.count-b.paced, b.idle, b.paced, leastProgress)
}

// interrupt has the body end when a server that stops now ends it, and wakes a read that waits.
func (b *patientBody) interrupt(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop = now
	if at, ends := b.end(); ends && !b.done {
		_ = b.ctl.SetReadDeadline(at)
	}
}

// supersede ends the body where it is: another upload goes on in its place, and with again it sends again what is not
// complete of this one.
func (b *patientBody) supersede(again bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.left {
		b.superseded, b.again = true, again
		_ = b.ctl.SetReadDeadline(time.Now())
	}
}

// lasts has a stopping server end the body soon, as one that is uploaded to a Streams() URL.
func (b *patientBody) lasts() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stream = true
}

// leave has no upload supersede the body any more, since its connection may have gone on to another request.
func (b *patientBody) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = true
}

// sentAgain reports whether another upload sends again what is not complete of this one.
func (b *patientBody) sentAgain() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.again
}

// lastHeard returns when bytes came last, or the body began: now while what came is being worked on.
func (b *patientBody) lastHeard() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.waiting {
		return time.Now()
	}
	return b.heard
}

// waits notes whether more is waited for.
func (b *patientBody) waits(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = yes
}

// How much of a body is read after its fate is known, so that the answer is not lost to a reset connection. A stream does
// not end by itself, and its encoder is to notice.
const (
	maxDrain   = 8 << 20
	drainGrace = 2 * time.Second
)

func (b *patientBody) drain() {
	if b.err != nil {
		return
	}
	b.held = nil // what is thrown away is not held
	if b.limit == 0 {
		b.until = time.Now().Add(drainGrace)
	}
	_, _ = io.CopyN(io.Discard, b, maxDrain)
}

// drains are the uploads under way whose end is not known before: those that a stopping server ends. Uploads that turn out
// to be endless streams end at once, files have the server's grace.
type drains struct {
	mu   sync.Mutex
	stop time.Time // when the server began to stop; zero: it did not
	open map[*patientBody]struct{}
}

// watch adds a body until the function that it returns is called.
func (d *drains) watch(b *patientBody) (ended func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[b] = struct{}{}
	b.stop = d.stop
	return func() {
		d.mu.Lock()
		delete(d.open, b)
		d.mu.Unlock()
		b.mu.Lock()
		b.done = true
		b.mu.Unlock()
	}
}

// begin ends the bodies that are watched, and those that will be.
func (d *drains) begin() {
	d.mu.Lock()
	if !d.stop.IsZero() {
		d.mu.Unlock()
		return
	}
	now := time.Now()
	d.stop = now
	bodies := make([]*patientBody, 0, len(d.open))
	for b := range d.open {
		bodies = append(bodies, b)
	}
	d.mu.Unlock()
	for _, b := range bodies {
		b.interrupt(now)
	}
}
