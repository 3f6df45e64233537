package ingest

import (
	"encoding/binary"
	"strings"
)

// This file is whether a segment of video can be decoded without the one before it.

// pictureScan looks at the first two pictures of a segment.
type pictureScan struct {
	samples       int // that were announced
	first, second sliceScan
}

func newPictureScan(codec string) pictureScan {
	s := sliceScan{codec: familyOf(codec)}
	return pictureScan{first: s, second: s}
}

// expect announces the bytes of the next sample.
func (p *pictureScan) expect(size uint32) {
	switch p.samples++; p.samples {
	case 1:
		p.first.left = int64(size)
	case 2:
		p.second.left = int64(size)
	}
}

// Write never fails.
func (p *pictureScan) Write(b []byte) (int, error) {
	n := min(int64(len(b)), p.first.left)
	_, _ = p.first.Write(b[:n])
	_, _ = p.second.Write(b[n:])
	return len(b), nil
}

// open reports whether the segment begins with an open group of pictures. leading: pictures that are decoded after the first are
// shown before it; x265 gives some of them its own time.
func (p *pictureScan) open(leading bool) bool {
	return p.first.slice == openSlice || p.first.slice == cleanSlice && (leading || p.second.slice == skippedSlice)
}

// sliceScan finds the first coded slice of a sample, whose bytes are written to it: NAL units with their lengths in four bytes,
// as demux has them.
type sliceScan struct {
	codec codecFamily
	left  int64  // bytes of the sample that did not come yet
	skip  int64  // bytes of the NAL unit that say nothing
	head  []byte // its length and the first byte of its header
	slice slice
}

// codecFamily is the coding of video as far as slices differ.
type codecFamily uint8

const (
	otherVideo codecFamily = iota
	avcVideo
	hevcVideo
)

func familyOf(codec string) codecFamily {
	entry, _, _ := strings.Cut(codec, ".")
	switch entry {
	case "avc1", "avc3":
		return avcVideo
	case "hvc1", "hev1", "dvh1", "dvhe":
		return hevcVideo
	}
	return otherVideo
}

// slice says what pictures that follow a slice may need of those before it.
type slice uint8

const (
	unknownSlice slice = iota
	closedSlice        // nothing: IDR, BLA
	cleanSlice         // CRA of HEVC: only those that are shown before it
	skippedSlice       // RASL of HEVC: what a decoder skips that begins with the CRA before it
	openSlice          // all others: perhaps what came before them
)

// Write never fails.
func (s *sliceScan) Write(b []byte) (int, error) {
	n := len(b)
	b = b[:min(int64(n), s.left)]
	s.left -= int64(len(b))
	for len(b) > 0 && s.slice == unknownSlice && s.codec != otherVideo {
		if skipped := min(s.skip, int64(len(b))); skipped > 0 {
			s.skip -= skipped
			b = b[skipped:]
			continue
		}
		s.head = append(s.head, b[0])
		b = b[1:]
		if len(s.head) == 4 && binary.BigEndian.Uint32(s.head) == 0 {
			s.head = s.head[:0]
		}
		if len(s.head) == 5 {
			s.skip = int64(binary.BigEndian.Uint32(s.head)) - 1
			s.slice = s.codec.slice(s.head[4])
			s.head = s.head[:0]
		}
	}
	return n, nil
}

// slice reads the first byte of a NAL unit: ITU-T H.264 table 7-1, H.265 table 7-1.
func (c codecFamily) slice(header byte) slice {
	if c == avcVideo {
		switch header & 0x1f {
		case 5:
			return closedSlice
		case 1, 2, 3, 4:
			return openSlice
		}
		return unknownSlice
	}
	switch kind := header >> 1 & 0x3f; {
	case kind >= 16 && kind <= 20: // BLA, IDR
		return closedSlice
	case kind == 21:
		return cleanSlice
	case kind == 8, kind == 9:
		return skippedSlice
	case kind < 32:
		return openSlice
	}
	return unknownSlice
}
