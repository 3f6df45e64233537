// Package inflight lets objects be read while they are still being written: one writer, any number of readers. A reader gets
// every byte from the first on and follows the writer; it learns whether the object was completed or given up.
//
// It does not decide who may read, keep objects that are complete, or hold their bytes: those are in storage from the
// beginning. A slow reader holds nobody up.
package inflight

import (
	"context"
	"errors"
	"io"
	"sync"

	"headwater/storage"
)

// ErrBroken is what readers get when the writer gives up, after all bytes that came.
var ErrBroken = errors.New("the object was not completed")

// Objects are those on their way in. Safe for concurrent use. The zero value is ready.
type Objects struct {
	mu   sync.Mutex
	open map[storage.Key][]*Writer // those that began later stand later
}

// Writer is an object on its way in: a storage.Upload that others can read once it has a byte. It is for one goroutine.
type Writer struct {
	storage.Upload
	objects *Objects
	key     storage.Key
	attrs   storage.Attrs

	mu      sync.Mutex
	body    storage.Growing // what readers share; nil before the first byte
	users   int             // of body: the writer, and readers
	size    int64
	ended   bool
	whole   bool
	changed chan struct{} // closed with the next change; nil when nobody waits
}

// Begin shows an upload to readers of key, from its first byte on. Of several of one key the one that began last is shown. The
// caller ends the Writer as it would the upload.
func (o *Objects) Begin(key storage.Key, attrs storage.Attrs, up storage.Upload) *Writer {
	w := &Writer{Upload: up, objects: o, key: key, attrs: attrs}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[storage.Key][]*Writer{}
	}
	o.open[key] = append(o.open[key], w)
	return w
}

// Write writes to storage and wakes the readers.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.Upload.Write(p)
	var body storage.Growing
	if w.body == nil && n > 0 { // nobody else sets it
		var failed error
		if body, failed = w.Follow(); failed != nil {
			return n, errors.Join(err, failed)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if body != nil {
		w.body, w.users = body, 1
	}
	w.size += int64(n)
	w.pass()
	return n, err
}

// Commit completes the object. Readers that begin later find it in storage.
func (w *Writer) Commit(ctx context.Context) (storage.Info, error) {
	info, err := w.Upload.Commit(ctx)
	w.end(err == nil)
	return info, err
}

// Abort gives the object up; its readers get ErrBroken.
func (w *Writer) Abort() {
	w.Upload.Abort()
	w.end(false)
}

func (w *Writer) end(whole bool) {
	w.objects.mu.Lock()
	all := w.objects.open[w.key]
	for i := range all {
		if all[i] == w {
			all = append(all[:i:i], all[i+1:]...)
			break
		}
	}
	if w.objects.open[w.key] = all; len(all) == 0 {
		delete(w.objects.open, w.key)
	}
	w.objects.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.ended, w.whole = true, whole
		w.pass()
		if w.body != nil {
			_ = w.leave() // what was read cannot be lost by closing
		}
	}
}

// leave closes the body after its last user. The caller holds mu.
func (w *Writer) leave() error {
	if w.users--; w.users == 0 {
		return w.body.Close()
	}
	return nil
}

// join returns a reader from the first byte on; ok is false when there is none yet, or it has ended.
func (w *Writer) join() (r *Reader, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size == 0 || w.ended {
		return nil, false
	}
	w.users++
	return &Reader{Attrs: w.attrs, writer: w, body: w.body}, true
}

// pass wakes who waits. The caller holds mu.
func (w *Writer) pass() {
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// progress returns how much has been written and whether that is all; changed is closed with the next change.
func (w *Writer) progress() (size int64, ended, whole bool, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.size, w.ended, w.whole, w.changed
}

// Open returns a reader of the object that is being written under key; ok is false when there is none that has a byte.
func (o *Objects) Open(key storage.Key) (r *Reader, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.open[key]
	for i := len(all) - 1; i >= 0; i-- {
		if r, ok := all[i].join(); ok {
			return r, true
		}
	}
	return nil, false
}

// Reader reads an object from its beginning while it is written.
type Reader struct {
	Attrs  storage.Attrs
	writer *Writer
	body   storage.Growing
	at     int64
}

// Read returns what has come, and waits where nothing has: for the writer, or until ctx ends. At the end it returns io.EOF, or
// ErrBroken when the object was given up.
func (r *Reader) Read(ctx context.Context, p []byte) (int, error) {
	for {
		size, ended, whole, changed := r.writer.progress()
		if left := size - r.at; left > 0 {
			n, err := r.body.ReadAt(p[:min(int64(len(p)), left)], r.at)
			r.at += int64(n)
			if n > 0 {
				return n, nil
			}
			return 0, err
		}
		if ended {
			if whole {
				return 0, io.EOF
			}
			return 0, ErrBroken
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Close ends the reader, once.
func (r *Reader) Close() error {
	r.writer.mu.Lock()
	defer r.writer.mu.Unlock()
	return r.writer.leave()
}
