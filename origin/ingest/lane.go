package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/origin/timeline"
	"headwater/packager/cmaf"
	"headwater/packager/media"
	"headwater/storage"
)

// fileLane makes one stored segment of all the fragments of a track in an upload, streaming them through.
type fileLane struct {
	*push
	track  media.Track
	config *media.Config

	open    *segment
	shift   int64 // UTC minus source time in ticks, once placed
	dropped bool  // the place is taken
	overlap error // timeline.ErrOverlap: taken by others, which may leave some of it out
	doubt   *doubt
	from    int64 // source ticks of the first fragment
	until   int64 // and of the end of the last
}

func (l *fileLane) add(ctx context.Context, f *demux.Fragment) error {
	l.until = f.Time + f.Duration()
	if l.dropped {
		_, err := io.Copy(io.Discard, f.Body)
		return err
	}
	if l.open == nil && l.doubt == nil {
		if err := l.begin(ctx, f); err != nil || l.dropped {
			return err
		}
	}
	if l.doubt != nil {
		return l.doubt.keep(l.push, f)
	}
	l.in.fed.set(l.track.ID, l.now())
	return l.write(f)
}

// write writes a fragment into the segment that is open.
func (l *fileLane) write(f *demux.Fragment) error {
	l.open.slate = l.open.slate || f.Slate
	return l.open.write(f.Time+l.shift, f.Reorder, f.Samples, f.Body)
}

// begin places the segment that f begins and opens it. Where its place is taken, dropped is set, or doubt when it may be no
// copy of what is there.
func (l *fileLane) begin(ctx context.Context, f *demux.Fragment) error {
	s, now := l.stampOf(f), l.now()
	s.File = true
	at, err := l.in.place(ctx, l.track.ID, l.config, s, now, l.programTime(ctx))
	if err != nil {
		return err
	}
	l.from = f.Time
	if l.hls() && !l.timed {
		l.in.listed(at, l.name, l.track.Timescale, now)
	}
	if at.Early {
		l.timed = true
		l.passOver()
		return nil
	}
	if f.Clock33 && l.track.Kind == media.Video {
		evenOut(f.Samples, at.Moved)
	}
	if !at.Locked && !at.Shared {
		l.await(SegmentKey(l.id, l.track.ID, at.Start))
	}
	if stored, ok := l.contested(at, s, now); ok {
		l.doubt = &doubt{stored: stored, at: at}
		return nil
	}
	l.timed = true
	return l.openAt(ctx, at)
}

// evenOut has a segment of MPEG-TS end where its source says, though it was moved by some ticks: how long its last picture lasts
// is a guess, and so it is with that of the segment before, which moved this one. At 60000/1001 pictures a second it is half a
// tick too long, always.
func evenOut(samples []cmaf.Sample, moved int64) {
	if last := &samples[len(samples)-1]; moved < int64(last.Duration)/2 && moved > -int64(last.Duration)/2 {
		last.Duration = uint32(int64(last.Duration) - moved)
	}
}

// patienceRetry is how long an upload waits for another one of the same segment.
const patienceRetry = 10 * time.Second

// await waits for an upload of the same segment to end, which may be the one that the encoder gave up: when it fails, this
// one takes its place.
func (l *fileLane) await(key storage.Key) {
	if other := l.flying(key); other != nil {
		timer := time.NewTimer(patienceRetry)
		defer timer.Stop()
		select {
		case <-other:
		case <-timer.C:
		}
	}
}

func (l *fileLane) openAt(ctx context.Context, at placed) (err error) {
	l.shift, l.from = at.Shift, at.Start-at.Shift
	l.open, err = l.openSegment(ctx, l.track, l.config, at)
	switch {
	case errors.Is(err, timeline.ErrOverlap):
		l.dropped, l.overlap = true, err
	case errors.Is(err, timeline.ErrDuplicate):
		l.dropped = true
		l.seen.Duplicate(l.id, l.track.ID)
	default:
		return err
	}
	return nil
}

// lossless is the share of a segment (one in lossless) that may be missing from those that overlap it, for it to be a copy.
const lossless = 10

// overlapped says what a segment of [start, end) in UTC ticks means that overlaps others, as err tells: it is a copy where
// they cover it. Else media is lost, and the encoder is told; an endless stream goes on.
func (l *fileLane) overlapped(start, end int64, err error) error {
	missing := l.tl.Uncovered(l.track.ID, start, end)
	if missing <= (end-start)/lossless {
		l.seen.Duplicate(l.id, l.track.ID)
		return nil
	}
	err = fmt.Errorf("%w: %s of %s would be lost", err, media.At(missing, l.track.Timescale).Duration(),
		media.At(end-start, l.track.Timescale).Duration())
	if !l.endless {
		return err
	}
	l.dropSegment(err)
	return nil
}

func (l *fileLane) close(ctx context.Context, whole bool) error {
	if l.doubt != nil {
		return l.resolve(ctx, whole)
	}
	s, overlap := l.open, l.overlap
	l.open, l.overlap = nil, nil
	switch {
	case s != nil:
	case overlap != nil && whole:
		return l.overlapped(l.from+l.shift, l.until+l.shift, overlap)
	default:
		return nil
	}
	if !whole || s.count == 0 && s.failed == nil {
		s.abort()
		return nil
	}
	if l.unlike(s) {
		s.abort()
		l.standsBy()
		return nil
	}
	now := l.now()
	if s.ahead(now) {
		s.abort()
		return fmt.Errorf("%w: the segment of track %s is %s long", ErrAhead, l.track.ID, s.length())
	}
	seg, err := s.finish(ctx, now)
	switch {
	case errors.Is(err, timeline.ErrOverlap):
		return l.overlapped(s.at.Start, s.end, err)
	case errors.Is(err, timeline.ErrDuplicate):
		l.seen.Duplicate(l.id, l.track.ID)
		return nil
	}
	if err != nil {
		return err
	}
	l.in.names.took(l.name)
	l.marked(s)
	l.accepted(s, seg, now)
	return nil
}

// videoLane cuts an endless video stream into segments at sync samples, on the grid of a whole number of GOPs that is
// nearest to the channel's segment duration, and tells the audio where.
type videoLane struct {
	*fileLane
	target   int64 // ticks
	at       placed
	gop      int64 // ticks between the last two sync samples; 0 before the second
	equal    int   // how many GOPs in a row were as long as the last
	erratic  bool  // a GOP was longer than those before it
	lastSync int64 // UTC ticks
	step     int64 // ticks of a segment, 0 before the first GOP ended
	phase    int64
	started  bool
	placed   bool // at holds since the last restart
	buf      bytes.Buffer
}

// maxGOP is how much video without a sync sample is taken: it cannot be cut, and so nothing of it would ever be seen.
const maxGOP = time.Minute

func newVideoLane(l *fileLane) *videoLane {
	l.cuts.join()
	return &videoLane{fileLane: l, target: media.FromDuration(l.channel.Load().CutDuration()).Round(l.track.Timescale)}
}

// add takes a fragment apart at its sync samples, so that segments can begin at each.
func (l *videoLane) add(ctx context.Context, f *demux.Fragment) error {
	defer l.letGo()
	if err := l.hold(f, &l.buf); err != nil {
		return err
	}
	data, part := l.buf.Bytes(), *f
	first, size := 0, 0
	for i := range f.Samples {
		if i > first && f.Samples[i].Sync {
			part.Samples, part.Body = f.Samples[first:i], bytes.NewReader(data[:size])
			if err := l.take(ctx, &part); err != nil {
				return err
			}
			part.Time += part.Duration()
			data, first, size = data[size:], i, 0
		}
		size += int(f.Samples[i].Size)
	}
	part.Samples, part.Body = f.Samples[first:], bytes.NewReader(data)
	return l.take(ctx, &part)
}

func (l *videoLane) take(ctx context.Context, f *demux.Fragment) error {
	if !l.started || f.Time+l.shift < l.lastSync || l.jumped(f) {
		return l.restart(ctx, f)
	}
	at := f.Time + l.shift
	if media.At(at-l.lastSync, l.track.Timescale).Duration() > maxGOP {
		return fmt.Errorf("%w: no sync sample for %s", demux.ErrUnsupported, maxGOP)
	}
	if f.Samples[0].Sync {
		l.sync(at)
		if (l.open != nil || l.dropped) && l.boundary(at) {
			if err := l.cut(ctx, at); err != nil {
				return err
			}
			l.dropped = false // what comes after a copy may be new
		}
	}
	if l.open == nil && !l.dropped {
		if !f.Samples[0].Sync {
			l.erratic = true // the GOP went on after its end was foretold: lose nothing, and foretell no more
		}
		if err := l.begin(ctx, f); err != nil {
			return err
		}
	}
	return l.put(ctx, f)
}

func (l *videoLane) jumped(f *demux.Fragment) bool {
	return l.open != nil && (f.Time+l.shift > l.open.end+2*l.target || f.Time+l.shift < l.open.end-l.target)
}

// restart places the stream anew: at its beginning, and when its clock jumps.
func (l *videoLane) restart(ctx context.Context, f *demux.Fragment) error {
	if err := l.fileLane.close(ctx, true); err != nil {
		return err
	}
	l.started, l.placed, l.dropped, l.gop, l.equal, l.step = f.Samples[0].Sync, false, false, 0, 0, 0
	if !l.started {
		return nil
	}
	if err := l.begin(ctx, f); err != nil {
		return err
	}
	l.lastSync = f.Time + l.shift
	if l.muxed {
		l.cuts.announce(media.At(l.lastSync, l.track.Timescale)) // audio may have begun long before
	}
	return l.put(ctx, f)
}

func (l *videoLane) begin(ctx context.Context, f *demux.Fragment) error {
	var at placed
	var err error
	if l.placed {
		l.turn(f)
		s := l.stampOf(f)
		l.in.hear(l.at.Session, s, f.Time+l.shift, l.arrival())
		at, err = l.in.resume(ctx, l.track.ID, l.config, s, l.at)
	} else {
		at, err = l.in.place(ctx, l.track.ID, l.config, l.stampOf(f), l.arrival(), noProgramTime)
	}
	if err != nil {
		return err
	}
	l.at, l.placed, l.dropped = at, true, false
	if at.Early {
		l.shift = at.Shift
		l.passOver()
		return nil
	}
	if err := l.openAt(ctx, at); err != nil || l.dropped {
		return err
	}
	l.open.step = media.At(l.step, l.track.Timescale)
	return nil
}

// turn lets the stream go on in the session that follows its own, where f begins a segment there.
func (l *videoLane) turn(f *demux.Fragment) {
	next, ok := l.continues(l.at, f.Time+l.shift, media.At(l.step, l.track.Timescale).Duration()/2)
	if !ok || !f.Samples[0].Sync {
		return
	}
	l.at, l.shift = next, next.Shift
	l.lastSync, l.gop, l.equal, l.step = f.Time+l.shift, 0, 0, 0
}

func (l *videoLane) put(ctx context.Context, f *demux.Fragment) error {
	l.until = f.Time + f.Duration()
	if l.open == nil {
		return nil
	}
	if err := l.write(f); err != nil {
		return err
	}
	// Where GOPs are regular the end of a segment is known when its last sample is here, a GOP before the next begins.
	foretold := !l.erratic && (l.equal >= 3 || f.Duration() == l.gop)
	if end := l.open.end; foretold && end == l.lastSync+l.gop && l.boundary(end) {
		return l.cut(ctx, end)
	}
	return nil
}

// sync learns from a sync sample at UTC ticks.
func (l *videoLane) sync(at int64) {
	if at == l.lastSync {
		return
	}
	gop := at - l.lastSync
	if gop == l.gop {
		l.equal++
	} else {
		l.equal = 0
	}
	l.gop, l.lastSync = gop, at
	if l.step != 0 {
		return
	}
	l.step = max(1, (l.target+gop/2)/gop) * gop
	if g := l.tl.Grid(); g.Valid() && g.Step.Round(l.track.Timescale) == l.step {
		l.phase = g.Phase.Round(l.track.Timescale)
	} else if !l.at.Locked {
		l.phase = l.at.Start % l.step
	}
	if l.open != nil {
		l.open.step = media.At(l.step, l.track.Timescale)
	}
}

// boundary reports whether the segment that began last, stored or dropped, ends at the sync sample at UTC ticks.
func (l *videoLane) boundary(at int64) bool {
	if l.step == 0 {
		return false
	}
	slack := min(l.step/16, l.gop/2) // a sync sample may lie a little before the boundary that it is meant for
	return floorDiv(at-l.phase+slack, l.step) > floorDiv(l.at.Start-l.phase+slack, l.step)
}

func (l *videoLane) cut(ctx context.Context, at int64) error {
	err := l.fileLane.close(ctx, true)
	l.cuts.announce(media.At(at, l.track.Timescale))
	return err
}

func (l *videoLane) close(ctx context.Context, whole bool) error {
	end := int64(0)
	if l.open != nil {
		end = l.open.end
	}
	err := l.fileLane.close(ctx, whole)
	if end > 0 && whole {
		l.cuts.announce(media.At(end, l.track.Timescale))
	}
	l.cuts.leave()
	return err
}

// keptBuffer is the most bytes of a buffer that waits for the next fragment, and is not counted as held.
const keptBuffer = 1 << 20

// letGo gives back what hold took.
func (l *videoLane) letGo() {
	l.held.Give(int64(l.buf.Len()))
	if l.buf.Reset(); l.buf.Cap() > keptBuffer {
		l.buf = bytes.Buffer{}
	}
}

// hold reads a fragment's body into buf, so that a body cut off in the middle leaves nothing half written. The upload holds
// as many bytes more as are in buf then.
func (p *push) hold(f *demux.Fragment, buf *bytes.Buffer) error {
	size := sizeOf(f)
	if p.endless && size > p.limits.Fragment {
		return fmt.Errorf("%w: fragment of %d bytes in an endless stream", demux.ErrTooLarge, size)
	}
	buf.Reset()
	n, err := buf.ReadFrom(p.held.reading(f.Body)) // memory grows with what arrives
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%w: %d of %d bytes of samples", demux.ErrTruncated, n, size)
	}
	f.Body = bytes.NewReader(buf.Bytes())
	return nil
}

// sizeOf returns how many bytes of samples a fragment has.
func sizeOf(f *demux.Fragment) (size int64) {
	for i := range f.Samples {
		size += int64(f.Samples[i].Size)
	}
	return size
}
