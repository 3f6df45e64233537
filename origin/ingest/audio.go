package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// cuts tells the audio lanes of a channel where its endless video streams were cut.
type cuts struct {
	mu      sync.Mutex
	videos  int          // endless video streams open now
	ends    []media.Time // newest last, UTC
	changed chan struct{}
}

// keptCuts is how many boundaries an audio stream may be behind.
const keptCuts = 32

func newCuts() *cuts { return &cuts{changed: make(chan struct{})} }

func (c *cuts) update(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *cuts) join()  { c.update(func() { c.videos++ }) }
func (c *cuts) leave() { c.update(func() { c.videos-- }) }

func (c *cuts) announce(at media.Time) {
	c.update(func() {
		// Renditions are cut at the same instants.
		if n := len(c.ends); n > 0 && abs(at.Sub(c.ends[n-1]).Duration()) < time.Millisecond {
			return
		}
		if c.ends = append(c.ends, at); len(c.ends) > keptCuts {
			c.ends = c.ends[1:]
		}
	})
}

// after returns the boundaries later than t and not later than end, whether there is video that may announce more, and
// a channel that is closed at the next change.
func (c *cuts) after(t, end media.Time) (ends []media.Time, video bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.ends {
		if t.Before(at) && !end.Before(at) {
			ends = append(ends, at)
		}
	}
	return ends, c.videos > 0, c.changed
}

// audioLane cuts an endless audio stream at the frames nearest to where the video of its channel is cut; without video,
// at the channel's segment duration. Its fragments are small and wait in memory for the boundary.
type audioLane struct {
	*fileLane
	target  int64 // ticks
	patient int64 // ticks that wait for a boundary which video should announce
	work    chan arrived
	done    chan struct{}
	err     error // of the worker, valid once done is closed
	waiting []frame
	size    int64 // bytes of what waits
	next    int64 // UTC ticks at which the last frame that was taken ended
	awaits  bool  // the upload has video, of which nothing came yet
	started bool
	cedes   bool   // another track of the upload goes on in its place
	at      placed // of the stream since it began or its clock jumped
	resumes int64  // UTC ticks before which nothing has a place, because the encoder's clock is fast
	ctx     context.Context
}

// arrived is a fragment on its way to the worker.
type arrived struct {
	demux.Fragment
	at time.Time // when it came
}

type frame struct {
	time  int64 // UTC ticks
	slate bool
	cmaf.Sample
}

// maxFrame is the longest that an audio sample may be: ten times an AAC frame at 8 kHz.
const maxFrame = 1280 * time.Millisecond

// patienceVideo is how many target durations of audio wait for a boundary that video should announce.
const patienceVideo = 4

// patienceMuxed is how long audio waits that came with video in one upload: such video goes on, with GOPs of up to 250 pictures
// where an encoder was told nothing.
const patienceMuxed = 20 * time.Second

// leastRest is how much audio of an upload that it shares with video must lie between boundaries: where the upload begins and
// ends there may be a frame or two more of it than of video.
const leastRest = 100 * time.Millisecond

func newAudioLane(l *fileLane) *audioLane {
	a := &audioLane{fileLane: l, target: media.FromDuration(l.channel.Load().CutDuration()).Round(l.track.Timescale),
		work: make(chan arrived), done: make(chan struct{})}
	a.patient = patienceVideo * a.target
	if a.awaits = l.pictured; l.pictured {
		a.patient = max(a.patient, media.FromDuration(patienceMuxed).Round(l.track.Timescale))
	}
	return a
}

// add hands the fragment to the lane's worker, which also wakes when video announces a boundary.
func (l *audioLane) add(ctx context.Context, f *demux.Fragment) error {
	for i := range f.Samples {
		if d := f.Samples[i].Duration; d == 0 || l.distance(int64(d)) > maxFrame {
			return fmt.Errorf("%w: audio sample of %d ticks of 1/%d s", demux.ErrMalformed, d, l.track.Timescale)
		}
	}
	var own bytes.Buffer // the worker reads it later
	if err := l.hold(f, &own); err != nil {
		return err
	}
	if l.ctx == nil {
		l.ctx = ctx
		go l.run(ctx)
	}
	select {
	case l.work <- arrived{*f, l.arrival()}:
		return nil
	case <-l.done:
		return l.err
	}
}

// run is the lane's worker; it ends when work is closed or a segment cannot be stored.
func (l *audioLane) run(ctx context.Context) {
	defer close(l.done)
	for {
		changed, err := l.emit(ctx, false)
		if err != nil {
			l.err = err
			return
		}
		select {
		case <-changed:
		case f, ok := <-l.work:
			if !ok {
				return
			}
			if l.err = l.take(ctx, &f); l.err != nil {
				return
			}
		}
	}
}

// take appends a fragment's frames to those that wait.
func (l *audioLane) take(ctx context.Context, f *arrived) error {
	if !l.started || abs(l.distance(f.Time+l.shift-l.next)) > time.Second {
		if err := l.flush(ctx, len(l.waiting)); err != nil {
			return err
		}
		at, err := l.in.place(ctx, l.track.ID, l.config, l.stampOf(&f.Fragment), f.at, noProgramTime)
		if err != nil {
			return err
		}
		l.at, l.shift, l.started, l.resumes = at, at.Shift, true, 0
	}
	t := f.Time + l.shift
	l.in.hear(l.at.Session, l.stampOf(&f.Fragment), t, f.at)
	for _, s := range f.Samples {
		s.Data = make([]byte, s.Size)
		if _, err := io.ReadFull(f.Body, s.Data); err != nil {
			return err
		}
		l.waiting = append(l.waiting, frame{t, f.Slate, s})
		l.size += int64(s.Size)
		t += int64(s.Duration)
	}
	if l.size > l.limits.Fragment {
		return fmt.Errorf("%w: %d bytes of audio wait for the end of their segment", demux.ErrTooLarge, l.size)
	}
	l.next = t
	return nil
}

func (l *audioLane) distance(ticks int64) time.Duration {
	return media.At(ticks, l.track.Timescale).Duration()
}

// emit stores what lies before the boundaries that are known, and returns a channel that is closed when there are more. With
// ended there will be none.
func (l *audioLane) emit(ctx context.Context, ended bool) (<-chan struct{}, error) {
	for {
		l.turn()
		n := len(l.waiting)
		if n == 0 {
			_, _, changed := l.cuts.after(media.Time{}, media.Time{})
			return changed, nil
		}
		first, last := l.waiting[0], l.waiting[n-1]
		end := last.time + int64(last.Duration)
		half := int64(first.Duration) / 2
		ends, video, changed := l.cuts.after(media.At(first.time+half, l.track.Timescale), media.At(end+half, l.track.Timescale))
		for len(ends) > 0 && l.tooEarly(ends[0].Round(l.track.Timescale)) {
			ends = ends[1:]
		}
		l.awaits = l.awaits && !video
		var at int64
		switch {
		case len(ends) > 0:
			at = ends[0].Round(l.track.Timescale)
			if l.muxed && l.distance(end-at) < leastRest {
				if !ended {
					return changed, nil
				}
				at = end
			}
		case (ended || !video && !l.awaits) && end-first.time >= l.target, end-first.time >= l.patient:
			at = first.time + l.target
			if g := l.tl.Grid(); g.Valid() {
				number, _ := g.Number(media.At(first.time, l.track.Timescale))
				at = g.Start(number+1, l.track.Timescale)
			}
		default:
			return changed, nil
		}
		if turning, ok := l.turning(l.at); ok && first.time+half < turning {
			at = min(at, turning)
		}
		cut := 0
		for cut < n && l.waiting[cut].time+half < at {
			cut++
		}
		if err := l.flush(ctx, max(cut, 1)); err != nil {
			return nil, err
		}
	}
}

// turn maps what waits anew where the stream goes on in the session that follows its own, and leaves out what has no place
// there.
func (l *audioLane) turn() {
	for len(l.waiting) > 0 {
		half := int64(l.waiting[0].Duration) / 2
		n := 0
		for n < len(l.waiting) && l.waiting[n].time+half < l.resumes {
			l.size -= int64(l.waiting[n].Size)
			l.held.Give(int64(l.waiting[n].Size))
			n++
		}
		if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
			return
		}
		next, ok := l.continues(l.at, l.waiting[0].time+half, 0)
		if !ok {
			return
		}
		by := next.Shift - l.shift
		for i := range l.waiting {
			l.waiting[i].time += by
		}
		l.at, l.shift, l.next, l.resumes = next, next.Shift, l.next+by, next.Start
	}
}

// tooEarly reports whether a boundary is none for the frames that wait: in ticks it is where those before were cut, or merely
// where video begins that came with them.
func (l *audioLane) tooEarly(at int64) bool {
	first := l.waiting[0]
	return at <= first.time+int64(first.Duration)/2 || l.muxed && l.distance(at-first.time) < leastRest
}

// flush stores the first n frames that wait as one segment.
func (l *audioLane) flush(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	frames := l.waiting[:n]
	l.waiting = append([]frame(nil), l.waiting[n:]...)
	size := int64(0)
	for i := range frames {
		size += int64(frames[i].Size)
	}
	l.size -= size
	defer l.held.Give(size)
	last := frames[n-1]
	s := l.stampAt(frames[0].time-l.shift, last.time+int64(last.Duration)-frames[0].time)
	at, err := l.in.resume(ctx, l.track.ID, l.config, s, l.at)
	if err != nil {
		return err
	}
	l.dropped = false
	if at.Early {
		l.passOver()
		return nil
	}
	if err := l.openAt(ctx, at); err != nil {
		return err
	}
	l.until = last.time + int64(last.Duration) - l.shift
	if l.dropped {
		return l.fileLane.close(ctx, true)
	}
	for len(frames) > 0 {
		run := unbroken(frames)
		if err := l.writeRun(frames[:run]); err != nil {
			return errors.Join(err, l.fileLane.close(ctx, false))
		}
		frames = frames[run:]
	}
	return l.fileLane.close(ctx, true)
}

// unbroken returns how many frames follow one another without a gap: a fragment has no other way to keep one.
func unbroken(frames []frame) int {
	n := 1
	for n < len(frames) {
		before := frames[n-1]
		if frames[n].time-before.time > int64(before.Duration)*3/2 {
			break
		}
		n++
	}
	return n
}

// writeRun writes frames as one fragment.
func (l *audioLane) writeRun(frames []frame) error {
	samples := make([]cmaf.Sample, len(frames))
	var body bytes.Buffer
	for i := range frames {
		samples[i] = frames[i].Sample
		samples[i].Data = nil
		body.Write(frames[i].Data)
		l.open.slate = l.open.slate || frames[i].slate
	}
	return l.open.write(frames[0].time, 0, samples, &body)
}

func (l *audioLane) stampAt(ticks, duration int64) stamp {
	return stamp{Ticks: ticks, Duration: duration, Scale: l.track.Timescale, Usual: l.tl.Longest()}
}

func (l *audioLane) close(ctx context.Context, whole bool) error {
	if l.ctx == nil {
		return nil
	}
	close(l.work)
	<-l.done
	l.ctx = nil
	if l.err != nil || !whole {
		return l.err
	}
	if _, err := l.emit(ctx, true); err != nil {
		return err
	}
	if n := len(l.waiting); l.cedes && n > 0 && l.distance(l.next-l.waiting[0].time) < leastRest {
		l.leaveOut(n)
		return nil
	}
	return l.flush(ctx, len(l.waiting))
}

// leaveOut counts the frames that wait and lets go of them: as a segment they would stand in the way of what follows, which may
// begin before they end.
func (l *audioLane) leaveOut(frames int) {
	l.seen.LeftOut(l.id, LeftPackets, frames)
	l.held.Give(l.size)
	l.waiting, l.size = nil, 0
}
