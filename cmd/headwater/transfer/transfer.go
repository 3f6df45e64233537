// Package transfer copies objects between a container of a running server and a folder or an S3 bucket.
//
// It speaks to the server as any client does, by MediaStore's data plane, and knows nothing of how the server stores objects.
// It makes no container, and deletes nothing.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Entry is an object that a place has.
type Entry struct {
	Path     string // below the place's own folder or prefix, with slashes, without one at its beginning
	Size     int64  // bytes
	Modified time.Time
}

// Attrs are what a copy keeps of an object besides its bytes; "" is unset.
type Attrs struct {
	ContentType     string `json:"contentType,omitempty"`
	CacheControl    string `json:"cacheControl,omitempty"`
	ContentEncoding string `json:"contentEncoding,omitempty"`
}

// Object is an object that is being read.
type Object struct {
	Entry
	Attrs
	Body io.ReadCloser
}

// Place is where objects are read and written.
type Place interface {
	// List yields what is there, in no certain order. An error stands for something that is not yielded; the sequence may go on.
	List(ctx context.Context) iter.Seq2[Entry, error]
	// Stat returns what is there under a path, or ErrNotFound.
	Stat(ctx context.Context, path string) (Entry, error)
	// Open returns an object, whose body the caller closes.
	Open(ctx context.Context, path string) (*Object, error)
	// Write stores an object, all of it or nothing. It does not close the body.
	Write(ctx context.Context, o *Object) error
	// Check returns the rule that keeps a path from being written, or nil.
	Check(path string) error
}

// ErrNotFound is of Place.Stat.
var ErrNotFound = errors.New("not found")

// ErrLeftOut is of a run that did not copy everything.
var ErrLeftOut = errors.New("not everything was copied")

// Counts of a run so far.
type Counts struct {
	Copied, Skipped, LeftOut int64 // objects
	Bytes                    int64 // that went over, of objects that did not get whole too
}

func (c Counts) String() string {
	return fmt.Sprintf("%d copied (%.1f MB), %d there already, %d left out", c.Copied, float64(c.Bytes)/1e6, c.Skipped, c.LeftOut)
}

// Run copies everything from one place to another.
type Run struct {
	From, To Place
	Parallel int                          // objects at once; at least 1
	All      bool                         // also what is there already
	LeftOut  func(path string, err error) // told of each object that is not copied; "" where the path is not known; one call at a time

	copied, skipped, leftOut, bytes atomic.Int64
	telling                         sync.Mutex // LeftOut is called with it: that is what it is for
}

// Counts may be called while Do runs.
func (r *Run) Counts() Counts {
	return Counts{r.copied.Load(), r.skipped.Load(), r.leftOut.Load(), r.bytes.Load()}
}

// Do copies until all is done or ctx ends. It returns ErrLeftOut when something was not copied, and ctx's cause when it was
// ended before. Objects on their way then are not written.
func (r *Run) Do(ctx context.Context) error {
	entries := make(chan Entry)
	var workers sync.WaitGroup
	for range max(r.Parallel, 1) {
		workers.Go(func() {
			for e := range entries {
				r.one(ctx, e)
			}
		})
	}
	r.feed(ctx, entries)
	close(entries)
	workers.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("ended before everything was copied: %w", context.Cause(ctx))
	}
	if r.leftOut.Load() > 0 {
		return ErrLeftOut
	}
	return nil
}

// feed hands what is listed to the workers.
func (r *Run) feed(ctx context.Context, entries chan<- Entry) {
	for e, err := range r.From.List(ctx) {
		if err != nil {
			r.leave(ctx, e.Path, err)
			continue
		}
		select {
		case entries <- e:
		case <-ctx.Done():
			return
		}
	}
}

// one copies one object, unless it is there already.
func (r *Run) one(ctx context.Context, e Entry) {
	if ctx.Err() != nil {
		return
	}
	switch there, err := r.copy(ctx, e); {
	case err != nil:
		r.leave(ctx, e.Path, err)
	case there:
		r.skipped.Add(1)
	default:
		r.copied.Add(1)
	}
}

// leave tells of an object that is not copied. When the run was ended, that is the reason, and is told once by Do.
func (r *Run) leave(ctx context.Context, path string, err error) {
	if ctx.Err() != nil {
		return
	}
	r.leftOut.Add(1)
	r.telling.Lock()
	defer r.telling.Unlock()
	r.LeftOut(path, err)
}

func (r *Run) copy(ctx context.Context, e Entry) (there bool, err error) {
	if err := r.To.Check(e.Path); err != nil {
		return false, err
	}
	if !r.All {
		old, err := r.To.Stat(ctx, e.Path)
		if err == nil && Same(e, old) {
			return true, nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
	}
	o, err := r.From.Open(ctx, e.Path)
	if err != nil {
		return false, err
	}
	defer o.Body.Close()
	o.Body = &countedBody{o.Body, &r.bytes}
	return false, r.To.Write(ctx, o)
}

// Same reports whether a copy of an object is taken for what the object is now: it has as many bytes and was not modified
// before, in whole seconds, which are what HTTP tells.
func Same(from, to Entry) bool {
	return from.Size == to.Size && to.Modified.Unix() >= from.Modified.Unix()
}

// countedBody counts what is read.
type countedBody struct {
	io.ReadCloser
	total *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.total.Add(int64(n))
	return n, err
}
