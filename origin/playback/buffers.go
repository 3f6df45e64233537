package playback

import "sync"

// buffers keeps memory for segments, so that each new one does not cost fresh pages and work for the collector: for a
// segment of 1.2 MB that is more than all else. Safe for concurrent use.
type buffers struct {
	limit int64 // bytes kept

	mu   sync.Mutex
	free [][]byte
	size int64
}

// take returns an empty buffer of at least n bytes, and at most about twice that: small segments leave large buffers alone.
func (b *buffers) take(n int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.free) - 1; i >= 0; i-- {
		if buf := b.free[i]; cap(buf) >= n && cap(buf) <= 2*n+4096 {
			last := len(b.free) - 1
			b.free[i], b.free[last] = b.free[last], nil
			b.free = b.free[:last]
			b.size -= int64(cap(buf))
			return buf[:0]
		}
	}
	return make([]byte, 0, n+n/8)
}

// put gives a buffer back. Nobody else may use it any more.
func (b *buffers) put(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, buf)
	b.size += int64(cap(buf))
	for b.size > b.limit { // the oldest goes: sizes that nobody asks for do not stay
		b.size -= int64(cap(b.free[0]))
		b.free = append(b.free[:0], b.free[1:]...)
	}
}
