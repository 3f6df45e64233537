package playback

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// memo keeps what was made, by key, up to a number of bytes: the least recently used goes first. Each key is made once,
// however many ask for it at once, with no lock held. An error is not kept, and a panic becomes one. Safe for concurrent
// use.
//
// Waiting, for others to make a value or for a slot to make it, ends with the context of who waits. When it is the maker that
// has left before it began, one of the others makes the value.
type memo[K comparable, V any] struct {
	limit int64
	size  func(K, V) int64
	slots chan struct{} // has room for as many values as may be made at once; nil: any number
	spare func(V)       // what to do with a value that is not kept and not used any more; may be nil

	mu      sync.Mutex
	entries map[K]*list.Element
	recent  *list.List // of *memoEntry[K, V], newest first
	used    int64
}

type memoEntry[K comparable, V any] struct {
	key   K
	ready chan struct{} // closed when value and err are set
	value V
	err   error
	size  int64 // 0 until ready
	users int   // holds not released
	gone  bool  // not in entries any more
	lost  bool  // somebody may use the value for ever
}

func newMemo[K comparable, V any](limit int64, size func(K, V) int64) *memo[K, V] {
	return &memo[K, V]{limit: limit, size: size, entries: map[K]*list.Element{}, recent: list.New()}
}

// errLeft means that who was to make a value has left.
var errLeft = errors.New("left before it was made")

// get returns the value of key, produced when it is not kept.
func (m *memo[K, V]) get(ctx context.Context, key K, produce func() (V, error)) (v V, err error) {
	e, err := m.hold(ctx, key, produce)
	if err == nil {
		v = e.value
	}
	return v, err
}

// hold is get for values that are spared: the entry's value is unchanged until release.
func (m *memo[K, V]) hold(ctx context.Context, key K, produce func() (V, error)) (e *memoEntry[K, V], err error) {
	for {
		e, err = m.holdOnce(ctx, key, produce)
		if !errors.Is(err, errLeft) || ctx.Err() != nil {
			return e, err
		}
	}
}

func (m *memo[K, V]) holdOnce(ctx context.Context, key K, produce func() (V, error)) (e *memoEntry[K, V], err error) {
	m.mu.Lock()
	if el := m.entries[key]; el != nil {
		m.recent.MoveToFront(el)
		e := el.Value.(*memoEntry[K, V])
		e.users++
		m.mu.Unlock()
		select {
		case <-e.ready:
			return e, e.err
		case <-ctx.Done():
			m.release(e, false)
			return nil, ctx.Err()
		}
	}
	e = &memoEntry[K, V]{key: key, ready: make(chan struct{}), users: 1}
	el := m.recent.PushFront(e)
	m.entries[key] = el
	m.mu.Unlock()
	defer m.settle(el, e)
	defer func() {
		if p := recover(); p != nil {
			e.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			err = e.err
		}
	}()
	e.value, e.err = m.produce(ctx, produce)
	return e, e.err
}

// produce calls f when there is a slot for it.
func (m *memo[K, V]) produce(ctx context.Context, f func() (V, error)) (v V, err error) {
	if m.slots == nil {
		return f()
	}
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
		return f()
	case <-ctx.Done():
		return v, fmt.Errorf("%w: %w", errLeft, ctx.Err())
	}
}

// release ends a hold. lost says that the value may still be in use somewhere.
func (m *memo[K, V]) release(e *memoEntry[K, V], lost bool) {
	m.mu.Lock()
	e.users--
	e.lost = e.lost || lost
	spared := m.unused(e)
	m.mu.Unlock()
	if spared {
		m.spare(e.value)
	}
}

// unused reports whether the value of e is to be spared now.
func (m *memo[K, V]) unused(e *memoEntry[K, V]) bool {
	return m.spare != nil && e.gone && e.users == 0 && !e.lost && e.err == nil
}

// settle wakes who waits for a new value, accounts for it and makes room.
func (m *memo[K, V]) settle(el *list.Element, e *memoEntry[K, V]) {
	var spared []V
	m.mu.Lock()
	if e.err != nil {
		m.remove(el)
	} else {
		e.size = m.size(e.key, e.value)
		m.used += e.size
		m.recent.MoveToFront(el)
	}
	for el := m.recent.Back(); el != nil && m.used > m.limit; {
		before := el.Prev()
		if old := el.Value.(*memoEntry[K, V]); old.size > 0 { // what is being made is waited for
			m.remove(el)
			if m.unused(old) {
				spared = append(spared, old.value)
			}
		}
		el = before
	}
	close(e.ready)
	m.mu.Unlock()
	for _, v := range spared {
		m.spare(v)
	}
}

func (m *memo[K, V]) remove(el *list.Element) {
	e := m.recent.Remove(el).(*memoEntry[K, V])
	e.gone = true
	delete(m.entries, e.key)
	m.used -= e.size
}
