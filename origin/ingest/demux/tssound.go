package demux

import (
	"bytes"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// audioFeed is the audio of an endless stream that is no fragment yet.
type audioFeed struct {
	assembly
	rest   []byte // that is no frame yet
	marks  []ptsMark
	latest int64 // presentation time of the last PES packet that had one, unwrapped
	known  bool  // there was one
	timely bool  // the end of the assembly is a time of the stream
	excess int64 // samples by which frames are ahead of their times: as many are left out
}

// ptsMark is the time of the first frame that begins at or after a byte.
type ptsMark struct {
	at  int
	pts int64
}

// maxHeader is how many bytes the header of an audio frame takes at most.
const maxHeader = 16

// sound takes the payload of a PES packet.
func (s *liveStream) sound(u unit) error {
	if u.pts >= 0 {
		if s.known {
			u.pts = unwrap(u.pts, s.latest)
		}
		s.latest, s.known = u.pts, true
		s.marks = append(s.marks, ptsMark{len(s.rest), u.pts})
	}
	if !s.known {
		s.lost++
		return nil
	}
	s.rest = append(s.rest, u.data...)
	if err := s.frames(false); err != nil {
		return err
	}
	return s.flushAudio(false)
}

// frames takes the frames that are whole. With last there are no others.
func (s *liveStream) frames(last bool) error {
	at := 0
	defer func() {
		s.rest = bytes.Clone(s.rest[at:])
		for i := range s.marks {
			s.marks[i].at -= at
		}
	}()
	for at < len(s.rest) && (last || at+maxHeader <= len(s.rest)) {
		f, ok := s.codec.parseFrame(s.rest[at:])
		if ok && f.size >= 1 && at+f.size > len(s.rest) {
			if !last {
				return nil
			}
			s.lost++
			at = len(s.rest)
			return nil
		}
		if ok && !f.joins && s.other(f) && s.confirmed(at, f) {
			if err := s.reconfigure(f); err != nil {
				return err
			}
		}
		if !ok || f.size < 1 || s.assembly.rate == 0 || s.other(f) {
			s.lost += b2i(!s.seeking)
			s.seeking = true
			at++
			continue
		}
		s.seeking = false
		if err := s.frame(at, f); err != nil {
			return err
		}
		at += f.size
	}
	return nil
}

// other reports whether a frame is not of the configuration in force.
func (s *liveStream) other(f frame) bool {
	return f.rate != s.assembly.rate || !f.joins && f.config != s.config
}

// confirmed reports whether the frame at a byte of another configuration than that in force is no accident.
func (s *liveStream) confirmed(at int, f frame) bool {
	if s.assembly.rate == 0 {
		return true
	}
	if f.size < 1 || at+f.size+maxHeader > len(s.rest) {
		return false
	}
	next, ok := s.codec.parseFrame(s.rest[at+f.size:])
	return ok && (next.joins || next.config == f.config)
}

// reconfigure begins with the configuration of a frame.
func (s *liveStream) reconfigure(f frame) error {
	if err := s.flushAudio(true); err != nil {
		return err
	}
	end, before := s.assembly.end, s.assembly.rate
	s.end()
	s.assembly = assembly{codec: s.codec, config: f.config, rate: f.rate}
	s.excess = 0
	if s.timely {
		s.assembly.end = media.At(end, uint32(before)).Round(uint32(f.rate))
		s.start = s.assembly.end
	}
	return nil
}

// frame takes the frame at a byte.
func (s *liveStream) frame(at int, f frame) error {
	if len(s.marks) > 0 && s.marks[0].at <= at && !f.joins && !s.short() {
		n := 1
		for n < len(s.marks) && s.marks[n].at <= at {
			n++
		}
		pts := s.marks[n-1].pts
		s.marks = s.marks[n:]
		if err := s.tick(media.At(pts, clockRate).Round(uint32(s.assembly.rate)), int64(max(f.samples, 1))); err != nil {
			return err
		}
	}
	if s.excess > 0 && !s.short() {
		s.excess -= int64(f.samples)
		s.lost++
		return nil
	}
	if !s.timely {
		return nil
	}
	if len(s.samples) == 0 {
		s.start = s.assembly.end
	}
	s.assembly.add(s.rest[at:at+f.size], f)
	return nil
}

// tick notes that the next frame begins at t, in samples. A hole stays one, and what frames are ahead of their times is left
// out.
func (s *liveStream) tick(t, length int64) error {
	gap := t - s.assembly.end
	second := int64(s.assembly.rate)
	switch {
	case !s.timely, isHole(gap, length), gap < -second:
		if s.timely {
			s.lost++
		}
		if err := s.flushAudio(true); err != nil {
			return err
		}
		s.timely, s.assembly.end, s.excess = true, t, 0
	case gap < -length:
		s.excess = -gap
	}
	return nil
}

// flushAudio makes a fragment of the samples that are whole; with all of the last, too, to which blocks of E-AC-3 may be
// added otherwise.
func (s *liveStream) flushAudio(all bool) error {
	n := len(s.samples)
	if !all && s.codec == eac3 {
		n--
	}
	if n <= 0 {
		return nil
	}
	if s.track == nil {
		e, err := s.assembly.entry()
		if err != nil {
			return err
		}
		s.begin(e, uint32(s.assembly.rate))
	}
	var size, ticks int64
	for _, sample := range s.samples[:n] {
		size += int64(sample.Size)
		ticks += int64(sample.Duration)
	}
	f := &Fragment{Track: s.track, Clock33: true, Time: s.start, PTS: media.At(s.start, uint32(s.assembly.rate)).Round(clockRate),
		Lost: s.lost, Samples: s.samples[:n:n], Body: bytes.NewReader(s.data[:size:size])}
	s.samples, s.data = append([]cmaf.Sample(nil), s.samples[n:]...), bytes.Clone(s.data[size:])
	s.start, s.lost = s.start+ticks, 0
	s.reader.found(f)
	return nil
}
