package demux

import (
	"bytes"
	"fmt"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// frame is what the header of an audio frame says.
type frame struct {
	size    int // bytes, with the header
	strip   int // bytes of header that are no part of a sample
	samples int // audio samples per channel
	rate    int // Hz
	joins   bool
	config  string // what must not change within a stream
}

// parseFrame reads the header at the start of b; ok is false when there is none.
func (c codec) parseFrame(b []byte) (f frame, ok bool) {
	switch c {
	case aacADTS:
		return parseADTS(b)
	case ac3:
		return parseAC3(b)
	}
	return parseEAC3(b)
}

// parseADTS reads an ADTS frame header (ISO/IEC 14496-3 1.A.3.2).
func parseADTS(b []byte) (f frame, ok bool) {
	if len(b) < 7 || b[0] != 0xff || b[1]&0xf6 != 0xf0 {
		return f, false
	}
	rate := int(b[2] >> 2 & 15)
	f.size = int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	f.strip = 7
	if b[1]&1 == 0 {
		f.strip = 9 // CRC
	}
	if rate >= len(aacRates) || f.size <= f.strip || b[6]&3 != 0 { // several raw data blocks in a frame are never used
		return f, false
	}
	f.rate, f.samples = aacRates[rate], 1024
	object, channels := b[2]>>6+1, b[2]&1<<2|b[3]>>6
	f.config = string([]byte{object<<3 | byte(rate)>>1, byte(rate)<<7 | channels<<3}) // an AudioSpecificConfig
	return f, true
}

// parseAC3 reads syncinfo and bsi (ETSI TS 102 366 4.3.1, 4.3.2). The config is the body of a dac3 box.
func parseAC3(b []byte) (f frame, ok bool) {
	if len(b) < 8 || b[0] != 0x0b || b[1] != 0x77 {
		return f, false
	}
	fscod, code := int(b[4]>>6), int(b[4]&0x3f)
	r := bitReader{b: b, pos: 40}
	bsid, bsmod, acmod := r.read(5), r.read(3), r.read(3)
	if fscod > 2 || code/2 >= len(ac3Kbits) || bsid > 10 {
		return f, false
	}
	if acmod&1 != 0 && acmod != 1 {
		r.read(2)
	}
	if acmod&4 != 0 {
		r.read(2)
	}
	if acmod == 2 {
		r.read(2)
	}
	lfe := r.read(1)
	f.rate, f.samples = ac3Rates[fscod], ac3Samples
	f.size = ac3Kbits[code/2] * 1000 * ac3Samples / 8 / f.rate / 2 * 2
	if fscod == 1 {
		f.size += code & 1 * 2 // 44.1 kHz: frames are whole 16-bit words
	}
	v := fscod<<22 | bsid<<17 | bsmod<<14 | acmod<<11 | lfe<<10 | code/2<<5
	f.config = string([]byte{byte(v >> 16), byte(v >> 8), byte(v)})
	return f, true
}

// ac3Samples is the length of a sample of AC-3 and E-AC-3: six blocks of 256.
const ac3Samples = 1536

// eac3Frame is what the bit stream information of an E-AC-3 frame says (ETSI TS 102 366 E.1.2.2).
type eac3Frame struct {
	dependent        bool
	substream        int
	size             int // bytes
	fscod, blocks    int
	acmod, lfe, bsid int
	channels         int // chanmap of a dependent substream, 0 without
	rate             int
}

func readEAC3(b []byte) (f eac3Frame, ok bool) {
	if len(b) < 12 || b[0] != 0x0b || b[1] != 0x77 {
		return f, false
	}
	r := bitReader{b: b, pos: 16}
	kind := r.read(2)
	f.dependent, f.substream, f.size = kind == 1, r.read(3), 2*(r.read(11)+1)
	f.fscod = r.read(2)
	if half := r.read(2); f.fscod == 3 {
		if half == 3 {
			return f, false
		}
		f.rate, f.blocks = ac3Rates[half]/2, 6
	} else {
		f.rate, f.blocks = ac3Rates[f.fscod], [4]int{1, 2, 3, 6}[half]
	}
	f.acmod, f.lfe, f.bsid = r.read(3), r.read(1), r.read(5)
	for range 1 + b2i(f.acmod == 0) { // dialnorm, compr
		r.read(5)
		if r.read(1) == 1 {
			r.read(8)
		}
	}
	if f.dependent && r.read(1) == 1 {
		f.channels = r.read(16)
	}
	return f, kind != 3 && f.bsid > 10 && f.bsid <= 16 && !r.bad
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// parseEAC3 takes the frames of one point in time as one: an independent substream 0 and what follows it.
func parseEAC3(b []byte) (f frame, ok bool) {
	e, ok := readEAC3(b)
	if !ok {
		return f, false
	}
	f = frame{size: e.size, rate: e.rate, joins: e.dependent || e.substream != 0}
	if !f.joins {
		f.samples = 256 * e.blocks
		f.config = string([]byte{byte(e.fscod<<6 | e.acmod<<3 | e.lfe<<2), byte(e.bsid)})
	}
	return f, true
}

// eac3Config returns the body of the dec3 box (ETSI TS 102 366 F.6) for the frames of one sample.
func eac3Config(sample []byte, steady bool) []byte {
	var base eac3Frame
	dependents, located := 0, 0
	total := len(sample)
	for len(sample) > 0 {
		e, ok := readEAC3(sample)
		if !ok || e.size > len(sample) {
			break
		}
		switch {
		case base.size == 0:
			base = e
		case e.dependent:
			dependents++
			// chanmap counts from its most significant bit: 5 Lc/Rc, 6 Lrs/Rrs ... 12 Cvh, 14 LFE2 (E.1.3.1.8).
			for i, bit := range [9]int{5, 6, 7, 8, 9, 10, 11, 12, 14} {
				located |= e.channels >> (15 - bit) & 1 << i
			}
		}
		sample = sample[e.size:]
	}
	kbits := 0
	if steady && base.rate > 0 {
		kbits = total * 8 * base.rate / ac3Samples / 1000
	}
	var v uint64
	n := 0
	put := func(bits int, x int) {
		v = v<<bits | uint64(x)&(1<<bits-1)
		n += bits
	}
	put(13, kbits)
	put(3, 0)
	put(2, base.fscod)
	put(5, base.bsid)
	put(1+1+3, 0) // reserved, asvc, bsmod
	put(3, base.acmod)
	put(1, base.lfe)
	put(3, 0)
	put(4, dependents)
	if dependents > 0 {
		put(9, located)
	} else {
		put(1, 0)
	}
	out := make([]byte, 0, 6)
	for n > 0 {
		n -= 8
		out = append(out, byte(v>>n))
	}
	return out
}

// audio makes the fragment of an audio stream. Frames may span PES packets; the time of a PES packet is that of the first
// frame that begins in it. From the first time on, frames follow at the sampling rate, and a hole of a frame or more
// lengthens the sample before it.
func (s *stream) audio(lim Limits) (*Fragment, error) {
	var all []byte
	type mark struct {
		at  int
		pts int64
	}
	var marks []mark
	for _, u := range s.units {
		if u.pts >= 0 {
			if n := len(marks); n > 0 {
				u.pts = unwrap(u.pts, marks[n-1].pts)
			}
			marks = append(marks, mark{len(all), u.pts})
		}
		if len(marks) > 0 {
			all = append(all, u.data...)
		}
	}
	a := assembly{codec: s.codec}
	for at, next := 0, 0; at < len(all); {
		f, ok := s.codec.parseFrame(all[at:])
		if ok && a.config == "" && !f.joins {
			a.config, a.rate = f.config, f.rate
		}
		switch {
		case !ok || f.size < 1 || a.rate == 0 || f.rate != a.rate || !f.joins && f.config != a.config:
			s.lost += b2i(!a.seeking)
			a.seeking = true
			at++
			continue
		case at+f.size > len(all): // the rest is in no PES packet
			s.lost++
			at = len(all)
			continue
		}
		a.seeking = false
		if next < len(marks) && marks[next].at <= at && !f.joins && !a.short() {
			for next+1 < len(marks) && marks[next+1].at <= at {
				next++
			}
			if err := a.timed(marks[next].pts, s); err != nil {
				return nil, err
			}
			next++
		}
		a.add(all[at:at+f.size], f)
		if len(a.samples) > lim.Samples {
			return nil, fmt.Errorf("%w: more than %d audio frames", ErrTooLarge, lim.Samples)
		}
		at += f.size
	}
	if len(a.samples) == 0 {
		return nil, nil
	}
	e, err := a.entry()
	if err != nil {
		return nil, err
	}
	return &Fragment{
		Track: s.track(e, uint32(a.rate)), Time: a.start, Samples: a.samples, Body: bytes.NewReader(a.data),
		Clock33: true, PTS: a.pts, Lost: s.lost,
	}, nil
}

// assembly collects audio samples.
type assembly struct {
	codec   codec
	config  string
	rate    int
	seeking bool // between frames

	pts     int64 // 90 kHz, of the first sample, in [0, 2^33)
	turns   int64 // 90 kHz, what was taken off the first sample's time to bring it there
	start   int64 // ticks, of the first sample
	end     int64 // ticks, of the last
	samples []cmaf.Sample
	data    []byte
}

// isHole reports whether a gap is that of a frame that is missing, or of several, and no inexact time.
func isHole(gap, frame int64) bool { return gap > frame*3/4 }

// short reports whether the last sample lacks blocks: E-AC-3 frames may hold fewer than the six of a sample.
func (a *assembly) short() bool {
	n := len(a.samples)
	return a.codec == eac3 && n > 0 && a.samples[n-1].Duration < ac3Samples
}

// timed notes that the next sample's presentation time is pts, unwrapped.
func (a *assembly) timed(pts int64, s *stream) error {
	if len(a.samples) == 0 {
		a.pts = pts & (clockPeriod - 1)
		a.turns = pts - a.pts
		a.start = media.At(a.pts, clockRate).Round(uint32(a.rate))
		a.end = a.start
		return nil
	}
	gap := media.At(pts-a.turns, clockRate).Round(uint32(a.rate)) - a.end
	last := &a.samples[len(a.samples)-1]
	switch {
	case gap > int64(a.rate)*maxJump/clockRate:
		return fmt.Errorf("%w: audio jumps by %d samples", ErrMalformed, gap)
	case isHole(gap, int64(last.Duration)):
		s.lost++
		last.Duration += uint32(gap)
		a.end += gap
	}
	return nil
}

func (a *assembly) add(b []byte, f frame) {
	b = b[f.strip:]
	n := len(a.samples)
	if n > 0 && (f.joins || a.short()) {
		last := &a.samples[n-1]
		last.Size += uint32(len(b))
		last.Duration += uint32(f.samples)
	} else if f.joins {
		return // belongs to a frame that is not here
	} else {
		a.samples = append(a.samples, cmaf.Sample{Duration: uint32(f.samples), Size: uint32(len(b)), Sync: true})
	}
	a.end += int64(f.samples)
	a.data = append(a.data, b...)
}

func (a *assembly) entry() (entry, error) {
	switch a.codec {
	case aacADTS:
		return aacEntry([]byte(a.config))
	case ac3:
		return ac3Entry([]byte(a.config))
	}
	steady := true
	for i := range a.samples {
		steady = steady && a.samples[i].Size == a.samples[0].Size
	}
	return eac3Entry(eac3Config(a.data[:a.samples[0].Size], steady))
}
