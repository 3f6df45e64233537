package smooth

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"headwater/packager"
	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// User types of the uuid boxes ([MS-SSTR] 2.2.4.4, 2.2.4.5).
const (
	tfxdType = "\x6d\x1d\x9b\x05\x42\xd5\x44\xe6\x80\xe2\x14\x1d\xaf\xf7\x57\xb2"
	tfrfType = "\xd4\x80\x7e\xf2\xca\x39\x46\x95\x8e\x54\x26\xcb\x9e\x46\xa7\x9f"
)

// Sample flags (ISO/IEC 14496-12 8.8.3.1).
const (
	flagsSync    = 0x02000000
	flagsNonSync = 0x01010000
)

// maxFollowing is how many fragments a tfrf box can announce: its count is one byte in every implementation.
const maxFollowing = 255

// Fragment rewrites a stored segment as one Smooth Streaming fragment, moof and mdat. next are the segments of the same
// track that follow it, as many as the fragment shall announce (Options.LookAhead); fewer only at the end of the stream,
// so that a fragment has the same bytes whenever it is asked for. Error: cmaf.ErrMalformed.
func Fragment(p packager.Piece, next []media.Segment) ([]byte, error) {
	fs, err := cmaf.ReadSegment(p.Data)
	if err != nil {
		return nil, fmt.Errorf("smooth: %w", err)
	}
	b, err := Header(p.Track, p.Segment, fs, next)
	if err != nil {
		return nil, err
	}
	for i := range fs {
		b = slices.Grow(b, int(fs[i].Bytes()))
		for j := range fs[i].Samples {
			b = append(b, fs[i].Samples[j].Data...)
		}
	}
	return b, nil
}

// MdatHeader is the size in bytes of the header of the mdat box, with which Header ends.
const MdatHeader = 8

// Header returns what Fragment returns up to the sample data: the moof and the header of the mdat, which the sample data
// of all fragments must follow. Of fragments, a stored segment as cmaf.ReadSegment or ReadIndex give it, no Data is read.
func Header(tr media.Track, seg media.Segment, fragments []cmaf.Fragment, next []media.Segment) ([]byte, error) {
	f, err := plan(tr, seg, fragments, next)
	if err != nil {
		return nil, err
	}
	b := f.appendMoof(make([]byte, 0, f.moofSize()+MdatHeader))
	return box(b, uint32(f.payload+MdatHeader), "mdat"), nil
}

// FragmentInfo returns the moof of what Fragment returns for the same arguments.
func FragmentInfo(p packager.Piece, next []media.Segment) ([]byte, error) {
	fs, err := cmaf.ReadSegment(p.Data)
	if err != nil {
		return nil, fmt.Errorf("smooth: %w", err)
	}
	b, err := Header(p.Track, p.Segment, fs, next)
	if err != nil {
		return nil, err
	}
	return b[:len(b)-MdatHeader], nil
}

// fragment is a fragment ready to be written.
type fragment struct {
	track    media.Track
	segment  media.Segment
	next     []media.Segment
	samples  []sample
	payload  int  // bytes of sample data
	offsets  bool // some composition offset is not 0
	negative bool // some composition offset is below 0
	plain    bool // the first sample is as it should be and all others are alike, so that no sample needs flags
}

// sample is the description of one sample, in TimeScale.
type sample struct {
	duration, size uint32
	offset         int32
	sync           bool
}

// plan converts the times of fs. Durations are differences of rounded absolute times; the last sample before a
// further moof lasts until that one's decode time, because a Smooth fragment has but one.
func plan(tr media.Track, seg media.Segment, fs []cmaf.Fragment, next []media.Segment) (*fragment, error) {
	n := 0
	for i := range fs {
		if fs[i].DecodeTime < 0 || media.At(fs[i].DecodeTime, tr.Timescale).Floor(1) > 1<<38 ||
			fs[i].DecodeTime > 1<<61 {
			return nil, fmt.Errorf("smooth: %w: decode time %d", cmaf.ErrMalformed, fs[i].DecodeTime)
		}
		n += len(fs[i].Samples)
	}
	if n == 0 {
		return nil, fmt.Errorf("smooth: %w: no samples", cmaf.ErrMalformed)
	}
	f := &fragment{track: tr, segment: seg, next: next[:min(len(next), maxFollowing)], plain: true}
	f.samples = make([]sample, 0, n)
	scale := tr.Timescale
	from := Time(fs[0].DecodeTime, scale)
	for i := range fs {
		dts := fs[i].DecodeTime
		for j := range fs[i].Samples {
			in := &fs[i].Samples[j]
			end := dts + int64(in.Duration)
			if j == len(fs[i].Samples)-1 && i+1 < len(fs) {
				end = fs[i+1].DecodeTime
			}
			to := max(from, Time(end, scale))
			offset := Time(dts+int64(in.CompositionOffset), scale) - Time(dts, scale)
			if to-from > math.MaxUint32 || offset != int64(int32(offset)) {
				return nil, fmt.Errorf("smooth: %w: sample of %d ticks at %d", cmaf.ErrMalformed, end-dts, dts)
			}
			f.add(sample{duration: uint32(to - from), size: in.Size, offset: int32(offset), sync: in.Sync})
			dts, from = end, to
		}
	}
	if f.payload+MdatHeader > math.MaxUint32 || f.moofSize() > math.MaxInt32 {
		return nil, fmt.Errorf("smooth: %w: %d bytes", cmaf.ErrMalformed, f.payload)
	}
	return f, nil
}

func (f *fragment) add(s sample) {
	wantSync := f.track.Kind != media.Video || len(f.samples) == 0
	f.plain = f.plain && s.sync == wantSync
	f.offsets = f.offsets || s.offset != 0
	f.negative = f.negative || s.offset < 0
	f.payload += int(s.size)
	f.samples = append(f.samples, s)
}

// perSample returns the bytes of a trun entry.
func (f *fragment) perSample() int {
	n := 8
	if !f.plain {
		n += 4
	}
	if f.offsets {
		n += 4
	}
	return n
}

func (f *fragment) firstFlags() bool { return f.plain && f.track.Kind == media.Video }

func (f *fragment) trunSize() int {
	n := 20 + f.perSample()*len(f.samples)
	if f.firstFlags() {
		n += 4
	}
	return n
}

// tfrfSize is not 0 where nothing is announced: dash.js gives up at a live fragment without the box, not at an empty one.
func (f *fragment) tfrfSize() int { return 29 + 16*len(f.next) }

func (f *fragment) trafSize() int { return 8 + 20 + f.trunSize() + 44 + f.tfrfSize() }

func (f *fragment) moofSize() int { return 8 + 16 + f.trafSize() }

// appendMoof appends the moof box: mfhd, traf with tfhd, trun, tfxd and tfrf (reference output.md 8.3).
func (f *fragment) appendMoof(b []byte) []byte {
	be := binary.BigEndian
	defaults := uint32(flagsSync)
	if f.track.Kind == media.Video {
		defaults = flagsNonSync
	}
	b = box(b, uint32(f.moofSize()), "moof")
	b = be.AppendUint32(box(b, 16, "mfhd"), 0)
	b = be.AppendUint32(b, uint32(f.segment.Number))
	b = box(b, uint32(f.trafSize()), "traf")
	b = be.AppendUint32(box(b, 20, "tfhd"), 0x000020) // default sample flags
	b = be.AppendUint32(b, uint32(f.track.Kind))      // constant, which is all that clients ask of it
	b = be.AppendUint32(b, defaults)
	b = f.appendTrun(b)

	start := Time(f.segment.Start, f.track.Timescale)
	b = append(box(b, 44, "uuid"), tfxdType...)
	b = be.AppendUint32(b, 1<<24)
	b = be.AppendUint64(b, uint64(start))
	b = be.AppendUint64(b, uint64(Time(f.segment.End(), f.track.Timescale)-start))
	b = append(box(b, uint32(f.tfrfSize()), "uuid"), tfrfType...)
	b = append(be.AppendUint32(b, 1<<24), byte(len(f.next)))
	for _, s := range f.next {
		start := Time(s.Start, f.track.Timescale)
		b = be.AppendUint64(b, uint64(start))
		b = be.AppendUint64(b, uint64(Time(s.End(), f.track.Timescale)-start))
	}
	return b
}

func (f *fragment) appendTrun(b []byte) []byte {
	be := binary.BigEndian
	flags := uint32(0x000301) // data offset, sample durations and sizes
	if f.firstFlags() {
		flags |= 0x000004
	}
	if !f.plain {
		flags |= 0x000400
	}
	if f.offsets {
		flags |= 0x000800
	}
	if f.negative {
		flags |= 1 << 24 // version 1: signed composition offsets
	}
	b = be.AppendUint32(box(b, uint32(f.trunSize()), "trun"), flags)
	b = be.AppendUint32(b, uint32(len(f.samples)))
	b = be.AppendUint32(b, uint32(f.moofSize()+MdatHeader))
	if f.firstFlags() {
		b = be.AppendUint32(b, flagsSync)
	}
	for _, s := range f.samples {
		b = be.AppendUint32(b, s.duration)
		b = be.AppendUint32(b, s.size)
		if !f.plain {
			fl := uint32(flagsNonSync)
			if s.sync {
				fl = flagsSync
			}
			b = be.AppendUint32(b, fl)
		}
		if f.offsets {
			b = be.AppendUint32(b, uint32(s.offset))
		}
	}
	return b
}

// box appends a box header.
func box(b []byte, size uint32, name string) []byte {
	return append(binary.BigEndian.AppendUint32(b, size), name...)
}
