package ingest

import (
	"fmt"
	"sync"

	"headwater/origin/channel"
	"headwater/origin/reply"
)

// budget bounds the bytes of uploads that are held whole in memory, over all requests. A channel may hold as much as is
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

// take adds n bytes, or returns an error that wraps reply.ErrMemory. It never waits.
func (s *share) take(n int64) error {
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

// release gives everything back.
func (s *share) release() {
	if s == nil {
		return
	}
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= s.held
	if b.by[s.id] -= s.held; b.by[s.id] == 0 {
		delete(b.by, s.id)
	}
	s.held = 0
}
