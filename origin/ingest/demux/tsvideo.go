package demux

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/hevc"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// nalClass is what a NAL unit means for packaging.
type nalClass uint8

const (
	nalKeep  nalClass = iota // coded slices, SEI and the like
	nalDrop                  // access unit delimiters and filler: they mean nothing in a sample
	nalVPS                   // HEVC video parameter set
	nalSPS                   // sequence parameter set
	nalPPS                   // picture parameter set
	nalSync                  // slice of a picture at which decoding can begin
	nalSlice                 // any other slice
	nalSEI
)

// classify reads a NAL unit header: ITU-T H.264 table 7-1, H.265 table 7-1.
func (c codec) classify(nal []byte) nalClass {
	if c == h264 {
		switch nal[0] & 0x1f {
		case 9, 12:
			return nalDrop
		case 7:
			return nalSPS
		case 8:
			return nalPPS
		case 5:
			return nalSync
		case 1, 2:
			return nalSlice
		case 6:
			return nalSEI
		}
		return nalKeep
	}
	switch n := nal[0] >> 1 & 0x3f; {
	case n == 35, n == 38:
		return nalDrop
	case n == 32:
		return nalVPS
	case n == 33:
		return nalSPS
	case n == 34:
		return nalPPS
	case n >= 16 && n <= 21: // BLA, IDR, CRA
		return nalSync
	case n < 32:
		return nalSlice
	}
	return nalKeep
}

// splitAnnexB calls each with the NAL units of a byte stream (ITU-T H.264 annex B), without start codes and padding.
func splitAnnexB(b []byte, each func(nal []byte)) {
	code := []byte{0, 0, 1}
	at := bytes.Index(b, code)
	for at >= 0 {
		b = b[at+3:]
		nal := b
		if at = bytes.Index(b, code); at >= 0 {
			nal = b[:at]
		}
		if nal = bytes.TrimRight(nal, "\x00"); len(nal) > 0 {
			each(nal)
		}
	}
}

// parameterSets are the first ones of a segment, which go into the header.
type parameterSets struct {
	vps, sps, pps [][]byte
	closed        bool // the access unit that brought the first SPS is over
	changed       bool // others have come since: from there on all stay in band
}

// take reports whether the NAL unit is in the header and so need not stand in the sample.
func (p *parameterSets) take(class nalClass, nal []byte) bool {
	if p.changed {
		return false
	}
	list := &p.vps
	switch class {
	case nalSPS:
		list = &p.sps
	case nalPPS:
		list = &p.pps
	}
	for _, known := range *list {
		if bytes.Equal(known, nal) {
			return true
		}
	}
	const most = 31 // of each, what an avcC can hold
	if p.closed && len(*list) > 0 || len(*list) == most {
		p.changed = true
		return false
	}
	*list = append(*list, bytes.Clone(nal))
	return true
}

// picture is an access unit on its way to a sample.
type picture struct {
	pts, dts int64 // 90 kHz, unwrapped against each other
	start    int   // of its bytes
	end      int
	sync     bool
}

// video makes the fragment of an H.264 or HEVC stream. A PES packet is an access unit; one without time continues the one
// before it.
func (s *stream) video(lim Limits) (*Fragment, error) {
	if len(s.units) > lim.Samples {
		return nil, fmt.Errorf("%w: %d access units", ErrTooLarge, len(s.units))
	}
	var size int
	for _, u := range s.units {
		size += len(u.data)
	}
	var sets parameterSets
	var pics []picture
	buf := make([]byte, 0, size+size/64)
	for _, u := range s.units {
		if u.pts < 0 && len(pics) == 0 {
			s.lost++
			continue
		}
		p := picture{start: len(buf)}
		buf, p.sync = s.codec.accessUnit(buf, u.data, &sets)
		sets.closed = sets.closed || len(sets.sps) > 0
		p.end = len(buf)
		switch {
		case p.end == p.start:
		case u.pts < 0:
			last := &pics[len(pics)-1]
			last.end, last.sync = p.end, last.sync || p.sync
		default:
			p.dts = u.dts
			if len(pics) > 0 {
				p.dts = unwrap(u.dts, pics[len(pics)-1].dts)
			}
			p.pts = unwrap(u.pts, p.dts)
			pics = append(pics, p)
		}
	}
	first := 0
	for first < len(pics) && !pics[first].sync {
		first++
	}
	if first == len(pics) {
		return nil, fmt.Errorf("%w: no sync sample among %d pictures", ErrMalformed, len(pics))
	}
	s.lost += first
	e, err := sets.entry(s.codec)
	if err != nil {
		return nil, err
	}
	return s.pictures(pics[first:], buf, e)
}

// accessUnit appends the NAL units of an access unit to buf as they stand in a sample, and reports whether decoding can begin
// at it.
func (c codec) accessUnit(buf, data []byte, sets *parameterSets) (out []byte, sync bool) {
	recovers, slices := false, false
	splitAnnexB(data, func(nal []byte) {
		switch class := c.classify(nal); class {
		case nalDrop:
			return
		case nalVPS, nalSPS, nalPPS:
			if sets.take(class, nal) {
				return
			}
		case nalSync:
			sync, slices = true, true
		case nalSlice:
			slices = true
		case nalSEI:
			recovers = recovers || isRecoveryPoint(nal)
		}
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(nal)))
		buf = append(buf, nal...)
	})
	return buf, sync || recovers && slices
}

// isRecoveryPoint reports whether an H.264 SEI NAL unit says that decoding can begin at this picture with no picture to
// skip (ITU-T H.264 D.1.8): the form in which encoders mark open groups of pictures.
func isRecoveryPoint(nal []byte) bool {
	for b := nal[1:]; len(b) >= 3; {
		kind, n := int(b[0]), int(b[1])
		if kind == 0xff || n == 0xff || 2+n > len(b) {
			return false
		}
		if kind == 6 {
			return n > 0 && b[2]&0x80 != 0 // recovery_frame_cnt as Exp-Golomb: a leading 1 is 0
		}
		b = b[2+n:]
	}
	return false
}

// pictures makes the fragment, the composition offset of the first picture 0. How long the last picture lasts is a guess,
// which reachAudio betters.
func (s *stream) pictures(pics []picture, buf []byte, e entry) (*Fragment, error) {
	shift := pics[0].pts - pics[0].dts
	f := &Fragment{
		Track: s.track(e, clockRate), Clock33: true, PTS: pics[0].pts & (clockPeriod - 1), Lost: s.lost, Reorder: max(0, shift),
		Samples: make([]cmaf.Sample, len(pics)),
	}
	f.Time = f.PTS
	last := usualDuration(pics, e.frameRate)
	for i, p := range pics {
		d := last
		if i+1 < len(pics) {
			if d = pics[i+1].dts - p.dts; d < 0 || d > maxJump {
				return nil, fmt.Errorf("%w: decode time goes from %d to %d", ErrMalformed, p.dts, pics[i+1].dts)
			}
		}
		offset := p.pts - p.dts - shift
		if offset > maxJump || offset < -maxJump {
			return nil, fmt.Errorf("%w: presentation %d far from decoding %d", ErrMalformed, p.pts, p.dts)
		}
		f.Samples[i] = cmaf.Sample{
			Duration: uint32(d), Size: uint32(p.end - p.start), CompositionOffset: int32(offset), Sync: p.sync,
		}
	}
	f.Body = bytes.NewReader(buf[pics[0].start:pics[len(pics)-1].end])
	return f, nil
}

// usualDuration returns how long a picture lasts at 90 kHz as far as those before the last one show: as most of them. Where
// some are left out, as of a still scene, most may be as long as the scene was still: then the frame rate bounds it.
func usualDuration(pics []picture, rate media.Ratio) int64 {
	declared := pictureTicks(rate)
	var steps []int64
	for i := 1; i < len(pics); i++ {
		if d := pics[i].dts - pics[i-1].dts; d > 0 {
			steps = append(steps, d)
		}
	}
	if len(steps) == 0 {
		return declared
	}
	slices.Sort(steps)
	median := steps[(len(steps)-1)/2]
	if leftOut := 2*steps[len(steps)-1] > 3*median; leftOut && rate.Den != 0 {
		return min(median, declared)
	}
	return median
}

// pictureTicks returns the duration of a picture at 90 kHz, of 25 a second when the rate is not known.
func pictureTicks(rate media.Ratio) int64 {
	if rate.Den == 0 {
		return clockRate / 25
	}
	return media.At(int64(rate.Den), rate.Num).Round(clockRate)
}

// reachAudio makes the last picture of a still scene last until the end of the segment, of which an upload knows nothing
// but its audio. A segment ends at a sync sample, which lies at most an audio frame before the end of the audio and a
// whole number of picture durations behind the last picture. Where the audio is not longer than the video, it merely lies
// elsewhere in the stream.
func reachAudio(v *Fragment, all []Fragment) {
	last := &v.Samples[len(v.Samples)-1]
	picture := int64(last.Duration)
	if r := v.Track.Config.FrameRate; r.Den != 0 {
		picture = pictureTicks(r)
	}
	end := v.PTS + v.Duration() - v.Reorder // by decode times, in whose order streams are multiplexed
	v.OpenEnd = true
	missing := int64(0)
	for i := range all {
		a := &all[i]
		if a.Track.Kind != media.Audio {
			continue
		}
		frame := media.At(int64(a.Samples[len(a.Samples)-1].Duration), a.Track.Timescale).Round(clockRate)
		length := media.At(a.Duration(), a.Track.Timescale).Round(clockRate) - frame
		beyond := unwrap(a.PTS, v.PTS) + length - end
		switch {
		case beyond < -frame-picture: // it is behind
		case beyond < picture/2:
			v.OpenEnd = false
		case length-v.Duration() >= picture/2:
			v.OpenEnd, missing = false, max(missing, beyond)
		}
	}
	if missing >= picture/2 && missing <= maxJump {
		last.Duration += uint32((missing + picture - 1) / picture * picture)
	}
}

// entry describes the stream by its parameter sets.
func (p *parameterSets) entry(c codec) (entry, error) {
	if len(p.sps) == 0 || len(p.pps) == 0 || c == h265 && len(p.vps) == 0 {
		return entry{}, fmt.Errorf("%w: the video has no parameter sets, which every segment of MPEG-TS needs (x264: repeat-headers=1)", ErrNoInit)
	}
	var record bytes.Buffer
	if c == h264 {
		rec, err := avc.CreateAVCDecConfRec(p.sps, p.pps, true)
		if err == nil {
			err = rec.Encode(&record)
		}
		if err != nil {
			return entry{}, fmt.Errorf("%w: H.264 parameter sets: %w", ErrMalformed, err)
		}
		return avcEntry(p.sps, p.pps, record.Bytes())
	}
	rec, err := hevc.CreateHEVCDecConfRec(p.vps, p.sps, p.pps, true, true, true, true)
	if err == nil {
		err = rec.Encode(&record)
	}
	if err != nil {
		return entry{}, fmt.Errorf("%w: HEVC parameter sets: %w", ErrMalformed, err)
	}
	return hevcEntry(&rec, record.Bytes())
}
