package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/origin/timeline"
	"headwater/packager/cmaf"
	"headwater/packager/media"
	"headwater/storage"
)

// segment is one stored segment on its way in: fragments are written as they come, and shown as chunks on their way in. Nothing
// of it is in a window before finish.
type segment struct {
	tl     *timeline.Timeline
	track  media.Track
	config *media.Config
	at     placed
	step   media.Time // exact duration when known beforehand

	upload   storage.Upload
	hash     hash.Hash
	size     int64
	end      int64 // ticks, UTC
	delay    int64 // ticks by which samples are decoded ahead
	count    uint32
	head     []byte
	copies   *sync.Pool
	landed   func()           // to be called at its end
	growth   *timeline.Growth // nil: of a copy that is only compared
	reserved bool             // its place is
	failed   error            // of a write: what was written is not whole
	keys     keyTimes
	slate    bool // some of it is filler for what its encoder lost
}

// openSegment reserves the segment's place and opens its object. timeline.ErrDuplicate and ErrOverlap mean that the
// place is taken: nothing has been written. Of segments whose clock is UTC or shared several encoders may send copies: there the place
// is reserved by the first that is complete.
func (t *intake) openSegment(ctx context.Context, tr media.Track, c *media.Config, at placed) (*segment, error) {
	s := &segment{tl: t.tl, track: tr, config: c, at: at, hash: sha256.New(), end: at.Start, copies: t.copies,
		keys: keyTimes{scan: newPictureScan(c.Codec)}}
	if err := s.reserve(); err != nil {
		return nil, err
	}
	if at.Locked || at.Shared {
		s.release()
	}
	var err error
	if s.upload, err = t.store.Create(ctx, SegmentKey(t.id, tr.ID, at.Start), storage.Attrs{}); err != nil {
		s.release()
		return nil, err
	}
	s.landed = t.fly(SegmentKey(t.id, tr.ID, at.Start))
	s.growth = t.tl.Grow(tr.ID, at.Start, at.Part, c)
	return s, nil
}

func (s *segment) reserve() error {
	if s.reserved {
		return nil
	}
	if err := s.tl.Reserve(s.track.ID, s.at.Start); err != nil {
		return fmt.Errorf("track %s at %d: %w", s.track.ID, s.at.Start, err)
	}
	s.reserved = true
	return nil
}

func (s *segment) release() {
	if s.reserved {
		s.tl.Release(s.track.ID, s.at.Start)
		s.reserved = false
	}
}

// write appends one fragment; time is its decode time in UTC ticks, as demux normalises it. By the reorder of the first
// one the whole segment is decoded ahead of its presentation, so that no composition offset is negative: ffmpeg, and with
// it much that reads from an origin, takes those for a shift of the whole track (docs/adr/0005-decode-times.md). The
// samples are changed, the body is streamed through.
func (s *segment) write(time, reorder int64, samples []cmaf.Sample, body io.Reader) error {
	s.failed = s.append(time, reorder, samples, body)
	return s.failed
}

func (s *segment) append(time, reorder int64, samples []cmaf.Sample, body io.Reader) error {
	if s.count == 0 {
		s.delay = reorder
	}
	f := cmaf.Fragment{DecodeTime: time - s.delay, Samples: samples,
		Sequence: uint32(s.at.Start/int64(s.track.Timescale)) + s.count}
	at := time
	for i := range samples {
		samples[i].CompositionOffset += int32(s.delay)
		if s.track.Kind == media.Video {
			s.keys.note(at, samples[i].Sync, s.count == 0 && i == 0)
			s.keys.scan.expect(samples[i].Size)
			s.keys.leading = s.keys.leading || at+int64(samples[i].CompositionOffset)-s.delay < s.at.Start
		}
		at += int64(samples[i].Duration)
	}
	s.head = s.head[:0]
	if s.count == 0 {
		s.head = cmaf.AppendSegmentType(s.head)
	}
	var err error
	if s.head, err = cmaf.AppendHeader(s.head, f, s.track.Kind); err != nil {
		return fmt.Errorf("%w: %w", demux.ErrMalformed, err)
	}
	w := io.MultiWriter(s.upload, s.hash)
	if _, err := w.Write(s.head); err != nil {
		return err
	}
	if s.keys.scan.first.left > 0 || s.keys.scan.second.left > 0 {
		w = io.MultiWriter(w, &s.keys.scan)
	}
	buf := s.copies.Get().(*[]byte)
	defer s.copies.Put(buf)
	n, err := io.CopyBuffer(w, body, *buf)
	if err != nil {
		return err
	}
	if want := f.Bytes(); n != want {
		return fmt.Errorf("%w: %d of %d bytes of samples", demux.ErrTruncated, n, want)
	}
	size := int64(len(s.head)) + n
	s.growth.Add(media.Chunk{Start: time, Duration: f.Duration(), Offset: s.size, Size: size, Independent: samples[0].Sync})
	s.size += size
	s.count++
	s.end = max(s.end, time+f.Duration()) // by presentation: the delay is left out
	return nil
}

// finish makes the segment durable, then records it, then shows it. A segment that could not be written whole is dropped.
func (s *segment) finish(ctx context.Context, now time.Time) (media.Segment, error) {
	if s.failed != nil {
		s.abort()
		return media.Segment{}, s.failed
	}
	if s.end <= s.at.Start {
		s.abort()
		return media.Segment{}, fmt.Errorf("%w: segment without duration", demux.ErrMalformed)
	}
	if err := s.reserve(); err != nil {
		s.abort() // another copy was complete before
		return media.Segment{}, err
	}
	defer s.landed()
	defer s.growth.End()
	if _, err := s.upload.Commit(ctx); err != nil {
		s.release()
		return media.Segment{}, err
	}
	seg := media.Segment{Start: s.at.Start, Duration: s.end - s.at.Start, Size: s.size, Part: s.at.Part, Config: s.config,
		Hash: binary.BigEndian.Uint64(s.hash.Sum(nil)), Arrived: now.UnixMilli(),
		Dependent: s.track.Kind == media.Video && (!s.keys.begins || s.keys.open())}
	return s.tl.Append(ctx, s.track.ID, timeline.Add{Segment: seg, Step: s.step, Locked: s.at.Locked})
}

// copyBuffer is the size in bytes of the buffers through which bodies pass to storage.
const copyBuffer = 128 << 10

func newCopies() *sync.Pool {
	return &sync.Pool{New: func() any { b := make([]byte, copyBuffer); return &b }}
}

// length returns how much media has been written.
func (s *segment) length() time.Duration {
	return media.At(s.end-s.at.Start, s.track.Timescale).Duration()
}

// ahead reports whether what has been written ends too far past now.
func (s *segment) ahead(now time.Time) bool {
	return media.At(s.end, s.track.Timescale).UTC().Sub(now) > mostAhead(s.length())
}

// abort drops what was written.
func (s *segment) abort() {
	s.upload.Abort()
	s.release()
	s.growth.End()
	s.landed()
}
