package ingest

import (
	"fmt"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/origin/reply"
	"headwater/packager/media"
)

// This file is where an encoder of an endless stream that connects again meets the upload that it left behind, whose end the
// network never told.

// patienceSuccessor is how long an upload that was told to end has to store what came whole.
const patienceSuccessor = 10 * time.Second

// ongoing is the upload of an endless stream.
type ongoing struct {
	body *patientBody
	done chan struct{} // closed when the upload has ended
}

func (p *push) streamKey() string { return fmt.Sprintf("%d/%s", p.in.number, p.name) }

// succeed makes this upload the one of its name, of which f of tr is the first fragment. One before it that is silent ends,
// and what came whole of it is kept, save the segment that this one sends again; one that goes on is another encoder's:
// reply.ErrConflict.
func (p *push) succeed(tr media.Track, f *demux.Fragment) error {
	if p.ongoing != nil || !p.endless {
		return nil
	}
	own := &ongoing{body: p.body, done: make(chan struct{})}
	for range 3 { // what was on its way may still come, and another successor end it first
		before := p.register(p.streamKey(), own)
		if before == nil {
			p.ongoing = own
			return nil
		}
		if p.silent(before) {
			before.body.supersede(p.in.sendsAgain(tr, p.stampOf(f), p.arrival()))
			if !ended(before, patienceSuccessor) {
				break
			}
		}
	}
	return fmt.Errorf("%w: another upload of %s goes on", reply.ErrConflict, p.name)
}

// register makes own the upload of key, or returns the one that is.
func (t *intake) register(key string, own *ongoing) (before *ongoing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before = t.streams[key]; before == nil {
		t.streams[key] = own
	}
	return before
}

// leave ends the registration.
func (p *push) leave() {
	if p.ongoing == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body.leave()
	delete(p.streams, p.streamKey())
	close(p.ongoing.done)
}

// silent waits until an upload was silent for so long that its encoder would have sent more, and reports whether it was; a
// header alone, and a stream without one, end no other.
func (p *push) silent(other *ongoing) bool {
	if !p.headed {
		return false
	}
	patience := min(silence(max(p.tl.Longest(), p.channel.Load().CutDuration())), patienceRetry)
	heard := other.body.lastHeard()
	if ended(other, patience-time.Since(heard)) {
		return false
	}
	return other.body.lastHeard().Equal(heard)
}

// ended waits for an upload to end and reports whether it did.
func ended(o *ongoing, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-o.done:
		return true
	case <-timer.C:
		return false
	}
}

// sendsAgain reports whether an upload of a track that begins at s goes on in the track's session from where the last
// segment ended or from before.
func (in *input) sendsAgain(tr media.Track, s stamp, now time.Time) bool {
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	last, has := in.tl.Last(tr.ID)
	have, joined := in.memo.Tracks[tr.ID]
	if !has || !joined {
		return true
	}
	a := in.anchor(have)
	start, ok := a.fits(s, last.End(), true, now)
	return ok && !a.begunAgain(s, now) && media.At(start-last.End(), s.Scale).Duration() <= snap
}
