package ingest

import "slices"

// recent is a map that keeps the names that were set last, bounded in number and in bytes.
type recent[V any] struct {
	most  int
	bytes int // 0: not bounded
	used  int // bytes
	m     map[string]V
	sizes map[string]int
	order []string // oldest first
}

func newRecent[V any](most, bytes int) recent[V] {
	return recent[V]{most: most, bytes: bytes, m: map[string]V{}, sizes: map[string]int{}}
}

// set remembers v, which takes size bytes, and returns the names that had to go for it.
func (r *recent[V]) set(name string, v V, size int) (gone []string) {
	r.remove(name)
	size += len(name)
	for len(r.order) > 0 && (len(r.m) >= r.most || r.bytes > 0 && r.used+size > r.bytes) {
		gone = append(gone, r.order[0])
		r.remove(r.order[0])
	}
	r.m[name], r.sizes[name] = v, size
	r.used += size
	r.order = append(r.order, name)
	return gone
}

func (r *recent[V]) remove(name string) {
	if _, have := r.m[name]; !have {
		return
	}
	r.used -= r.sizes[name]
	delete(r.m, name)
	delete(r.sizes, name)
	i := slices.Index(r.order, name)
	r.order = slices.Delete(r.order, i, i+1)
}

func (r *recent[V]) has(name string) bool {
	_, ok := r.m[name]
	return ok
}
