package objects

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"headwater/origin/reply"
)

// Quotas are how many requests a second a container takes, by operation; 0: any number. As many as a second's may come at once.
type Quotas struct {
	PutObject, PutStreaming, GetObject, GetStreaming, DescribeObject, DeleteObject, ListItems float64
}

// FaithfulQuotas returns MediaStore's (reference 1.9). There an account's containers shared them.
func FaithfulQuotas() Quotas {
	return Quotas{PutObject: 100, PutStreaming: 10, GetObject: 1000, GetStreaming: 25, DescribeObject: 1000, DeleteObject: 100, ListItems: 5}
}

// of returns the quota of an operation; streaming ones of a put or get are those of an object that can be read while it is
// written.
func (q *Quotas) of(op Operation, streaming bool) float64 {
	switch op {
	case PutObject:
		if streaming {
			return q.PutStreaming
		}
		return q.PutObject
	case GetObject:
		if streaming {
			return q.GetStreaming
		}
		return q.GetObject
	case DescribeObject:
		return q.DescribeObject
	case DeleteObject:
		return q.DeleteObject
	default:
		return q.ListItems
	}
}

// maxBuckets bounds what is remembered of containers, those that are gone too: there are seven buckets to one, and beyond
// this all begin anew, full.
const maxBuckets = 7 * 1000

// Limiter holds containers to quotas. Create with NewLimiter. Safe for concurrent use.
type Limiter struct {
	quotas Quotas
	now    func() time.Time

	mu      sync.Mutex
	buckets map[bucket]*rate.Limiter
}

type bucket struct {
	container string // ID
	op        Operation
	streaming bool
}

// NewLimiter returns a Limiter.
func NewLimiter(q Quotas, now func() time.Time) *Limiter {
	return &Limiter{quotas: q, now: now, buckets: map[bucket]*rate.Limiter{}}
}

// Take counts a request, and tells for how long it is too early, in which case it is not counted; 0: it is in time.
func (l *Limiter) Take(containerID string, op Operation, streaming bool) time.Duration {
	quota := l.quotas.of(op, streaming)
	if quota <= 0 {
		return 0
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := bucket{containerID, op, streaming}
	tokens := l.buckets[b]
	if tokens == nil {
		if len(l.buckets) >= maxBuckets {
			clear(l.buckets)
		}
		tokens = rate.NewLimiter(rate.Limit(quota), max(1, int(math.Ceil(quota))))
		l.buckets[b] = tokens
	}
	if tokens.AllowN(now, 1) {
		return 0
	}
	missing := 1 - tokens.TokensAt(now)
	return max(1, time.Duration(missing/quota*float64(time.Second)))
}

// within returns an error when a request is beyond the container's quota.
func (h *Handler) within(w http.ResponseWriter, q *request, streaming bool) error {
	if h.opt.Quotas == nil {
		return nil
	}
	wait := h.opt.Quotas.Take(q.container.ID, q.op, streaming)
	if wait == 0 {
		return nil
	}
	w.Header()["Retry-After"] = []string{strconv.Itoa(int(math.Ceil(wait.Seconds())))}
	return fmt.Errorf("%w: the quota of %s is used up", reply.ErrThrottled, q.op)
}
