package demux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// This file is how the bytes of an mdat become those of fragments.

// mdat opens the mdat that belongs to the last moof and returns the first fragment with bytes in it. An mdat without
// moof, or of ignored tracks, is skipped.
func (m *MP4Reader) mdat(h boxHead) (Event, error) {
	trafs := m.trafs
	m.trafs, m.rest = nil, h.body
	if len(trafs) == 0 {
		return Event{}, m.finish()
	}
	start, end := m.pos, int64(maxTicks)
	if h.body != endless {
		end = start + h.body
	}
	if !settle(trafs, start, end) {
		return Event{}, fmt.Errorf("%w: samples outside of mdat, at %d", ErrMalformed, h.pos)
	}
	if len(trafs) == 1 {
		if r, ok := trafs[0].contiguous(); ok {
			return m.stream(&trafs[0], r, h)
		}
	}
	return m.whole(trafs, h)
}

// settle reports whether the runs lie in the mdat at [start, end). Base offsets that count from the start of another file,
// and runs that carry no position, are moved so that the first run begins the mdat.
func settle(trafs []traf, start, end int64) bool {
	first := int64(math.MaxInt64)
	for i := range trafs {
		for _, r := range trafs[i].runs {
			first = min(first, r.start)
		}
	}
	inside := func(by int64) bool {
		for i := range trafs {
			for _, r := range trafs[i].runs {
				if r.start+by < start || r.end+by > end {
					return false
				}
			}
		}
		return true
	}
	if first == math.MaxInt64 || inside(0) {
		return true
	}
	by := start - first
	if !inside(by) {
		return false
	}
	for i := range trafs {
		for k := range trafs[i].runs {
			trafs[i].runs[k].start += by
			trafs[i].runs[k].end += by
		}
	}
	return true
}

// stream hands out the fragment of a moof while its bytes arrive.
func (m *MP4Reader) stream(t *traf, r run, h boxHead) (Event, error) {
	ev, err := m.event(t)
	if err != nil {
		return Event{}, err
	}
	if r.end-r.start > math.MaxUint32-8 {
		return Event{}, fmt.Errorf("%w: fragment of %d bytes, at %d", ErrTooLarge, r.end-r.start, h.pos)
	}
	if r.end > r.start {
		if err := m.take(r.start - m.pos); err != nil {
			return Event{}, err
		}
	}
	m.body = &data{m: m, left: r.end - r.start}
	ev.Fragment.Body = m.body
	return ev, nil
}

// whole reads the mdat into memory and hands out a fragment per track fragment.
func (m *MP4Reader) whole(trafs []traf, h boxHead) (Event, error) {
	start, end := m.pos, m.pos
	for i := range trafs {
		for _, r := range trafs[i].runs {
			end = max(end, r.end)
		}
	}
	if end-start > m.lim.Fragment {
		return Event{}, fmt.Errorf("%w: mdat of %d bytes for several tracks, at %d", ErrTooLarge, end-start, h.pos)
	}
	b, err := m.read(nil, end-start, h)
	if err != nil {
		return Event{}, err
	}
	if m.rest != endless {
		m.rest -= end - start
	}
	if err := m.finish(); err != nil {
		return Event{}, err
	}
	for i := range trafs {
		ev, err := m.event(&trafs[i])
		if err != nil {
			return Event{}, err
		}
		parts := make([]io.Reader, 0, len(trafs[i].runs))
		for _, r := range trafs[i].runs {
			parts = append(parts, bytes.NewReader(b[r.start-start:r.end-start]))
		}
		if len(parts) == 1 {
			ev.Fragment.Body = parts[0]
		} else {
			ev.Fragment.Body = io.MultiReader(parts...)
		}
		m.pending = append(m.pending, ev)
	}
	ev := m.pending[0]
	m.pending = m.pending[1:]
	return ev, nil
}

// take drops n bytes of the open mdat.
func (m *MP4Reader) take(n int64) error {
	if m.rest != endless {
		m.rest -= n
	}
	return m.discard(n, "mdat")
}

// finish drops what is left of the open mdat.
func (m *MP4Reader) finish() error {
	if m.body != nil {
		b := m.body
		m.body = nil
		if b.err != nil {
			return b.err
		}
		if b.left > 0 {
			b.err = errPassed
		}
		if err := m.take(b.left); err != nil {
			return err
		}
	}
	n := m.rest
	m.rest = 0
	return m.discard(n, "mdat")
}

// errPassed is what the Body of a fragment gives when the next one was asked for before it was read.
var errPassed = errors.New("demux: the reader has passed this fragment")

// data is the Body of a streamed fragment.
type data struct {
	m    *MP4Reader
	left int64
	err  error
}

func (d *data) Read(p []byte) (int, error) {
	switch {
	case d.err != nil:
		return 0, d.err
	case d.left == 0:
		return 0, io.EOF
	}
	n, err := d.m.r.Read(p[:min(int64(len(p)), d.left)])
	d.left -= int64(n)
	d.m.pos += int64(n)
	if d.m.rest != endless {
		d.m.rest -= int64(n)
	}
	if err != nil && d.left > 0 {
		d.err = d.m.ended(err, "mdat", d.m.pos)
		return n, d.err
	}
	return n, nil
}
