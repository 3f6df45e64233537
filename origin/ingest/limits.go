package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"headwater/origin/channel"
	"headwater/origin/reply"
)

// This file is what one channel may ask of the server, so that its flood leaves the others alone. What is refused before its
// body is read costs next to nothing. Bytes beyond the bitrate are first read more slowly, since an encoder does not send
// again what was refused.

// Errors of the limits that have no other: 429, and Retry-After says when to come back.
var (
	ErrBitrate     = errors.New("the bitrate of the channel is used up")
	ErrRequestRate = errors.New("too many requests per second to the channel")
	ErrConcurrent  = errors.New("too many requests at a time to the channel")
)

const (
	bitrateOver     = 30 * time.Second // over which the bitrate is averaged: several segments, and what an encoder has cached
	requestRateOver = 5 * time.Second  // the same of requests: those of a whole ladder come at once
	longestSlowed   = 10 * time.Second // for how long an upload is read more slowly before it is refused
	mostAtOnce      = 64 << 10         // bytes of a read that counts: what one waits for, and less than any burst
	refusedGrace    = 2 * time.Second  // how long the body may take to come of a request that is refused unread
	tellEvery       = 10 * time.Second // how often a limit that is exceeded all the time is told of
	useOver         = 10 * time.Second // over which the use of rates is measured
)

// limitError refuses what exceeds a limit of its channel. It matches its rule.
type limitError struct {
	rule  error
	key   string // of the configuration, below limits
	text  string
	after time.Duration // when there is room again; at least a second is told
}

func (e *limitError) Error() string {
	return fmt.Sprintf("%v: %s (limits.%s)", e.rule, e.text, e.key)
}

func (e *limitError) Unwrap() error { return e.rule }

// retryAfter tells a client when to come back that exceeded a limit of rates.
func retryAfter(w http.ResponseWriter, err error) {
	var l *limitError
	if errors.As(err, &l) {
		seconds := max(1, int((l.after+time.Second-1)/time.Second))
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
}

// gate counts what one channel asks for. The zero gate lets everything through.
type gate struct {
	mu       sync.Mutex
	limits   channel.Limits // zero fields: none
	requests *rate.Limiter  // nil: none
	bytes    *rate.Limiter  // nil: none
	open     int            // requests under way
	asked    flow
	took     flow
	told     map[string]time.Time // when a key of the configuration was last told of
}

// adopt puts limits in force, also for what is under way.
func (g *gate) adopt(l channel.Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l == g.limits {
		return
	}
	g.limits = l
	g.requests = limiter(float64(l.RequestRate), requestRateOver)
	g.bytes = limiter(float64(l.Bitrate)/8, bitrateOver)
}

// limiter returns what allows a rate per second, averaged over a time; nil for 0, which is no limit.
func limiter(perSecond float64, over time.Duration) *rate.Limiter {
	if perSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(perSecond*over.Seconds()))
}

// inForce returns the limits.
func (g *gate) inForce() channel.Limits {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits
}

// enter lets a request in, until leave is called. Errors: ErrRequestRate, ErrConcurrent.
func (g *gate) enter(now time.Time) (leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked.add(1, now)
	if g.requests != nil && !g.requests.AllowN(now, 1) {
		return nil, &limitError{ErrRequestRate, "max_request_rate", fmt.Sprintf("%d are allowed", g.limits.RequestRate), time.Second}
	}
	if most := g.limits.Concurrent; most > 0 && g.open >= most {
		return nil, &limitError{ErrConcurrent, "max_concurrent", fmt.Sprintf("%d are allowed", most), time.Second}
	}
	g.open++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.open--
	}, nil
}

// take counts n bytes of an upload, at most mostAtOnce, and returns how long to wait before it goes on. slowed is for how long
// each of its reads has had to wait. An upload that has ended waits as well, but nothing is gained by refusing it. Errors:
// ErrBitrate. What is refused does not count, nor what would have others wait for longer than longestSlowed.
func (g *gate) take(n int, slowed time.Duration, ended bool, now time.Time) (wait time.Duration, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.took.add(n, now)
	if g.bytes == nil {
		return 0, nil
	}
	r := g.bytes.ReserveN(now, n)
	wait = r.DelayFrom(now)
	if slowed+wait <= longestSlowed {
		return wait, nil
	}
	r.CancelAt(now)
	if ended {
		return max(0, longestSlowed-slowed), nil
	}
	return 0, &limitError{ErrBitrate, "max_bitrate", fmt.Sprintf("%d bit/s are allowed over %v, and the upload was read more slowly for %v",
		g.limits.Bitrate, bitrateOver, slowed.Round(time.Second)), wait}
}

// tells reports whether a limit that was exceeded is to be told of, not only counted.
func (g *gate) tells(key string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at, ok := g.told[key]; ok && now.Sub(at) < tellEvery {
		return false
	}
	if g.told == nil {
		g.told = map[string]time.Time{}
	}
	g.told[key] = now
	return true
}

// slow makes the bytes of a read count, and waits while there are too many.
func (b *patientBody) slow(n int, ended bool) error {
	if b.gate == nil || n == 0 {
		return nil
	}
	now := time.Now()
	slowed := time.Duration(0)
	if !b.slowedAt.IsZero() {
		slowed = now.Sub(b.slowedAt)
	}
	wait, err := b.gate.take(n, slowed, ended, now)
	switch {
	case err != nil:
		return err
	case wait <= 0:
		b.slowedAt = time.Time{}
		return nil
	case b.slowedAt.IsZero():
		b.slowedAt = now
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	}
}

// limitsOf returns the limits of a channel, with those of the server where it has none.
func (h *Handler) limitsOf(ch *channel.Channel) channel.Limits {
	l := ch.Limits
	l.Tracks = cmp.Or(l.Tracks, maxTracks)
	l.Upload = cmp.Or(l.Upload, h.opt.MaxUpload)
	l.Idle = cmp.Or(l.Idle, h.opt.Idle)
	return l
}

// enter lets a request of an encoder in, until leave is called, before its body is read. What is uploaded makes its channel
// where that is allowed; what else is asked for of a channel that nothing was pushed to has no limit, and costs nothing.
func (h *Handler) enter(r *http.Request, id channel.ID) (leave func(), err error) {
	var t *intake
	if r.Method == http.MethodPut || r.Method == http.MethodPost {
		t, err = h.intake(context.WithoutCancel(r.Context()), id)
	} else {
		t = h.known(id)
	}
	if t == nil {
		return func() {}, err
	}
	return t.gate.enter(time.Now())
}

// overLimit refuses a request unread that exceeds a limit of its channel.
func (h *Handler) overLimit(w http.ResponseWriter, r *http.Request, id channel.ID, input int, name string, err *limitError) {
	now := time.Now()
	_ = http.NewResponseController(w).SetReadDeadline(now.Add(refusedGrace))
	reason := reply.Describe(r.Context(), err).Reason
	h.seen.Rejected(id, reason)
	switch t := h.known(id); {
	case t == nil:
	case t.gate.tells(err.key, now):
		t.reject(input, refusal(name, reason, err, h.opt.Now()))
		h.log(r, id, input, name).Warn("requests rejected", "reason", reason, "client", r.RemoteAddr, "error", err)
	default:
		t.countRejected(input)
	}
	retryAfter(w, err)
	reply.WriteKnown(w, r, err)
}

// LimitUse is a limit of a channel and how much of it is in use; a Limit of 0 is none.
type LimitUse struct {
	Name       string // its key in the configuration, below limits
	Limit, Use int64
}

// use returns the limits that something is in use of, and how much: rates over the last useOver.
func (t *intake) use() []LimitUse {
	tracks := int64(0)
	for _, tr := range t.tl.State().Tracks {
		if tr.Segments > 0 {
			tracks++
		}
	}
	g, now := &t.gate, time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	return []LimitUse{
		{"max_bitrate", g.limits.Bitrate, int64(8 * g.took.perSecond(now))},
		{"max_request_rate", int64(g.limits.RequestRate), int64(math.Ceil(g.asked.perSecond(now)))},
		{"max_concurrent", int64(g.limits.Concurrent), int64(g.open)},
		{"max_tracks", int64(g.limits.Tracks), tracks},
	}
}

// flow measures a rate over useOver.
type flow struct {
	began     time.Time // of the time at hand
	n, before int       // in it, and in the one before
}

func (f *flow) add(n int, now time.Time) {
	f.roll(now)
	f.n += n
}

func (f *flow) roll(now time.Time) {
	switch gone := now.Sub(f.began); {
	case gone >= 2*useOver:
		*f = flow{began: now}
	case gone >= useOver:
		*f = flow{began: f.began.Add(useOver), before: f.n}
	}
}

// perSecond returns the rate over the last useOver.
func (f *flow) perSecond(now time.Time) float64 {
	f.roll(now)
	left := 1 - now.Sub(f.began).Seconds()/useOver.Seconds() // of the time before that counts
	return (float64(f.n) + float64(f.before)*left) / useOver.Seconds()
}
