package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/packager/media"
	"headwater/storage"
)

// doubt holds a file whose place is taken until its end. Then its content says whether it is a copy of what is stored there
// or what an encoder sends that began again within its first segments.
type doubt struct {
	stored media.Segment
	at     placed
	frags  []demux.Fragment // their bodies are held
	size   int64            // bytes of them
}

// keep reads a fragment into memory.
func (d *doubt) keep(p *push, f *demux.Fragment) error {
	own, buf := *f, bytes.Buffer{}
	if err := p.hold(&own, &buf); err != nil {
		return err
	}
	d.size += int64(buf.Len())
	own.Samples = slices.Clone(f.Samples)
	d.frags = append(d.frags, own)
	return nil
}

// contested returns the segment that is stored where a file would lie, when the file may be no copy of it. A clock that is
// UTC began no second time: of its segments the first complete copy stays, as of those that two inputs share. Nor can an encoder have begun again that sends
// the segment in less than half the time that it takes to make it.
func (l *fileLane) contested(at placed, s stamp, now time.Time) (stored media.Segment, ok bool) {
	last, has := l.tl.Last(l.track.ID)
	middle := at.Start + s.Duration/2
	if at.Locked || at.Shared || !has || middle >= last.End() {
		return stored, false
	}
	const few = 8 // more than fits takes for copies
	for _, seg := range append(l.tl.Following(l.track.ID, last.Number-few, 0, few), last) {
		if seg.Start <= middle && middle < seg.End() {
			arrived := now.Sub(time.UnixMilli(seg.Arrived))
			return seg, arrived > media.At(seg.Duration, l.track.Timescale).Duration()/2
		}
	}
	return stored, false
}

// resolve ends the doubt: a copy is dropped, anything else begins a session.
func (l *fileLane) resolve(ctx context.Context, whole bool) error {
	d := l.doubt
	l.doubt = nil
	defer l.held.Give(d.size)
	if !whole || len(d.frags) == 0 {
		return nil
	}
	s := l.stampOf(&d.frags[0])
	s.File, s.Past, s.Duration = true, d.at.Session+1, l.until-l.from // all of it arrived by now
	same, err := l.copied(d)
	if err != nil {
		return err
	}
	if same && !l.in.knows(l.track.ID, l.config, s, l.now()) {
		l.seen.Duplicate(l.id, l.track.ID)
		return nil
	}
	at, err := l.in.place(ctx, l.track.ID, l.config, s, l.now(), l.programTime(ctx))
	if err != nil {
		return err
	}
	if at.Early {
		l.passOver()
		return nil
	}
	if err := l.openAt(ctx, at); err != nil {
		return err
	}
	if l.dropped {
		return l.close(ctx, true)
	}
	l.in.fed.set(l.track.ID, l.now())
	for i := range d.frags {
		if err := l.write(&d.frags[i]); err != nil {
			return errors.Join(err, l.close(ctx, false))
		}
	}
	return l.close(ctx, true)
}

// copied reports whether all tracks of the file that are in doubt hold what is stored: of an encoder that began again some
// may, as of silence or of a still picture.
func (l *fileLane) copied(d *doubt) (bool, error) {
	same, err := l.copies(d)
	for _, other := range l.lanes {
		if file, ok := other.(*fileLane); ok && file.doubt != nil && len(file.doubt.frags) > 0 && same && err == nil {
			same, err = file.copies(file.doubt)
		}
	}
	l.anew = l.anew || !same
	return !l.anew, err
}

// copies reports whether what is held would be stored as the very bytes that are.
func (l *fileLane) copies(d *doubt) (bool, error) {
	at := d.at
	at.Shift, at.Start = d.stored.Start-d.frags[0].Time, d.stored.Start
	s := &segment{track: l.track, config: l.config, at: at, upload: nowhere{}, hash: sha256.New(), end: at.Start,
		copies: l.intake.copies}
	for i := range d.frags {
		f := &d.frags[i]
		body := f.Body.(*bytes.Reader) // of hold
		if err := s.write(f.Time+at.Shift, f.Reorder, slices.Clone(f.Samples), body); err != nil {
			return false, err
		}
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return false, err
		}
	}
	return s.size == d.stored.Size && binary.BigEndian.Uint64(s.hash.Sum(nil)) == d.stored.Hash, nil
}

// nowhere is an upload that is only counted and hashed.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error)                  { return len(p), nil }
func (nowhere) Commit(context.Context) (storage.Info, error) { return storage.Info{}, nil }
func (nowhere) Follow() (storage.Growing, error)             { return nil, storage.ErrClosed }
func (nowhere) Abort()                                       {}
