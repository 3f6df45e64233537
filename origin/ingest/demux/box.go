package demux

import (
	"encoding/binary"
	"fmt"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"
)

// box is one box held in memory.
type box struct {
	name string
	raw  []byte // with its header
	body []byte // without
	pos  int64  // of the header, in the upload
}

// splitBoxes returns the boxes that lie end to end in b, whose first byte is at pos of the upload. A size of 0 means "to
// the end of b" and is allowed for the last one (ISO/IEC 14496-12 4.2.2). The structure is walked here, level by level, and
// only leaf boxes are handed to the box library, so that no input can make it recurse.
func splitBoxes(b []byte, pos int64) ([]box, error) {
	var out []box
	for len(b) > 0 {
		if len(b) < 8 {
			return nil, fmt.Errorf("%w: %d bytes where a box should start, at %d", ErrMalformed, len(b), pos)
		}
		size, head := uint64(binary.BigEndian.Uint32(b)), 8
		name := string(b[4:8])
		switch size {
		case 0:
			size = uint64(len(b))
		case 1:
			if len(b) < 16 {
				return nil, fmt.Errorf("%w: box %q without its 64-bit size, at %d", ErrMalformed, name, pos)
			}
			size, head = binary.BigEndian.Uint64(b[8:]), 16
		}
		if size < uint64(head) || size > uint64(len(b)) {
			return nil, fmt.Errorf("%w: box %q of %d bytes where %d are left, at %d", ErrMalformed, name, size, len(b), pos)
		}
		out = append(out, box{name: name, raw: b[:size:size], body: b[head:size:size], pos: pos})
		b, pos = b[size:], pos+int64(size)
	}
	return out, nil
}

// children returns the boxes inside b that follow skip bytes of its own fields.
func (b box) children(skip int) ([]box, error) {
	if len(b.body) < skip {
		return nil, b.malformed("too short")
	}
	c, err := splitBoxes(b.body[skip:], b.pos+int64(len(b.raw)-len(b.body)+skip))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.name, err)
	}
	return c, nil
}

func (b box) malformed(why string) error {
	return fmt.Errorf("%w: box %q at %d: %s", ErrMalformed, b.name, b.pos, why)
}

// find returns the first box of the name in list.
func find(list []box, name string) (box, bool) {
	for _, b := range list {
		if b.name == name {
			return b, true
		}
	}
	return box{}, false
}

// decode parses a leaf box with the box library. A panic of the library is a malformed box, too.
func decode[T mp4.Box](b box) (t T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = b.malformed(fmt.Sprint(p))
		}
	}()
	sr := bits.NewFixedSliceReader(b.raw)
	parsed, err := mp4.DecodeBoxSR(uint64(max(b.pos, 0)), sr)
	if err != nil {
		return t, b.malformed(err.Error())
	}
	t, ok := parsed.(T)
	if !ok {
		return t, b.malformed("unexpected content")
	}
	return t, nil
}

// need decodes the first box of the name in list and fails when there is none.
func need[T mp4.Box](parent box, list []box, name string) (t T, err error) {
	b, ok := find(list, name)
	if !ok {
		return t, parent.malformed("without " + name)
	}
	return decode[T](b)
}
