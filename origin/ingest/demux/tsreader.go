package demux

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"headwater/packager/media"
)

// How much of an endless stream is looked at together.
const (
	tsFirstRun = 2 * clockRate // of a track's first fragment, from which its bitrate is told
	tsRun      = clockRate / 2 // of those that follow: a boundary is noticed, and memory given back, this much later
	tsPictures = 1000          // in a run, should their times not grow
	tsLead     = time.Minute   // of pictures before the first key frame with parameter sets
)

// TSEvent is what TSReader.Next found: a fragment, or that no more fragments of a track will come. Never both.
type TSEvent struct {
	Fragment *Fragment
	Ended    *Track
}

// TSReader reads an endless stream of MPEG-TS as fragments of about half a second of video, which begin or end at every
// sync sample, and of single PES packets of audio.
//
// Times are as those of ReadTS, but unwrapped within the stream: Fragment.Time goes on where the 33 bits begin again, and
// Fragment.PTS is no less. Where a clock jumps the times do. A stream of the programme that changes (another PID, other
// parameter sets) is another track. Packets before the tables and pictures before a key frame are left out.
type TSReader struct {
	packets  *packets
	lim      Limits
	budget   Budget
	taken    int64 // of budget
	pat, pmt section
	mapPID   uint16
	streams  []*liveStream
	byPID    map[uint16]*liveStream
	ignored  []string
	events   []TSEvent
	queued   int64 // bytes of events
	barren   int64 // bytes since the last event
	err      error
}

// NewTSReader returns a reader of r. It holds no more than lim.Fragment bytes of each stream of the programme.
func NewTSReader(r io.Reader, lim Limits) *TSReader {
	return &TSReader{packets: newPackets(r), lim: lim, pat: section{table: 0}, pmt: section{table: 2}}
}

// Charge has the reader ask b for the bytes that it holds.
func (r *TSReader) Charge(b Budget) { r.budget = b }

// HasVideo reports whether the programme has video, as its map says that was read last.
func (r *TSReader) HasVideo() bool {
	return slices.ContainsFunc(r.streams, func(s *liveStream) bool { return s.codec.kind() == media.Video })
}

// Next returns what comes next. It returns io.EOF at the end of the stream, otherwise the errors of ReadTS, ErrTooLarge where
// nothing can be made of lim.Fragment bytes or a picture has more, or the error of the underlying reader; all after what came
// whole before. An error stays.
func (r *TSReader) Next() (TSEvent, error) {
	for {
		if err := r.charge(); err != nil {
			r.err, r.events, r.budget = err, nil, nil
		}
		if len(r.events) > 0 {
			break
		}
		if r.err != nil {
			return TSEvent{}, r.err
		}
		if err := r.step(); err != nil {
			r.err = err
			r.finish(errors.Is(err, io.EOF))
		}
	}
	ev := r.events[0]
	r.events = r.events[1:]
	if ev.Fragment != nil {
		r.queued -= ev.Fragment.bytes()
	}
	return ev, nil
}

// charge asks the budget for what is held now. The bytes of the event that was returned last are given back with it.
func (r *TSReader) charge() error {
	if r.budget == nil {
		return nil
	}
	held := r.queued
	for _, s := range r.streams {
		held += int64(len(s.open) + len(s.buf) + len(s.rest) + len(s.data))
	}
	switch n := held - r.taken; {
	case n > 0:
		if err := r.budget.Take(n); err != nil {
			return err
		}
	case n < 0:
		r.budget.Give(-n)
	}
	r.taken = held
	return nil
}

func (f *Fragment) bytes() (n int64) {
	for i := range f.Samples {
		n += int64(f.Samples[i].Size)
	}
	return n
}

// step takes one packet.
func (r *TSReader) step() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: MPEG-TS: %v", ErrMalformed, p)
		}
	}()
	p, err := r.packets.next()
	if err != nil {
		return err
	}
	if r.barren += packetSize; r.barren > r.lim.Fragment {
		return fmt.Errorf("%w: no picture or sound in %d bytes of MPEG-TS, which needs PAT, PMT and a key frame", ErrTooLarge, r.lim.Fragment)
	}
	switch pid := pidOf(p); {
	case pid == 0:
		if r.pat.add(p) {
			if at := mapPID(r.pat.last); at != r.mapPID {
				r.mapPID, r.pmt = at, section{table: 2}
			}
		}
		return nil
	case pid == r.mapPID:
		if !r.pmt.add(p) {
			return nil
		}
		return r.tables()
	default:
		if s := r.byPID[pid]; s != nil {
			return s.take(p)
		}
	}
	return nil
}

// tables puts a new programme map in force. One that is damaged is left out: it comes again.
func (r *TSReader) tables() error {
	found, err := readTables(append(r.pat.packets[:len(r.pat.packets):len(r.pat.packets)], r.pmt.packets...))
	if err != nil {
		r.pmt.last = nil
		return nil //nolint:nilerr // see above
	}
	if err := refuseSilence(found); err != nil {
		return err
	}
	before := r.byPID
	count := map[media.Kind]int{}
	r.streams, r.byPID, r.ignored = nil, map[uint16]*liveStream{}, nil
	for _, s := range found {
		if s.codec == noCodec {
			r.ignored = append(r.ignored, fmt.Sprintf("PID %d: %s", s.pid, s.name()))
			continue
		}
		l := newLiveStream(r, s, count[s.codec.kind()])
		count[s.codec.kind()]++
		if old := before[s.pid]; old != nil && old.same(l) {
			l = old
			delete(before, s.pid)
		}
		r.streams, r.byPID[s.pid] = append(r.streams, l), l
	}
	for _, old := range before {
		if err := old.finish(true); err != nil {
			return err
		}
		old.end()
	}
	if len(r.streams) == 0 {
		return fmt.Errorf("%w: MPEG-TS without H.264, HEVC, AAC, AC-3 or E-AC-3", ErrUnsupported)
	}
	return nil
}

// finish makes fragments of what is left at the end. Where the stream was cut off the last PES packets are not whole.
func (r *TSReader) finish(whole bool) {
	for _, s := range r.streams {
		if err := s.finish(whole); err != nil && errors.Is(r.err, io.EOF) {
			r.err = err
		}
	}
}

// found queues a fragment.
func (r *TSReader) found(f *Fragment) {
	if len(r.ignored) > 0 {
		f.Ignored, r.ignored = r.ignored, nil
	}
	r.events = append(r.events, TSEvent{Fragment: f})
	r.queued += f.bytes()
	r.barren = 0
}

func (c codec) kind() media.Kind {
	if c == h264 || c == h265 {
		return media.Video
	}
	return media.Audio
}
