package fs

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"headwater/storage"
	"headwater/storage/storagetest"
)

// faults makes chosen steps of an engine fail.
type faults struct {
	op  string
	err error
	nth int32 // fail from the nth call on, 0 is the first
	n   atomic.Int32
}

func (f *faults) step(op string) error {
	if op != f.op || f.err == nil || f.n.Add(1) <= f.nth {
		return nil
	}
	return &os.PathError{Op: op, Path: "x", Err: f.err}
}

func TestAFailingDiskChangesNothing(t *testing.T) {
	old, fresh := storagetest.Content("old", 50_000), storagetest.Content("new", 60_000)
	with := storage.Attrs{ETag: "x"}
	for errno, want := range map[error]error{
		syscall.ENOSPC: storage.ErrNoSpace, syscall.EDQUOT: storage.ErrNoSpace, syscall.EIO: storage.ErrIO,
	} {
		for _, step := range []string{"create", "write", "sync", "commit", "rename", "mkdir", "syncdir"} {
			for _, before := range []string{"nothing", "an object", "an object with attributes"} {
				if step == "mkdir" && before != "nothing" {
					continue // its directory is there
				}
				t.Run(want.Error()+" in "+step+" over "+before, func(t *testing.T) {
					f := &faults{}
					dir := t.TempDir()
					e := openTest(t, dir, Options{fault: f.step})
					s := storage.New(e, storage.Options{})
					oldAttrs := storage.Attrs{}
					if before == "an object with attributes" {
						oldAttrs = storage.Attrs{ContentType: "a/b"}
					}
					if before != "nothing" {
						_, err := s.Put(context.Background(), key("a/b"), oldAttrs, bytesReader(old))
						require.NoError(t, err)
					}
					f.op, f.err = step, errno
					_, err := s.Put(context.Background(), key("a/b"), with, bytesReader(fresh))
					require.ErrorIs(t, err, want)
					require.ErrorIs(t, err, errno)
					requireState(t, e, before, old, oldAttrs)
					f.err = nil
					require.NoError(t, e.Close())
					e = openTest(t, dir, Options{})
					requireState(t, e, before, old, oldAttrs)
					_, err = storage.New(e, storage.Options{}).Put(context.Background(), key("a/b"), with, bytesReader(fresh))
					require.NoError(t, err)
					requireState(t, e, "an object", fresh, with)
				})
			}
		}
	}
}

func bytesReader(b []byte) io.Reader { return &chunks{b} }

// chunks yields bytes a little at a time, as a request body does.
type chunks struct{ rest []byte }

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest[:min(len(c.rest), 7000)])
	c.rest = c.rest[n:]
	return n, nil
}

func requireState(t *testing.T, e *Engine, before string, data []byte, attrs storage.Attrs) {
	t.Helper()
	left, err := e.root.Open(tempDir)
	require.NoError(t, err)
	names, err := left.Readdirnames(-1)
	require.NoError(t, err)
	require.NoError(t, left.Close())
	require.Empty(t, names, "temporary files are left")
	obj, err := e.Open(context.Background(), key("a/b"))
	if before == "nothing" {
		require.ErrorIs(t, err, storage.ErrNotFound)
		return
	}
	require.NoError(t, err)
	defer obj.Body.Close()
	got, err := io.ReadAll(obj.Body)
	require.NoError(t, err)
	require.True(t, string(data) == string(got))
	require.Equal(t, attrs, obj.Attrs)
}

func TestADiskThatFillsUpHalfWayChangesNothing(t *testing.T) {
	f := &faults{op: "write", err: syscall.ENOSPC, nth: 5}
	e := openTest(t, t.TempDir(), Options{fault: f.step})
	_, err := storage.New(e, storage.Options{}).Put(context.Background(), key("a/b"), storage.Attrs{},
		bytesReader(make([]byte, 100_000)))
	require.ErrorIs(t, err, storage.ErrNoSpace)
	requireState(t, e, "nothing", nil, storage.Attrs{})
}

func TestADeleteThatFailsLeavesTheObject(t *testing.T) {
	f := &faults{op: "remove"}
	e := openTest(t, t.TempDir(), Options{fault: f.step})
	ctx := context.Background()
	attrs := storage.Attrs{ETag: "1"}
	_, err := storage.New(e, storage.Options{}).Put(ctx, key("a/b"), attrs, bytesReader([]byte("x")))
	require.NoError(t, err)
	f.err = syscall.EIO
	require.ErrorIs(t, e.Delete(ctx, key("a/b")), storage.ErrIO)
	requireState(t, e, "an object", []byte("x"), attrs)
}

func TestAFullDatabaseRefusesRecordsAndKeepsThoseItHas(t *testing.T) {
	dir := t.TempDir()
	e := openTest(t, dir, Options{NoSync: true, maxDatabase: 32 << 20})
	ctx := context.Background()
	record := make([]byte, 100_000)
	last := storage.Position(0)
	var err error
	for err == nil {
		var at storage.Position
		if at, err = e.Append(ctx, "s", record); err == nil {
			last = at
		}
		require.Less(t, last, storage.Position(1000))
	}
	require.ErrorIs(t, err, storage.ErrNoSpace)
	require.Greater(t, last, storage.Position(10))
	require.Equal(t, last, count(t, e, "s"))
	require.NoError(t, e.Trim(ctx, "s", last), "making room works when full")
	at, err := e.Append(ctx, "s", record)
	require.NoError(t, err)
	require.Equal(t, last+1, at)
	require.NoError(t, e.Close())
	e = openTest(t, dir, Options{})
	require.EqualValues(t, 2, count(t, e, "s"))
}

func count(t testing.TB, e *Engine, stream string) (n storage.Position) {
	for _, err := range e.Read(context.Background(), stream, 0) {
		require.NoError(t, err)
		n++
	}
	return n
}

func TestAFailedAppendLeavesNoRecord(t *testing.T) {
	f := &faults{op: "commit"}
	e := openTest(t, t.TempDir(), Options{fault: f.step})
	ctx := context.Background()
	for errno, want := range map[error]error{syscall.EIO: storage.ErrIO, syscall.ENOSPC: storage.ErrNoSpace} {
		f.err = errno
		_, err := e.Append(ctx, "s", []byte("x"))
		require.ErrorIs(t, err, want)
		require.Zero(t, count(t, e, "s"))
	}
	f.err = nil
	at, err := e.Append(ctx, "s", []byte("x"))
	require.NoError(t, err)
	require.EqualValues(t, 1, at)
}

func TestOneBadWriteDoesNotFailTheOthersOfItsBatch(t *testing.T) {
	e := openTest(t, t.TempDir(), Options{NoSync: true})
	hold, held := make(chan struct{}), make(chan struct{})
	results := make(chan error, 3)
	var once atomic.Bool
	e.writes.fault = func(string) error {
		if once.CompareAndSwap(false, true) {
			close(held)
			<-hold
		}
		return nil
	}
	appendTo := func(ctx context.Context, stream string) {
		_, err := e.Append(ctx, stream, []byte("x"))
		results <- err
	}
	go appendTo(context.Background(), "first")
	<-held
	cancelled, cancel := context.WithCancel(context.Background())
	go appendTo(cancelled, "bad")
	go appendTo(context.Background(), "good")
	require.Eventually(t, func() bool { return len(e.writes.queue) == 2 }, 5*time.Second, time.Millisecond)
	cancel()
	close(hold)
	failed := 0
	for range 3 {
		if err := <-results; err != nil {
			require.ErrorIs(t, err, context.Canceled)
			failed++
		}
	}
	require.Equal(t, 1, failed)
	names, err := e.Streams(context.Background())
	require.NoError(t, err)
	require.Equal(t, []string{"first", "good"}, names)
}

func TestASecondEngineOnTheDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir, Options{})
	start := time.Now()
	_, err := Open(dir, Options{})
	require.ErrorIs(t, err, ErrInUse)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestAClosedEngineSaysSo(t *testing.T) {
	ctx := context.Background()
	e := openTest(t, t.TempDir(), Options{})
	up, err := e.Create(ctx, key("a"), storage.Attrs{})
	require.NoError(t, err)
	withAttrs, err := e.Create(ctx, key("b"), storage.Attrs{ETag: "x"})
	require.NoError(t, err)
	require.NoError(t, e.Close())
	require.NoError(t, e.Close())
	for _, u := range []storage.Upload{up, withAttrs} {
		_, err = u.Commit(ctx)
		require.ErrorIs(t, err, storage.ErrClosed)
		u.Abort()
	}
	_, err = e.Open(ctx, key("a"))
	require.ErrorIs(t, err, storage.ErrClosed)
	_, err = e.Stat(ctx, key("a"))
	require.ErrorIs(t, err, storage.ErrClosed)
	_, err = e.Create(ctx, key("a"), storage.Attrs{})
	require.ErrorIs(t, err, storage.ErrClosed)
	require.ErrorIs(t, e.Delete(ctx, key("a")), storage.ErrClosed)
	_, err = e.Append(ctx, "s", []byte("x"))
	require.ErrorIs(t, err, storage.ErrClosed)
	_, err = e.Streams(ctx)
	require.ErrorIs(t, err, storage.ErrClosed)
	for _, err := range e.List(ctx, "live", "", "") {
		require.ErrorIs(t, err, storage.ErrClosed)
	}
	for _, err := range e.Read(ctx, "s", 0) {
		require.ErrorIs(t, err, storage.ErrClosed)
	}
}

func TestUnfinishedUploadsAreRemovedAtStart(t *testing.T) {
	dir := t.TempDir()
	e := openTest(t, dir, Options{})
	up, err := e.Create(context.Background(), key("a"), storage.Attrs{})
	require.NoError(t, err)
	require.NoError(t, e.Close())
	left, err := os.ReadDir(filepath.Join(dir, tempDir))
	require.NoError(t, err)
	require.Len(t, left, 1)
	openTest(t, dir, Options{})
	up.Abort()
	left, err = os.ReadDir(filepath.Join(dir, tempDir))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAnUnknownFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	e := openTest(t, dir, Options{})
	require.NoError(t, e.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucketFormat)).Put([]byte(formatKey), []byte("99"))
	}))
	require.NoError(t, e.Close())
	_, err := Open(dir, Options{})
	require.ErrorIs(t, err, ErrFormat)
}

func TestEmptyDirectoriesGoAwayWithTheLastObject(t *testing.T) {
	dir := t.TempDir()
	e := openTest(t, dir, Options{})
	s := storage.New(e, storage.Options{})
	ctx := context.Background()
	for _, p := range []string{"a/b/c", "a/d"} {
		_, err := s.Put(ctx, key(p), storage.Attrs{}, bytesReader(nil))
		require.NoError(t, err)
	}
	require.NoError(t, s.Delete(ctx, key("a/b/c")))
	require.NoDirExists(t, dir+"/objects/live/a+/b+")
	require.FileExists(t, dir+"/objects/live/a+/d")
	require.NoError(t, s.Delete(ctx, key("a/d")))
	left, err := os.ReadDir(dir + "/objects")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAttributesBelongToTheVersionThatTheyWereWrittenWith(t *testing.T) {
	stopped := time.Unix(1_800_000_000, 0) // a clock that never moves
	e := openTest(t, t.TempDir(), Options{Now: func() time.Time { return stopped }})
	s := storage.New(e, storage.Options{})
	ctx := context.Background()
	var before time.Time
	for _, tag := range []string{"1", "", "2", "3", ""} {
		info, err := s.Put(ctx, key("a/b"), storage.Attrs{ETag: tag}, bytesReader([]byte(tag)))
		require.NoError(t, err)
		if tag != "" {
			require.True(t, info.Modified.After(before) || before.IsZero())
		}
		before = info.Modified
		requireState(t, e, "an object", []byte(tag), storage.Attrs{ETag: tag})
	}
	// The process dies after the attributes were made durable and before the file was renamed.
	w, err := e.submitAttrs(ctx, key("a/b"), nil, time.Time{}, newCandidate(stopped.Add(time.Hour), storage.Attrs{ETag: "lost"}))
	require.NoError(t, err)
	require.NoError(t, w.wait())
	requireState(t, e, "an object", []byte(""), storage.Attrs{})
}
