package demux

import (
	"bytes"
	"fmt"
	"slices"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// liveStream is one elementary stream of an endless programme.
type liveStream struct {
	*stream
	reader *TSReader
	index  int
	track  *Track // in force; nil before the first

	// Video: pictures that are no fragment yet. How long the last one lasts is known when the next is here.
	sets    parameterSets // in force
	fresh   parameterSets // that came since the last picture
	rate    media.Ratio   // of pictures, as declared
	run     []picture     // dts and pts are those of the axis: the decode time of a sync sample is its presentation time
	buf     []byte
	shift   int64 // what was added to decode times to bring them there
	dts     int64 // of the last picture, unwrapped, as received
	first   int64 // dts of the first picture of all
	seen    bool  // a picture came
	step    int64 // duration of the last picture of which it is known
	running bool  // a sync sample came since the beginning, or since the clock jumped
	most    int64 // ticks of a run

	audioFeed
}

func newLiveStream(r *TSReader, s *stream, index int) *liveStream {
	return &liveStream{stream: s, reader: r, index: index, most: tsFirstRun, audioFeed: audioFeed{assembly: assembly{codec: s.codec}}}
}

// same reports whether o is what a later programme map says of the very stream.
func (s *liveStream) same(o *liveStream) bool {
	return s.codec == o.codec && s.index == o.index && s.language == o.language && s.roles == o.roles
}

// take takes a packet, and the PES packet that it ends.
func (s *liveStream) take(p []byte) error {
	if err := s.packet(p); err != nil {
		return err
	}
	if err := s.whole(); err != nil {
		return err
	}
	if int64(len(s.open)) > s.reader.lim.Fragment {
		return fmt.Errorf("%w: PES packet of more than %d bytes on PID %d", ErrTooLarge, s.reader.lim.Fragment, s.pid)
	}
	if s.complete() { // no need to wait for the next
		if err := s.close(); err != nil {
			return err
		}
	}
	return s.whole()
}

// whole takes the PES packets that are whole.
func (s *liveStream) whole() error {
	units := s.units
	s.units = nil
	for _, u := range units {
		var err error
		if s.codec.kind() == media.Video {
			err = s.picture(u)
		} else {
			err = s.sound(u)
		}
		if err != nil {
			return fmt.Errorf("MPEG-TS, PID %d: %w", s.pid, err)
		}
	}
	return nil
}

// finish makes fragments of all that is left.
func (s *liveStream) finish(whole bool) error {
	if !whole {
		s.open = nil
	}
	if err := s.close(); err != nil {
		return err
	}
	if err := s.whole(); err != nil {
		return err
	}
	if s.codec.kind() == media.Audio {
		if err := s.frames(true); err != nil {
			return err
		}
		return s.flushAudio(true)
	}
	s.flush(s.usual())
	return nil
}

// end tells that no more of the track in force will come.
func (s *liveStream) end() {
	if s.track != nil {
		s.reader.events = append(s.reader.events, TSEvent{Ended: s.track})
		s.track = nil
	}
}

// begin puts a configuration in force.
func (s *liveStream) begin(e entry, timescale uint32) {
	s.end()
	s.track = s.stream.track(e, timescale)
	s.track.Index = s.index
}

// picture takes the access unit of a PES packet; one without time continues the one before it.
func (s *liveStream) picture(u unit) error {
	fresh := s.fresh
	au, sync := s.codec.accessUnit(nil, u.data, &fresh)
	switch {
	case len(au) == 0: // parameter sets alone, or nothing
		s.fresh = fresh
		return nil
	case u.pts < 0 && (len(s.run) == 0 || !s.running):
		s.lost++
		return nil
	case u.pts < 0:
		return s.append(au)
	}
	p := picture{sync: sync}
	s.fresh = parameterSets{}
	if p.dts = u.dts; s.seen {
		p.dts = unwrap(u.dts, s.dts)
	} else {
		s.seen, s.dts, s.first = true, p.dts, p.dts
	}
	p.pts = unwrap(u.pts, p.dts)
	if step := p.dts - s.dts; s.running && (step < 0 || step > maxJump) {
		s.flush(s.usual())
		s.running = false
	}
	s.dts = p.dts
	if ahead := p.pts - p.dts; ahead > maxJump || ahead < -maxJump {
		s.lost++
		return nil
	}
	if sync && fresh.complete(s.codec) {
		if err := s.configure(&fresh); err != nil {
			return err
		}
	} else if fresh.any() { // others than those in force stay in the sample
		again := s.sets
		again.closed = true
		au, _ = s.codec.accessUnit(nil, u.data, &again)
	}
	if !s.running && (!sync || s.track == nil) {
		s.lost++
		if s.track == nil && media.At(p.dts-s.first, clockRate).Duration() > tsLead {
			return fmt.Errorf("%w: no key frame with parameter sets in %s", ErrUnsupported, tsLead)
		}
		return nil
	}
	return s.add(p, au)
}

// add appends a picture to those that are no fragment yet.
func (s *liveStream) add(p picture, au []byte) error {
	if p.sync {
		shift := p.pts - p.dts
		if n := len(s.run); n > 0 {
			s.flush(max(0, p.dts+shift-s.run[n-1].dts))
		}
		s.shift, s.running = shift, true
	}
	p.dts += s.shift
	if n := len(s.run); n > 0 {
		s.step = p.dts - s.run[n-1].dts
		if p.dts-s.run[0].dts >= s.most || n >= tsPictures {
			s.flush(s.step)
		}
	}
	s.run = append(s.run, p)
	s.run[len(s.run)-1].start = len(s.buf)
	return s.append(au)
}

// append appends bytes to the last picture.
func (s *liveStream) append(au []byte) error {
	if int64(len(s.buf)+len(au)) > s.reader.lim.Fragment {
		return fmt.Errorf("%w: more than %d bytes of pictures in %s", ErrTooLarge, s.reader.lim.Fragment, media.At(s.most, clockRate).Duration())
	}
	s.buf = append(s.buf, au...)
	s.run[len(s.run)-1].end = len(s.buf)
	return nil
}

// flush makes a fragment of the pictures that wait, of which the last lasts for last ticks.
func (s *liveStream) flush(last int64) {
	if len(s.run) == 0 {
		return
	}
	if last > 0 {
		s.step = last
	}
	f := &Fragment{Track: s.track, Clock33: true, Time: s.run[0].dts, PTS: s.run[0].dts, Reorder: max(0, s.shift), Lost: s.lost,
		Samples: make([]cmaf.Sample, len(s.run)), Body: bytes.NewReader(s.buf)}
	for i, p := range s.run {
		d := last
		if i+1 < len(s.run) {
			d = s.run[i+1].dts - p.dts
		}
		f.Samples[i] = cmaf.Sample{Duration: uint32(d), Size: uint32(p.end - p.start), CompositionOffset: int32(p.pts - p.dts), Sync: p.sync}
	}
	s.run, s.buf, s.lost, s.most = nil, nil, 0, tsRun
	s.reader.found(f)
}

// usual returns how long a picture lasts.
func (s *liveStream) usual() int64 {
	if s.step > 0 {
		return s.step
	}
	return pictureTicks(s.rate)
}

// configure puts the parameter sets of a sync sample in force, when they are others.
func (s *liveStream) configure(fresh *parameterSets) error {
	if s.track != nil && s.sets.equal(fresh) {
		return nil
	}
	e, err := fresh.entry(s.codec)
	if err != nil {
		return err
	}
	if n := len(s.run); n > 0 {
		s.flush(s.usual())
	}
	s.sets, s.rate = *fresh, e.frameRate
	s.begin(e, clockRate)
	return nil
}

func (p *parameterSets) any() bool { return len(p.vps)+len(p.sps)+len(p.pps) > 0 }

// complete reports whether a decoder can begin with the parameter sets.
func (p *parameterSets) complete(c codec) bool {
	return len(p.sps) > 0 && len(p.pps) > 0 && (c == h264 || len(p.vps) > 0)
}

func (p *parameterSets) equal(o *parameterSets) bool {
	same := func(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }
	return same(p.vps, o.vps) && same(p.sps, o.sps) && same(p.pps, o.pps)
}
