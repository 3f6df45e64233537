package demux

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"headwater/packager/media"
)

// maxGarbage is how many bytes between two packets of a stream are skipped before it is taken for something else.
const maxGarbage = 1 << 20

// packets finds the transport packets of a stream as alignPackets does those of a segment.
type packets struct {
	r       *bufio.Reader
	aligned bool // what was read last was a packet
	skipped int  // bytes since the last packet
	one     [packetSize]byte
}

func newPackets(r io.Reader) *packets { return &packets{r: bufio.NewReaderSize(r, 16<<10)} }

// next returns the next packet, valid until the call after. It returns io.EOF at the end, ErrTruncated at an end inside a
// packet, ErrMalformed after maxGarbage, or the error of the underlying reader.
func (k *packets) next() ([]byte, error) {
	for {
		b, err := k.r.Peek(packetSize + 1)
		switch {
		case len(b) >= packetSize:
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case len(b) > 0 && b[0] == syncByte && k.aligned:
			return nil, fmt.Errorf("%w: the body ends in an MPEG-TS packet", ErrTruncated)
		default:
			return nil, io.EOF
		}
		here := b[0] == syncByte
		if here && k.aligned && (len(b) == packetSize || b[packetSize] == syncByte) {
			return k.take(b), nil
		}
		b, _ = k.r.Peek(tornReach) // fewer at the end
		sync := func(i int) bool { return i == len(b) || i < len(b) && b[i] == syncByte }
		next := sync(packetSize)
		if n := torn(b); here && k.aligned && !next && n > 0 {
			return k.damaged(b, n), nil
		}
		if here && (k.aligned || next) || k.aligned && next && sync(2*packetSize) {
			return k.take(b), nil
		}
		n := 1 + bytes.IndexByte(b[1:], syncByte)
		if n == 0 {
			n = len(b)
		}
		_, _ = k.r.Discard(n)
		k.aligned = false
		if k.skipped += n; k.skipped > maxGarbage {
			return nil, fmt.Errorf("%w: no MPEG-TS packet in %d bytes", ErrMalformed, maxGarbage)
		}
	}
}

// damaged returns the packet of which only n bytes are there.
func (k *packets) damaged(b []byte, n int) []byte {
	copy(k.one[:], b)
	k.one[1] |= transportError
	_, _ = k.r.Discard(n)
	k.skipped = 0
	return k.one[:]
}

func (k *packets) take(b []byte) []byte {
	copy(k.one[:], b)
	k.one[0] = syncByte // it may be damaged
	_, _ = k.r.Discard(packetSize)
	k.aligned, k.skipped = true, 0
	return k.one[:]
}

// payloadOf returns what follows the header and the adaptation field of a packet, nil when there is nothing.
func payloadOf(p []byte) []byte {
	if p[1]&transportError != 0 || p[3]&0x10 == 0 {
		return nil
	}
	if p[3]&0x20 == 0 {
		return p[4:]
	}
	if n := int(p[4]); n <= packetSize-5 {
		return p[5+n:]
	}
	return nil
}

// Outlasts reads MPEG-TS until enough says so, asked when the media that was read grows, and reports whether it did before
// the end of what can be read as MPEG-TS. It looks at presentation times alone. It returns the errors of r, save io.EOF.
func Outlasts(r io.Reader, enough func(media time.Duration) bool) (bool, error) {
	type span struct{ first, last int64 }
	spans := map[uint16]*span{}
	longest := int64(0)
	for k := newPackets(r); ; {
		p, err := k.next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, ErrTruncated) && k.aligned, errors.Is(err, ErrMalformed) && !k.aligned:
			return false, nil
		case err != nil:
			return false, err
		}
		b := payloadOf(p)
		if p[1]&0x40 == 0 || len(b) < 14 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[6]&0xc0 != 0x80 || b[7]&0x80 == 0 {
			continue
		}
		pts := timestamp(b[9:])
		s := spans[pidOf(p)]
		if s == nil {
			s = &span{pts, pts}
			spans[pidOf(p)] = s
		}
		if pts = unwrap(pts, s.last); pts-s.last > maxJump || s.last-pts > maxJump {
			s.first += pts - s.last // a clock that jumps: what lies between is not there
		}
		if s.last = pts; pts-s.first > longest {
			if longest = pts - s.first; enough(media.At(longest, clockRate).Duration()) {
				return true, nil
			}
		}
	}
}
