package demux

import (
	"fmt"

	"headwater/packager/media"
)

// objectTypeAAC is the objectTypeIndication of ISO/IEC 14496-3 audio (ISO/IEC 14496-1 7.2.6.6).
const objectTypeAAC = 0x40

// aacRates are the sampling frequencies by samplingFrequencyIndex (ISO/IEC 14496-3 1.6.3.4), Hz.
var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// aacChannels are the channel counts by channelConfiguration; 0 where the stream itself tells or the value is reserved.
var aacChannels = [16]int{0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8}

// Audio object types (ISO/IEC 14496-3 1.5.1.1).
const (
	aotSBR = 5
	aotPS  = 29
)

// audioConfig is what an AudioSpecificConfig says (ISO/IEC 14496-3 1.6.2.1).
type audioConfig struct {
	object   int // audio object type of the core
	rate     int // Hz, of the core
	channels int // of the core, 0 when a programme config element tells
	frame    int // core samples in a frame: 1024 or 960
	sbr, ps  bool
	extRate  int // Hz, of the output when sbr
}

// parseAudioConfig reads hierarchical as well as backward compatible signalling of SBR and PS.
func parseAudioConfig(b []byte) (c audioConfig, err error) {
	r := bitReader{b: b}
	object := func() int {
		n := r.read(5)
		if n == 31 {
			n = 32 + r.read(6)
		}
		return n
	}
	rate := func() int {
		i := r.read(4)
		if i == 15 {
			return r.read(24)
		}
		if i >= len(aacRates) {
			return 0
		}
		return aacRates[i]
	}
	c.object, c.rate = object(), rate()
	config := r.read(4)
	c.channels, c.frame = aacChannels[config], 1024
	if c.object == aotSBR || c.object == aotPS {
		c.sbr, c.ps = true, c.object == aotPS
		c.extRate, c.object = rate(), object()
	}
	switch c.object {
	case 1, 2, 3, 4, 6, 7: // GASpecificConfig
		if r.read(1) == 1 {
			c.frame = 960
		}
		if r.read(1) == 1 {
			r.read(14)
		}
		extension := r.read(1)
		if config != 0 && extension == 0 && c.object != 6 && !c.sbr && r.left() >= 16 && r.read(11) == 0x2b7 {
			if object() == aotSBR && r.read(1) == 1 {
				c.sbr, c.extRate = true, rate()
				if r.left() >= 12 && r.read(11) == 0x548 {
					c.ps = r.read(1) == 1
				}
			}
		}
	}
	if r.bad || c.rate <= 0 || c.object == 0 || (c.sbr && c.extRate <= 0) {
		return c, fmt.Errorf("%w: AudioSpecificConfig % x", ErrMalformed, b[:min(len(b), 8)])
	}
	return c, nil
}

// aacEntry describes an AAC stream by its AudioSpecificConfig. The esds box is written anew, without bit rates.
func aacEntry(asc []byte) (entry, error) {
	c, err := parseAudioConfig(asc)
	if err != nil {
		return entry{}, err
	}
	if len(asc) > 64 {
		return entry{}, fmt.Errorf("%w: AudioSpecificConfig of %d bytes", ErrMalformed, len(asc))
	}
	e := entry{name: "mp4a", kind: media.Audio, sampleRate: c.rate, coreRate: c.rate, channels: c.channels}
	object := c.object
	switch {
	case c.ps:
		object, e.sampleRate, e.channels = aotPS, c.extRate, 2
	case c.sbr:
		object, e.sampleRate = aotSBR, c.extRate
	}
	e.codec = fmt.Sprintf("mp4a.40.%d", object)
	// ES_Descriptor, DecoderConfigDescriptor, DecoderSpecificInfo, SLConfigDescriptor (ISO/IEC 14496-1 7.2.6).
	var w boxWriter
	w.full("esds", 0, func() {
		n := byte(len(asc))
		w.b = append(w.b, 3, 3+2+13+2+n+3, 0, 0, 0)
		w.b = append(w.b, 4, 13+2+n, objectTypeAAC, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		w.b = append(w.b, 5, n)
		w.b = append(w.b, asc...)
		w.b = append(w.b, 6, 1, 2)
	})
	e.boxes = w.b
	return e, nil
}

// AC-3 tables (ETSI TS 102 366 4.4.1.3, 4.4.2.3, F.4): Hz by fscod, full-bandwidth channels by acmod, kbit/s by bit_rate_code.
var (
	ac3Rates    = [3]int{48000, 44100, 32000}
	ac3Channels = [8]int{2, 1, 2, 3, 3, 4, 4, 5}
	ac3Kbits    = [19]int{32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640}
)

// ac3Entry describes an AC-3 stream by the body of its dac3 box (ETSI TS 102 366 F.4).
func ac3Entry(dac3 []byte) (entry, error) {
	r := bitReader{b: dac3}
	fscod := r.read(2)
	r.read(5 + 3) // bsid, bsmod
	channels := ac3Channels[r.read(3)] + r.read(1)
	code := r.read(5)
	if r.bad || fscod >= len(ac3Rates) || code >= len(ac3Kbits) {
		return entry{}, fmt.Errorf("%w: dac3 % x", ErrMalformed, dac3[:min(len(dac3), 3)])
	}
	return entry{
		name: "ac-3", kind: media.Audio, codec: "ac-3", boxes: wrapBox("dac3", dac3[:3]),
		sampleRate: ac3Rates[fscod], coreRate: ac3Rates[fscod], channels: channels, bitrate: ac3Kbits[code] * 1000,
	}, nil
}

// eac3Pairs has a bit for each chan_loc position of ETSI TS 102 366 F.6 that stands for two loudspeakers, bit 0 first.
const eac3Pairs = 0b0_0111_0011

// eac3Entry describes an E-AC-3 stream by the body of its dec3 box (ETSI TS 102 366 F.6). Its data rate is not taken as
// the bit rate of the Config: encoders write what they measured last.
func eac3Entry(dec3 []byte) (entry, error) {
	r := bitReader{b: dec3}
	kbits := r.read(13)
	r.read(3) // num_ind_sub: the first independent substream is the programme
	fscod := r.read(2)
	r.read(5 + 1 + 1 + 3) // bsid, reserved, asvc, bsmod
	channels := ac3Channels[r.read(3)] + r.read(1)
	r.read(3)
	if r.read(4) > 0 {
		loc := r.read(9)
		for i := range 9 {
			if loc>>i&1 == 1 {
				channels += 1 + eac3Pairs>>i&1
			}
		}
	} else {
		r.read(1)
	}
	if r.bad || fscod >= len(ac3Rates) {
		return entry{}, fmt.Errorf("%w: dec3 % x", ErrMalformed, dec3[:min(len(dec3), 5)])
	}
	return entry{
		name: "ec-3", kind: media.Audio, codec: "ec-3", boxes: wrapBox("dec3", dec3),
		sampleRate: ac3Rates[fscod], coreRate: ac3Rates[fscod], channels: channels, bitrate: kbits * 1000,
	}, nil
}

// bitReader reads big-endian bit fields. After the end it yields zeros and is bad.
type bitReader struct {
	b   []byte
	pos int
	bad bool
}

func (r *bitReader) left() int { return len(r.b)*8 - r.pos }

func (r *bitReader) read(n int) (v int) {
	if n > r.left() {
		r.bad = true
		return 0
	}
	for ; n > 0; n-- {
		v = v<<1 | int(r.b[r.pos/8]>>(7-r.pos%8)&1)
		r.pos++
	}
	return v
}
