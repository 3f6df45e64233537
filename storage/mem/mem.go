// Package mem is a storage engine in memory, for tests and for trying things out. It does not keep anything beyond the
// process, does not limit what it holds and does not check keys (storage.Store does).
package mem

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"headwater/storage"
)

// Engine is a storage.Driver and a storage.Journal. Safe for concurrent use.
type Engine struct {
	now func() time.Time

	mu      sync.RWMutex
	objects map[storage.Key]object
	streams map[string]*stream
}

// object is immutable once it is in the map.
type object struct {
	info storage.Info
	data []byte
}

// stream holds the records at positions first to first+len(records)-1.
type stream struct {
	first   storage.Position
	records [][]byte
}

// Engine implements all contracts.
var (
	_ storage.Driver  = (*Engine)(nil)
	_ storage.Journal = (*Engine)(nil)
	_ storage.Index   = (*Engine)(nil)
	_ storage.Remover = (*Engine)(nil)
)

// New returns an empty Engine; now gives an object's time of commit.
func New(now func() time.Time) *Engine {
	return &Engine{now: now, objects: map[storage.Key]object{}, streams: map[string]*stream{}}
}

// Caps of this engine.
func (e *Engine) Caps() storage.Caps { return storage.Caps{Name: "mem"} }

// upload collects bytes until they become an object.
type upload struct {
	engine *Engine
	info   storage.Info
	ended  bool

	mu   sync.Mutex // of data, which is read while it grows
	data []byte
}

// Create begins an object.
func (e *Engine) Create(ctx context.Context, key storage.Key, attrs storage.Attrs) (storage.Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &upload{engine: e, info: storage.Info{Key: key, Attrs: clone(attrs)}}, nil
}

func (u *upload) Write(p []byte) (int, error) {
	if u.ended {
		return 0, fmt.Errorf("%w: upload has ended", storage.ErrClosed)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.data = append(u.data, p...)
	return len(p), nil
}

// Follow reads what has been written.
func (u *upload) Follow() (storage.Growing, error) {
	if u.ended {
		return nil, fmt.Errorf("%w: upload has ended", storage.ErrClosed)
	}
	return growing{u}, nil
}

// growing reads an upload's bytes, which stay when it has ended.
type growing struct{ *upload }

func (g growing) ReadAt(p []byte, at int64) (int, error) {
	g.mu.Lock()
	data := g.data
	g.mu.Unlock()
	return bytes.NewReader(data).ReadAt(p, at)
}

func (growing) Close() error { return nil }

func (u *upload) Commit(ctx context.Context) (storage.Info, error) {
	if u.ended {
		return storage.Info{}, fmt.Errorf("%w: upload has ended", storage.ErrClosed)
	}
	u.ended = true
	if err := ctx.Err(); err != nil {
		return storage.Info{}, err
	}
	u.info.Size, u.info.Modified = int64(len(u.data)), u.engine.now().UTC()
	u.engine.mu.Lock()
	defer u.engine.mu.Unlock()
	u.engine.objects[u.info.Key] = object{info: u.info, data: u.data}
	return cloneInfo(u.info), nil
}

func (u *upload) Abort() { u.ended = true }

// body lets an object's bytes be closed, which does nothing.
type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

// Open opens an object.
func (e *Engine) Open(ctx context.Context, key storage.Key) (*storage.Object, error) {
	o, err := e.get(ctx, key)
	if err != nil {
		return nil, err
	}
	return &storage.Object{Info: cloneInfo(o.info), Body: body{bytes.NewReader(o.data)}}, nil
}

// Stat describes an object.
func (e *Engine) Stat(ctx context.Context, key storage.Key) (storage.Info, error) {
	o, err := e.get(ctx, key)
	return cloneInfo(o.info), err
}

func (e *Engine) get(ctx context.Context, key storage.Key) (object, error) {
	if err := ctx.Err(); err != nil {
		return object{}, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	o, ok := e.objects[key]
	if !ok {
		return object{}, storage.ErrNotFound
	}
	return o, nil
}

// Delete removes an object.
func (e *Engine) Delete(ctx context.Context, key storage.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.objects[key]; !ok {
		return storage.ErrNotFound
	}
	delete(e.objects, key)
	return nil
}

// DeleteVersion removes an object unless it was replaced.
func (e *Engine) DeleteVersion(ctx context.Context, info storage.Info) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	o, ok := e.objects[info.Key]
	if !ok || !o.info.Modified.Equal(info.Modified) || o.info.Attrs.ETag != info.Attrs.ETag {
		return storage.ErrNotFound
	}
	delete(e.objects, info.Key)
	return nil
}

// List yields what was there when the iteration began.
func (e *Engine) List(ctx context.Context, container, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		var found []storage.Info
		e.mu.RLock()
		for key, o := range e.objects {
			if key.Container == container && strings.HasPrefix(key.Path, prefix) && key.Path > after {
				found = append(found, o.info)
			}
		}
		e.mu.RUnlock()
		slices.SortFunc(found, func(a, b storage.Info) int { return strings.Compare(a.Key.Path, b.Key.Path) })
		if err := ctx.Err(); err != nil {
			yield(storage.Info{}, err)
			return
		}
		for _, info := range found {
			if err := ctx.Err(); err != nil {
				yield(storage.Info{}, err)
				return
			}
			if !yield(cloneInfo(info), nil) {
				return
			}
		}
	}
}

// Attributed is List for objects with attributes.
func (e *Engine) Attributed(ctx context.Context, container, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		for info, err := range e.List(ctx, container, prefix, after) {
			if (err != nil || !info.Attrs.IsZero()) && !yield(info, err) {
				return
			}
		}
	}
}

func clone(a storage.Attrs) storage.Attrs {
	a.Meta = maps.Clone(a.Meta)
	return a
}

func cloneInfo(info storage.Info) storage.Info {
	info.Attrs = clone(info.Attrs)
	return info
}
