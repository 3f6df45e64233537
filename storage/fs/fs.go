// Package fs is the default storage engine: one file per object in a directory of its own, and one bbolt database beside
// them for the journal and for attributes.
//
// An object is written to a temporary file on the same file system, synced, renamed into place, and its directory is
// synced, so a kill or a power cut at any moment leaves the old object or the new one. docs/formats/storage.md describes
// the layout. The package does not cache, does not check keys (storage.Store does) and does not share a directory between
// processes.
package fs

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"headwater/storage"
)

// ErrInUse says that another process (or another Engine of this one) has the directory open.
var ErrInUse = errors.New("storage directory is in use by another process")

// ErrFormat says that the directory was written by a version whose layout this one does not know.
var ErrFormat = errors.New("unknown storage format")

// Layout of the directory, and how bbolt is opened.
const (
	databaseName = "meta.db"
	objectsDir   = "objects/"
	tempDir      = "tmp/"
	formatName   = "1"

	lockTimeout = time.Second
	initialMmap = 64 << 20 // bytes of address space, so that growth seldom has to wait for readers
)

// Options of Open. The zero value is the safe choice.
type Options struct {
	// NoSync leaves it to the operating system when bytes reach the disk, for objects and for the journal. What was
	// acknowledged then survives the death of the process but not that of the machine.
	NoSync bool
	// Now gives an object's time of commit; nil is time.Now.
	Now func() time.Time
	// Logger tells of what was cleaned up; nil is silent.
	Logger *slog.Logger

	maxDatabase int                   // bytes, for tests of a full disk; 0 is no limit
	fault       func(op string) error // for tests: called before a step that can fail; its error becomes the step's
}

// Engine is a storage.Driver and a storage.Journal on one directory. Safe for concurrent use.
type Engine struct {
	opts   Options
	root   *os.Root
	db     *bbolt.DB
	writes *committer
	tick   time.Duration // granularity of the file system's modification times

	handles  handles
	locks    keyLocks
	dirs     sync.RWMutex  // shared: rename into a directory; exclusive: make and remove directories
	tempName atomic.Uint64 // last name used in tempDir
	dropped  atomic.Uint64 // counts attribute candidates that were dropped, see attrs.go
}

// Engine implements all contracts.
var (
	_ storage.Driver  = (*Engine)(nil)
	_ storage.Journal = (*Engine)(nil)
	_ storage.Index   = (*Engine)(nil)
	_ storage.Remover = (*Engine)(nil)
)

// Open opens or makes the store in dir. It removes what uploads left behind when the process was killed, and does
// nothing else that grows with what is stored. ErrInUse when another process has dir, after waiting one second for it.
func Open(dir string, opts Options) (*Engine, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{opts: opts}
	if err := e.open(dir); err != nil {
		if e.db != nil {
			err = errors.Join(err, e.db.Close())
		}
		if e.root != nil {
			err = errors.Join(err, e.root.Close())
		}
		return nil, fmt.Errorf("open storage in %s: %w", dir, err)
	}
	e.handles.open = map[string]*os.Root{}
	e.locks.held = map[storage.Key]*keyLock{}
	e.writes = newCommitter(e.db, e.fault)
	return e, nil
}

func (e *Engine) open(dir string) (err error) {
	_, err = os.Stat(dir)
	made := errors.Is(err, os.ErrNotExist)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return classify(err)
	}
	if e.root, err = os.OpenRoot(dir); err != nil {
		return classify(err)
	}
	e.db, err = bbolt.Open(filepath.Join(dir, databaseName), 0o644, &bbolt.Options{
		Timeout:         lockTimeout,
		NoSync:          e.opts.NoSync,
		NoGrowSync:      e.opts.NoSync,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: initialMmap,
		MaxSize:         e.opts.maxDatabase,
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return ErrInUse
	}
	if err != nil {
		return classify(err)
	}
	if err := e.db.Update(e.makeBuckets); err != nil {
		return classify(err)
	}
	for _, name := range []string{objectsDir, tempDir} {
		if err := e.root.Mkdir(name[:len(name)-1], 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return classify(err)
		}
	}
	if err := e.cleanTemp(); err != nil {
		return classify(err)
	}
	if e.tick, err = e.measureTick(); err != nil {
		return classify(err)
	}
	if err := e.syncDir(e.root, "."); err != nil {
		return classify(err)
	}
	if made && !e.opts.NoSync {
		return classify(syncPath(filepath.Dir(filepath.Clean(dir))))
	}
	return nil
}

func (e *Engine) makeBuckets(tx *bbolt.Tx) error {
	format, err := tx.CreateBucketIfNotExists([]byte(bucketFormat))
	if err != nil {
		return err
	}
	switch found := format.Get([]byte(formatKey)); {
	case found == nil:
		if err := format.Put([]byte(formatKey), []byte(formatName)); err != nil {
			return err
		}
	case string(found) != formatName:
		return fmt.Errorf("%w %q, this version reads %q", ErrFormat, found, formatName)
	}
	for _, name := range []string{bucketAttrs, bucketJournal} {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	return nil
}

// Close waits for writes to the database that have begun and ends the engine. Uploads that are still open can only be
// aborted; open objects stay readable. A second Close does nothing.
func (e *Engine) Close() error {
	if !e.writes.close() {
		return nil
	}
	e.handles.close()
	if err := errors.Join(e.db.Close(), e.root.Close()); err != nil {
		return fmt.Errorf("close storage: %w", err)
	}
	return nil
}

// Caps of this engine.
func (e *Engine) Caps() storage.Caps {
	return storage.Caps{Name: "fs", Persistent: true, SharedBody: true}
}

// fault asks the test, if there is one, whether the step op shall fail.
func (e *Engine) fault(op string) error {
	if e.opts.fault == nil {
		return nil
	}
	return e.opts.fault(op)
}

// cleanTemp removes the files of uploads that never ended. Only as many can be there as were open at once.
func (e *Engine) cleanTemp() error {
	dir, err := e.root.Open(tempDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := e.root.Remove(tempDir + name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if len(names) > 0 {
		e.opts.Logger.Info("storage: removed unfinished uploads", "count", len(names))
	}
	return nil
}

// newTemp returns a name in tempDir that is not in use.
func (e *Engine) newTemp() string {
	return tempDir + strconv.FormatUint(e.tempName.Add(1), 10)
}

// measureTick finds how finely the file system keeps modification times, by setting one and reading it back.
func (e *Engine) measureTick() (time.Duration, error) {
	name := e.newTemp()
	f, err := e.root.Create(name)
	if err != nil {
		return 0, err
	}
	defer e.root.Remove(name)
	defer f.Close()
	set := time.Unix(1_700_000_001, 123_456_789)
	if err := e.root.Chtimes(name, set, set); err != nil {
		return 0, err
	}
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	for _, tick := range []time.Duration{1, 100, time.Microsecond, time.Millisecond, time.Second} {
		if st.ModTime().Equal(set.Truncate(tick)) {
			return tick, nil
		}
	}
	return 2 * time.Second, nil
}

// syncDir makes the entries of the directory name in root durable.
func (e *Engine) syncDir(root *os.Root, name string) error {
	if e.opts.NoSync {
		return nil
	}
	if err := e.fault("syncdir"); err != nil {
		return err
	}
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	return syncClose(dir)
}

func syncPath(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return syncClose(dir)
}

// syncClose syncs a directory. File systems that cannot (they answer EINVAL or ENOTSUP) need not.
func syncClose(dir *os.File) error {
	err := dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, dir.Close())
}

// keyLocks is one mutex per key that is being changed.
type keyLocks struct {
	mu   sync.Mutex
	held map[storage.Key]*keyLock
}

type keyLock struct {
	mu    sync.Mutex
	users int
}

// lock locks key and returns what unlocks it.
func (l *keyLocks) lock(key storage.Key) func() {
	l.mu.Lock()
	k := l.held[key]
	if k == nil {
		k = &keyLock{}
		l.held[key] = k
	}
	k.users++
	l.mu.Unlock()
	k.mu.Lock()
	return func() {
		k.mu.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.held, key)
		}
	}
}
