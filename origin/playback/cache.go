package playback

import (
	"container/list"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// This file is where caching headers are set: the one table of reference mediapackage.md 3d.

// class is what a response is to a cache.
type class uint8

const (
	classManifest  class = iota + 1 // changes with every segment
	classFinished                   // a manifest that never changes again
	classImmutable                  // segments, fragments, init segments
	classNever                      // the time of day
)

// forever is how long CDNs may keep what never changes: MediaPackage's 14 days, and its longest start-over window.
const forever = 14 * 24 * time.Hour

// cacheControl returns the Cache-Control of a class; step is the duration of a segment.
func cacheControl(c class, step time.Duration) string {
	switch c {
	case classManifest:
		return "max-age=" + seconds(max(time.Second, step/2))
	case classFinished:
		return "max-age=" + seconds(time.Minute)
	case classImmutable:
		return "max-age=" + seconds(forever) + ", immutable"
	default:
		return "no-store"
	}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// setHeaders sets what a cache needs to know. etag is the value without quotes, "" for none.
func setHeaders(h http.Header, c class, step time.Duration, contentType, etag string, modified time.Time) {
	h["Cache-Control"] = []string{cacheControl(c, step)}
	h["Content-Type"] = []string{contentType}
	if etag != "" {
		h["Etag"] = []string{`"` + etag + `"`}
	}
	if !modified.IsZero() {
		h["Last-Modified"] = []string{modified.UTC().Format(http.TimeFormat)}
	}
}

// memo keeps what was rendered, by key, up to a number of bytes: the least recently used goes first. Each key is rendered
// once, however many ask for it at once, with no lock held. An error is not kept.
type memo[K comparable, V any] struct {
	limit int64
	size  func(V) int64

	mu      sync.Mutex
	entries map[K]*list.Element
	recent  *list.List // of *memoEntry[K, V], newest first
	used    int64
}

type memoEntry[K comparable, V any] struct {
	key   K
	once  sync.Once
	value V
	err   error
	size  int64
}

func newMemo[K comparable, V any](limit int64, size func(V) int64) *memo[K, V] {
	return &memo[K, V]{limit: limit, size: size, entries: map[K]*list.Element{}, recent: list.New()}
}

// get returns the value of key, made by render when it is not kept.
func (m *memo[K, V]) get(key K, render func() (V, error)) (V, error) {
	m.mu.Lock()
	el := m.entries[key]
	if el == nil {
		el = m.recent.PushFront(&memoEntry[K, V]{key: key})
		m.entries[key] = el
	} else {
		m.recent.MoveToFront(el)
	}
	m.mu.Unlock()
	e := el.Value.(*memoEntry[K, V])
	e.once.Do(func() {
		e.value, e.err = render()
		m.rendered(el, e)
	})
	return e.value, e.err
}

// rendered accounts for a new value and makes room.
func (m *memo[K, V]) rendered(el *list.Element, e *memoEntry[K, V]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries[e.key] != el {
		return // made room for in the meantime
	}
	if e.err != nil {
		m.remove(el)
		return
	}
	e.size = m.size(e.value)
	m.used += e.size
	for m.used > m.limit && m.recent.Len() > 1 {
		m.remove(m.recent.Back())
	}
}

func (m *memo[K, V]) remove(el *list.Element) {
	e := m.recent.Remove(el).(*memoEntry[K, V])
	delete(m.entries, e.key)
	m.used -= e.size
}
