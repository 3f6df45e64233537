// Package storage keeps bytes under keys, and an append-only journal per stream of records.
//
// Store is the concrete type that the rest of Headwater uses; Driver, Index and Journal are the small contracts that an engine
// implements, each with a conformance suite in storagetest. It knows nothing of media, HTTP or who may do what.
package storage

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Errors that every engine returns (wrapped) and a caller can match with errors.Is.
var (
	ErrNotFound   = errors.New("object not found")
	ErrInvalidKey = errors.New("invalid key")
	ErrNoSpace    = errors.New("no space left in storage") // HTTP 507
	ErrIO         = errors.New("storage i/o error")        // HTTP 503
	ErrTrimmed    = errors.New("journal position trimmed")
	ErrClosed     = errors.New("storage closed")
)

// Key names an object: Container is MediaStore's named namespace ("live" holds the media of channels), Path the
// object's path in it, elements separated by single slashes.
type Key struct{ Container, Path string }

// String returns "container:path", for logs and errors.
func (k Key) String() string { return k.Container + ":" + k.Path }

// Attrs are what is remembered beside an object's bytes. The zero Attrs costs nothing to keep.
type Attrs struct {
	ContentType  string
	CacheControl string
	ETag         string            // opaque, as the writer chose it
	Meta         map[string]string // small: at most 2 KiB in all
}

// Info describes a stored object.
type Info struct {
	Key      Key
	Size     int64     // bytes
	Modified time.Time // when it was committed
	Attrs    Attrs
}

// Object is an open stored object. Body of the file engine is an *os.File, so that net/http can use sendfile. An object
// that is deleted or replaced while it is open stays readable, unchanged, until it is closed.
type Object struct {
	Info
	Body interface {
		io.ReadSeekCloser
		io.ReaderAt
	}
}

// Growing reads what an Upload has written so far. Beyond that ReadAt returns io.EOF with what there is. It is good until it is
// closed, also after the upload has ended.
type Growing interface {
	io.ReaderAt
	io.Closer
}

// Upload is an object on its way in. Nothing of it is visible until Commit returns nil; a replaced object stays whole
// until then. Exactly one of Commit and Abort ends an upload; Abort after either is a no-op. Not for concurrent use, save for
// what Follow returned.
type Upload interface {
	io.Writer
	// Follow opens what has been written, and will be, for reading; ErrClosed after the end.
	Follow() (Growing, error)
	// Commit makes the object durable and visible at once. On error nothing has changed.
	Commit(ctx context.Context) (Info, error)
	// Abort drops what was written.
	Abort()
}

// Caps tells how an engine differs, as data.
type Caps struct {
	Name       string
	Persistent bool // survives the process
	SharedBody bool // Object.Body is an *os.File
}

// Driver is what an engine implements for objects. All methods are safe for concurrent use. Keys are already valid.
// Errors wrap one of this package's errors, or the context's.
type Driver interface {
	Create(ctx context.Context, key Key, attrs Attrs) (Upload, error)
	Open(ctx context.Context, key Key) (*Object, error)
	Stat(ctx context.Context, key Key) (Info, error)
	Delete(ctx context.Context, key Key) error // deleting what is absent is ErrNotFound
	// List yields the objects of a container whose path begins with prefix and is greater than after, in byte order of
	// path. Iteration ends after the first error.
	List(ctx context.Context, container, prefix, after string) iter.Seq2[Info, error]
	Caps() Caps
}

// Index is what an engine implements for containers in which every object has attributes and that may hold millions.
type Index interface {
	// Attributed is Driver.List for the objects that have attributes. What it costs depends on how many are yielded, not on
	// how many there are.
	Attributed(ctx context.Context, container, prefix, after string) iter.Seq2[Info, error]
}

// Remover is what an engine implements for those who remove what they looked at before, such as objects that have expired.
type Remover interface {
	// DeleteVersion is Driver.Delete of the version that info describes: by its key, the time of its commit and its ETag. When
	// that is no longer the object it returns ErrNotFound, and nothing has changed.
	DeleteVersion(ctx context.Context, info Info) error
}

// Position is a place in a stream of the journal. Positions grow by one per record, from 1.
type Position uint64

// Journal is what an engine implements for records. A stream is an ordered list of records; streams are independent.
// All methods are safe for concurrent use.
type Journal interface {
	// Append adds records in order, all or none, durable when it returns, and returns the position of the last.
	Append(ctx context.Context, stream string, records ...[]byte) (Position, error)
	// Read yields the stream's records from position from (0 or 1: from its beginning) to its present end. When from
	// has been trimmed it begins with the oldest that is left. The slice is the caller's to keep.
	Read(ctx context.Context, stream string, from Position) iter.Seq2[Record, error]
	// Trim forgets records before position before.
	Trim(ctx context.Context, stream string, before Position) error
	// Streams lists the names of streams that hold or have held records, sorted.
	Streams(ctx context.Context) ([]string, error)
	// Drop forgets a stream altogether.
	Drop(ctx context.Context, stream string) error
}

// Record is one entry of a journal stream.
type Record struct {
	Position Position
	Data     []byte
}
