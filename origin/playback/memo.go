package playback

import (
	"container/list"
	"fmt"
	"runtime/debug"
	"sync"
)

// memo keeps what was made, by key, up to a number of bytes: the least recently used goes first. Each key is made once,
// however many ask for it at once, with no lock held. An error is not kept, and a panic becomes one. Safe for concurrent
// use.
type memo[K comparable, V any] struct {
	limit int64
	size  func(K, V) int64

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
}

func newMemo[K comparable, V any](limit int64, size func(K, V) int64) *memo[K, V] {
	return &memo[K, V]{limit: limit, size: size, entries: map[K]*list.Element{}, recent: list.New()}
}

// get returns the value of key, produced when it is not kept.
func (m *memo[K, V]) get(key K, produce func() (V, error)) (value V, err error) {
	m.mu.Lock()
	if el := m.entries[key]; el != nil {
		m.recent.MoveToFront(el)
		m.mu.Unlock()
		e := el.Value.(*memoEntry[K, V])
		<-e.ready
		return e.value, e.err
	}
	e := &memoEntry[K, V]{key: key, ready: make(chan struct{})}
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
	e.value, e.err = produce()
	return e.value, e.err
}

// settle wakes who waits for a new value, accounts for it and makes room.
func (m *memo[K, V]) settle(el *list.Element, e *memoEntry[K, V]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer close(e.ready)
	if e.err != nil {
		m.remove(el)
		return
	}
	e.size = m.size(e.key, e.value)
	m.used += e.size
	m.recent.MoveToFront(el)
	for el := m.recent.Back(); el != nil && m.used > m.limit; {
		before := el.Prev()
		if el.Value.(*memoEntry[K, V]).size > 0 { // what is being made is waited for
			m.remove(el)
		}
		el = before
	}
}

func (m *memo[K, V]) remove(el *list.Element) {
	e := m.recent.Remove(el).(*memoEntry[K, V])
	delete(m.entries, e.key)
	m.used -= e.size
}
