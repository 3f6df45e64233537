package storage

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"
)

// copyBuffer is the size in bytes of the buffers that Put copies through; one is in use per running Put.
const copyBuffer = 128 << 10

// Operation tells an observer what was done.
type Operation struct {
	Name     string        // "put", "abort", "open", "stat", "delete" or "list"
	Key      Key           // of a list: Path is the prefix
	Bytes    int64         // put and abort: written; open: the object's size; else 0
	Duration time.Duration // put and abort: from Create; list: to the end of the iteration
	Err      error         // nil when it worked (or the caller changed its mind: abort), else what the caller got
}

// Options of a Store. The zero value observes nothing.
type Options struct {
	// Observe is called once when an operation ends, on the caller's goroutine, so it must be quick. May be nil.
	Observe func(Operation)
	// Now is the clock that measures durations; nil is time.Now.
	Now func() time.Time
}

// Store is what the rest of Headwater keeps objects in: any Driver, with keys and attributes checked before it sees them
// and errors wrapped once with operation and key. Its methods are those of Driver, so a Store is a Driver too, plus Put.
// Safe for concurrent use. It does not cache and does not decide who may do what.
type Store struct {
	driver  Driver
	observe func(Operation)
	now     func() time.Time
	buffers sync.Pool // of *[]byte, copyBuffer long
}

// New returns a Store over driver.
func New(driver Driver, opts Options) *Store {
	s := &Store{driver: driver, observe: opts.Observe, now: opts.Now}
	if s.observe == nil {
		s.observe = func(Operation) {}
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.buffers.New = func() any { b := make([]byte, copyBuffer); return &b }
	return s
}

// Put stores all that r yields until io.EOF under key, replacing what was there. When r fails in any other way (also
// io.ErrUnexpectedEOF, which a request body that was cut off gives) or ctx ends before r does, nothing has changed and the
// error wraps the reader's or the context's. Once r has ended the object is committed even if ctx ends then: some encoders
// close the connection after the last byte without waiting for the answer, which cancels a request's context.
func (s *Store) Put(ctx context.Context, key Key, attrs Attrs, r io.Reader) (Info, error) {
	up, err := s.create(ctx, key, attrs)
	if err != nil {
		return Info{}, err
	}
	if err := s.copy(ctx, up.up, r, &up.bytes); err != nil {
		up.cause = failure("put", key, err)
		up.Abort()
		return Info{}, up.cause
	}
	return up.Commit(context.WithoutCancel(ctx))
}

// copy moves r's bytes to w, checking ctx before each read, and adds what was written to count.
func (s *Store) copy(ctx context.Context, w io.Writer, r io.Reader, count *int64) error {
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(*buf)
		if n < 0 || n > len(*buf) {
			return fmt.Errorf("reader claims to have read %d bytes into %d", n, len(*buf))
		}
		if n > 0 {
			written, werr := w.Write((*buf)[:n])
			*count += int64(written)
			if werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read body: %w", err)
		}
	}
}

// Create begins an object. See Upload; errors wrap ErrInvalidKey, ErrInvalidAttrs, or the engine's.
func (s *Store) Create(ctx context.Context, key Key, attrs Attrs) (Upload, error) {
	up, err := s.create(ctx, key, attrs)
	if err != nil {
		return nil, err
	}
	return up, nil
}

func (s *Store) create(ctx context.Context, key Key, attrs Attrs) (*storeUpload, error) {
	start := s.now()
	err := key.Validate()
	if err == nil {
		err = attrs.validate()
	}
	var up Upload
	if err == nil {
		up, err = s.driver.Create(ctx, key, attrs)
	}
	if err != nil {
		err = failure("put", key, err)
		s.done("put", key, 0, start, err)
		return nil, err
	}
	return &storeUpload{store: s, up: up, key: key, start: start}, nil
}

// Open opens an object; the caller closes its Body. ErrNotFound when there is none.
func (s *Store) Open(ctx context.Context, key Key) (*Object, error) {
	start := s.now()
	err := key.Validate()
	var obj *Object
	if err == nil {
		obj, err = s.driver.Open(ctx, key)
	}
	if err != nil {
		err = failure("open", key, err)
		s.done("open", key, 0, start, err)
		return nil, err
	}
	s.done("open", key, obj.Size, start, nil)
	return obj, nil
}

// Stat describes an object. ErrNotFound when there is none.
func (s *Store) Stat(ctx context.Context, key Key) (Info, error) {
	start := s.now()
	err := key.Validate()
	var info Info
	if err == nil {
		info, err = s.driver.Stat(ctx, key)
	}
	err = failure("stat", key, err)
	s.done("stat", key, 0, start, err)
	return info, err
}

// Delete removes an object; whoever has it open can go on reading. ErrNotFound when there is none.
func (s *Store) Delete(ctx context.Context, key Key) error {
	start := s.now()
	err := key.Validate()
	if err == nil {
		err = s.driver.Delete(ctx, key)
	}
	err = failure("delete", key, err)
	s.done("delete", key, 0, start, err)
	return err
}

// List yields the objects of a container as Driver.List does. An unknown container is an empty one.
func (s *Store) List(ctx context.Context, container, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		start, key := s.now(), Key{Container: container, Path: prefix}
		var failed error
		defer func() { s.done("list", key, 0, start, failed) }()
		if err := ValidateContainer(container); err != nil {
			failed = failure("list", key, err)
			yield(Info{}, failed)
			return
		}
		for info, err := range s.driver.List(ctx, container, prefix, after) {
			if err != nil {
				failed = failure("list", key, err)
				yield(Info{}, failed)
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Caps returns the engine's.
func (s *Store) Caps() Caps { return s.driver.Caps() }

func (s *Store) done(name string, key Key, bytes int64, start time.Time, err error) {
	s.observe(Operation{Name: name, Key: key, Bytes: bytes, Duration: s.now().Sub(start), Err: err})
}

// storeUpload counts and wraps for an Upload of the engine.
type storeUpload struct {
	store *Store
	up    Upload
	key   Key
	start time.Time
	bytes int64
	cause error // why it cannot be committed, if known
	ended bool
}

func (u *storeUpload) Write(p []byte) (int, error) {
	n, err := u.up.Write(p)
	u.bytes += int64(n)
	if err != nil {
		u.cause = failure("put", u.key, err)
		return n, u.cause
	}
	return n, nil
}

func (u *storeUpload) Follow() (Growing, error) {
	g, err := u.up.Follow()
	return g, failure("follow", u.key, err)
}

func (u *storeUpload) Commit(ctx context.Context) (Info, error) {
	info, err := u.up.Commit(ctx)
	err = failure("put", u.key, err)
	if !u.ended {
		u.ended = true
		u.store.done("put", u.key, u.bytes, u.start, err)
	}
	return info, err
}

func (u *storeUpload) Abort() {
	u.up.Abort()
	if !u.ended {
		u.ended = true
		u.store.done("abort", u.key, u.bytes, u.start, u.cause)
	}
}

// Error is what a Store returns: which operation failed on which key, and why. Match the cause with errors.Is.
type Error struct {
	Op  string // as Operation.Name
	Key Key
	Err error
}

// Error returns operation, quoted key and cause.
func (e *Error) Error() string {
	key := e.Key.String()
	if len(key) > maxContainer+maxPath+1 { // an invalid key can be any length
		key = key[:maxContainer+maxPath+1]
	}
	return fmt.Sprintf("storage %s %q: %v", e.Op, key, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// failure wraps err, or returns nil for nil.
func failure(op string, key Key, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Key: key, Err: err}
}
