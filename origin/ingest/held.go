package ingest

import (
	"fmt"
	"io"
	"math"
	"sync"

	"headwater/origin/channel"
	"headwater/origin/reply"
)

// budget bounds the bytes of uploads that are held in memory, over all requests: MPEG-TS and manifests, and of MP4 what waits
// to be whole. A channel may hold as much as is
// left free, so that one alone, with however many uploads, leaves half of the budget to the others.
type budget struct {
	mu    sync.Mutex
	limit int64 // bytes
	used  int64
	by    map[channel.ID]int64
}

func newBudget(limit int64) *budget {
	return &budget{limit: limit, by: map[channel.ID]int64{}}
}

// share is what one request holds of a budget. A nil share holds nothing and has no bound.
type share struct {
	of   *budget
	id   channel.ID
	held int64
}

// Take adds n bytes, or returns an error that wraps reply.ErrMemory. It never waits.
func (s *share) Take(n int64) error {
	if s == nil || n == 0 {
		return nil
	}
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	if own := b.by[s.id] + n; own > b.limit-b.used-n {
		return fmt.Errorf("%w: %d of %d bytes are held, %d of them by this channel", reply.ErrMemory, b.used, b.limit, own-n)
	}
	b.by[s.id] += n
	b.used += n
	s.held += n
	return nil
}

// Give gives n bytes back.
func (s *share) Give(n int64) {
	if s == nil || n == 0 {
		return
	}
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	n = min(n, s.held)
	s.held -= n
	b.used -= n
	if b.by[s.id] -= n; b.by[s.id] == 0 {
		delete(b.by, s.id)
	}
}

// release gives everything back.
func (s *share) release() { s.Give(math.MaxInt64) }

// reading returns a reader of r whose bytes are held.
func (s *share) reading(r io.Reader) io.Reader { return &heldReader{of: s, r: r} }

type heldReader struct {
	of *share
	r  io.Reader
}

func (h *heldReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if heldErr := h.of.Take(int64(n)); heldErr != nil {
		return 0, heldErr
	}
	return n, err
}
