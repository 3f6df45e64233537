package cmaf

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Span is where the sample data of one fragment lies: the half-open range of bytes [From, From+Size).
type Span struct{ From, Size int64 }

// maxMoof bounds what is read of a stored segment at once: a fragment of a million samples.
const maxMoof = 16<<20 + 256

// firstRead holds the moof of most segments.
const firstRead = 4 << 10

// ReadIndex describes what ReadSegment would return for the size bytes of r, but reads only the headers: Samples have no
// Data, which lies end to end in the span of their fragment. Errors: ErrMalformed, and those of r.
func ReadIndex(r io.ReaderAt, size int64) ([]Fragment, []Span, error) {
	x := indexer{r: r, size: size, window: make([]byte, 0, firstRead)}
	var fragments []Fragment
	var spans []Span
	n := normaliser{fresh: true}
	for at := int64(0); at < size; {
		head, err := x.read(at, 8)
		if err != nil {
			return nil, nil, err
		}
		box := int64(binary.BigEndian.Uint32(head))
		if box < 8 || box > size-at {
			return nil, nil, fmt.Errorf("%w: box size %d of %d", ErrMalformed, box, size-at)
		}
		switch string(head[4:8]) {
		case "moof":
			if box > maxMoof || len(fragments) != len(spans) {
				return nil, nil, fmt.Errorf("%w: moof of %d bytes, or without mdat", ErrMalformed, box)
			}
			body, err := x.read(at, int(box))
			if err != nil {
				return nil, nil, err
			}
			f, err := readMoof(body[8:])
			if err != nil {
				return nil, nil, err
			}
			n.fragment(&f)
			fragments = append(fragments, f)
		case "styp":
			n.fresh = true
		case "mdat":
			if len(fragments) != len(spans)+1 {
				return nil, nil, fmt.Errorf("%w: mdat without moof", ErrMalformed)
			}
			data := fragments[len(spans)].Bytes()
			if data > box-8 {
				return nil, nil, fmt.Errorf("%w: samples exceed mdat", ErrMalformed)
			}
			spans = append(spans, Span{at + 8, data})
		}
		at += box
	}
	if len(fragments) != len(spans) {
		return nil, nil, fmt.Errorf("%w: moof without mdat", ErrMalformed)
	}
	return fragments, spans, nil
}

// indexer reads ahead a little, so that a header and the next need one read.
type indexer struct {
	r      io.ReaderAt
	size   int64
	window []byte // what lies at from
	from   int64
}

// read returns n bytes at at, good until the next call.
func (x *indexer) read(at int64, n int) ([]byte, error) {
	if at < x.from || at+int64(n) > x.from+int64(len(x.window)) {
		if int64(n) > x.size-at {
			return nil, fmt.Errorf("%w: %d bytes left", ErrMalformed, x.size-at)
		}
		want := int(min(max(int64(n), firstRead), x.size-at))
		if cap(x.window) < want {
			x.window = make([]byte, want)
		}
		x.window, x.from = x.window[:want], at
		if _, err := x.r.ReadAt(x.window, at); err != nil && err != io.EOF {
			return nil, fmt.Errorf("cmaf: read header: %w", err)
		}
	}
	i := at - x.from
	return x.window[i : i+int64(n)], nil
}
