// Package cmaf writes and reads the CMAF form in which Headwater stores media: an init segment per configuration, and
// segments of moof+mdat pairs that hold one track, times on the UTC axis.
//
// It does not map time, choose boundaries or name anything.
package cmaf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"headwater/packager/media"
)

// Sample is one access unit. Data is empty where only the description is of interest.
type Sample struct {
	Duration          uint32 // ticks
	Size              uint32 // bytes
	CompositionOffset int32  // ticks: presentation time minus decode time
	Sync              bool   // decoding can begin here
	Data              []byte
}

// Fragment is the description of one moof+mdat pair.
type Fragment struct {
	Sequence   uint32 // mfhd sequence_number
	DecodeTime int64  // ticks since the UTC epoch: tfdt
	Samples    []Sample
}

// Duration returns the sum of the samples' durations in ticks.
func (f Fragment) Duration() (d int64) {
	for i := range f.Samples {
		d += int64(f.Samples[i].Duration)
	}
	return d
}

// Bytes returns the sum of the samples' sizes.
func (f Fragment) Bytes() (n int64) {
	for i := range f.Samples {
		n += int64(f.Samples[i].Size)
	}
	return n
}

// Sample flags (ISO/IEC 14496-12 8.8.3.1), the values that output.md section 13 gives.
const (
	flagsSync    = 0x02000000
	flagsNonSync = 0x01010000
	nonSyncBit   = 0x00010000
)

// TrackID is the track_ID of every stored track.
const TrackID = 1

// AppendSegmentType appends the styp box with which a stored segment begins.
func AppendSegmentType(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, 24)
	return append(b, "stypcmfs\x00\x00\x00\x00cmfscmff"...)
}

// AppendHeader appends the moof box and the header of the mdat box of f; f.Bytes() bytes of sample data must follow.
func AppendHeader(b []byte, f Fragment, kind media.Kind) ([]byte, error) {
	if len(f.Samples) == 0 {
		return nil, errors.New("cmaf: fragment without samples")
	}
	if f.DecodeTime < 0 {
		return nil, fmt.Errorf("cmaf: negative decode time %d", f.DecodeTime)
	}
	const fixed = 8 + 16 + 8 + 20 + 20 + 20 // moof, mfhd, traf, tfhd, tfdt, trun up to data_offset
	perSample, trunFlags := 8, uint32(0x000301)
	if kind == media.Video {
		perSample, trunFlags = 16, 0x000f01
	} else {
		for i := range f.Samples {
			if f.Samples[i].CompositionOffset != 0 {
				perSample, trunFlags = 12, 0x000b01
				break
			}
		}
	}
	moof := fixed + perSample*len(f.Samples)
	payload := f.Bytes()
	if payload+8 > math.MaxUint32 || len(f.Samples) > 1<<20 {
		return nil, fmt.Errorf("cmaf: fragment of %d samples and %d bytes is too large", len(f.Samples), payload)
	}
	be := binary.BigEndian
	box := func(size int, name string) {
		b = be.AppendUint32(b, uint32(size))
		b = append(b, name...)
	}
	defaults := uint32(flagsSync)
	if kind == media.Video {
		defaults = flagsNonSync
	}
	box(moof, "moof")
	box(16, "mfhd")
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, f.Sequence)
	box(moof-24, "traf")
	box(20, "tfhd")
	b = be.AppendUint32(b, 0x020020) // default-base-is-moof, default sample flags
	b = be.AppendUint32(b, TrackID)
	b = be.AppendUint32(b, defaults)
	box(20, "tfdt")
	b = be.AppendUint32(b, 1<<24)
	b = be.AppendUint64(b, uint64(f.DecodeTime))
	box(moof-24-8-20-20, "trun")
	b = be.AppendUint32(b, 1<<24|trunFlags)
	b = be.AppendUint32(b, uint32(len(f.Samples)))
	b = be.AppendUint32(b, uint32(moof+8))
	for i := range f.Samples {
		s := &f.Samples[i]
		b = be.AppendUint32(b, s.Duration)
		b = be.AppendUint32(b, s.Size)
		if trunFlags&0x400 != 0 {
			fl := uint32(flagsNonSync)
			if s.Sync {
				fl = flagsSync
			}
			b = be.AppendUint32(b, fl)
		}
		if trunFlags&0x800 != 0 {
			b = be.AppendUint32(b, uint32(s.CompositionOffset))
		}
	}
	box(int(payload)+8, "mdat")
	return b, nil
}

// ErrMalformed is returned for bytes that are not a stored segment.
var ErrMalformed = errors.New("cmaf: malformed segment")

// ReadSegment parses a stored segment, or several end to end, into its fragments. Sample.Data are slices of b. Decode
// times and composition offsets are normalised: the delay by which the first sample of each stored segment is decoded
// before it is presented is taken out of the whole segment, so that its first DecodeTime is media.Segment.Start and
// reordered samples have negative offsets. Only what AppendHeader writes is understood: it is no general parser.
func ReadSegment(b []byte) ([]Fragment, error) {
	var out []Fragment
	var open bool
	n := normaliser{fresh: true}
	be := binary.BigEndian
	for len(b) > 0 {
		if len(b) < 8 {
			return nil, fmt.Errorf("%w: %d bytes left", ErrMalformed, len(b))
		}
		size := uint64(be.Uint32(b))
		if size < 8 || size > uint64(len(b)) {
			return nil, fmt.Errorf("%w: box size %d of %d", ErrMalformed, size, len(b))
		}
		body := b[8:size]
		switch string(b[4:8]) {
		case "moof":
			if open {
				return nil, fmt.Errorf("%w: moof without mdat", ErrMalformed)
			}
			f, err := readMoof(body)
			if err != nil {
				return nil, err
			}
			n.fragment(&f)
			out, open = append(out, f), true
		case "styp":
			n.fresh = true
		case "mdat":
			if !open {
				return nil, fmt.Errorf("%w: mdat without moof", ErrMalformed)
			}
			open = false
			for i := range out[len(out)-1].Samples {
				s := &out[len(out)-1].Samples[i]
				if uint64(s.Size) > uint64(len(body)) {
					return nil, fmt.Errorf("%w: samples exceed mdat", ErrMalformed)
				}
				s.Data, body = body[:s.Size:s.Size], body[s.Size:]
			}
		}
		b = b[size:]
	}
	if open {
		return nil, fmt.Errorf("%w: moof without mdat", ErrMalformed)
	}
	return out, nil
}

// normaliser takes the delay of a stored segment's first sample out of its fragments.
type normaliser struct {
	delay int32
	fresh bool // the next moof is the first of a stored segment
}

func (n *normaliser) fragment(f *Fragment) {
	if n.fresh {
		n.delay, n.fresh = f.Samples[0].CompositionOffset, false
	}
	f.DecodeTime += int64(n.delay)
	for i := range f.Samples {
		f.Samples[i].CompositionOffset -= n.delay
	}
}

func readMoof(b []byte) (f Fragment, err error) {
	be := binary.BigEndian
	const head = 16 + 8 + 20 + 20 + 20 // as AppendHeader writes it
	if len(b) < head || string(b[4:8]) != "mfhd" || string(b[20:24]) != "traf" || string(b[28:32]) != "tfhd" ||
		string(b[48:52]) != "tfdt" || string(b[68:72]) != "trun" {
		return f, fmt.Errorf("%w: unexpected moof layout", ErrMalformed)
	}
	f.Sequence = be.Uint32(b[12:])
	f.DecodeTime = int64(be.Uint64(b[56:]))
	flags := be.Uint32(b[72:]) & 0xffffff
	count := int(be.Uint32(b[76:]))
	per := 8
	if flags&0x400 != 0 {
		per += 4
	}
	if flags&0x800 != 0 {
		per += 4
	}
	b = b[head:]
	if flags&^0xc00 != 0x301 || count < 1 || len(b) != count*per {
		return f, fmt.Errorf("%w: trun of %d samples, flags %#x", ErrMalformed, count, flags)
	}
	f.Samples = make([]Sample, count)
	for i := range f.Samples {
		s := &f.Samples[i]
		s.Duration, s.Size, s.Sync = be.Uint32(b), be.Uint32(b[4:]), true
		b = b[8:]
		if flags&0x400 != 0 {
			s.Sync = be.Uint32(b)&nonSyncBit == 0
			b = b[4:]
		}
		if flags&0x800 != 0 {
			s.CompositionOffset = int32(be.Uint32(b))
			b = b[4:]
		}
	}
	return f, nil
}
