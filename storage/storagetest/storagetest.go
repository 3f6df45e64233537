// Package storagetest holds the conformance suite that every storage engine passes, bare and behind storage.Store. It does
// not test what only one engine does: files, fault handling, speed.
package storagetest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/storage"
)

// Engine is an engine under test on a place of its own.
type Engine struct {
	Driver  storage.Driver
	Journal storage.Journal
	Index   storage.Index
	// Reopen ends the engine and opens it again on the same place, as a restarted process would. An engine that is not
	// persistent returns itself.
	Reopen func(t *testing.T) Engine
}

// Run runs the whole suite; open makes an empty engine and arranges for its end with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Engine) {
	t.Run("driver", func(t *testing.T) { RunDriver(t, open) })
	t.Run("index", func(t *testing.T) { RunIndex(t, open) })
	t.Run("journal", func(t *testing.T) { RunJournal(t, open) })
	t.Run("driver behind Store", func(t *testing.T) {
		RunDriver(t, func(t *testing.T) Engine { return behindStore(open(t)) })
	})
}

func behindStore(e Engine) Engine {
	reopen := e.Reopen
	return Engine{
		Driver:  storage.New(e.Driver, storage.Options{}),
		Journal: e.Journal,
		Index:   e.Index,
		Reopen:  func(t *testing.T) Engine { return behindStore(reopen(t)) },
	}
}

// Content returns size bytes that follow from seed alone.
func Content(seed string, size int) []byte {
	out := make([]byte, 0, size+sha256.Size)
	for i := uint64(0); len(out) < size; i++ {
		block := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(seed), i))
		out = append(out, block[:]...)
	}
	return out[:size]
}

func key(path string) storage.Key { return storage.Key{Container: "live", Path: path} }

// put stores data in pieces and returns what Commit told.
func put(t *testing.T, d storage.Driver, k storage.Key, attrs storage.Attrs, data []byte) storage.Info {
	t.Helper()
	info, err := tryPut(d, k, attrs, data)
	require.NoError(t, err)
	return info
}

func tryPut(d storage.Driver, k storage.Key, attrs storage.Attrs, data []byte) (storage.Info, error) {
	up, err := d.Create(context.Background(), k, attrs)
	if err != nil {
		return storage.Info{}, err
	}
	defer up.Abort()
	for len(data) > 0 {
		n := min(len(data), 10_000)
		if _, err := up.Write(data[:n]); err != nil {
			return storage.Info{}, err
		}
		data = data[n:]
	}
	return up.Commit(context.Background())
}

// get reads a whole object.
func get(t *testing.T, d storage.Driver, k storage.Key) (storage.Info, []byte) {
	t.Helper()
	obj, err := d.Open(context.Background(), k)
	require.NoError(t, err)
	defer obj.Body.Close()
	data, err := io.ReadAll(obj.Body)
	require.NoError(t, err)
	return obj.Info, data
}

func requireObject(t *testing.T, d storage.Driver, k storage.Key, want []byte, attrs storage.Attrs) {
	t.Helper()
	info, data := get(t, d, k)
	require.True(t, string(want) == string(data), "object %s has other bytes: %d instead of %d", k, len(data), len(want))
	require.Equal(t, k, info.Key)
	require.Equal(t, int64(len(want)), info.Size)
	require.Equal(t, attrs, info.Attrs)
	stat, err := d.Stat(context.Background(), k)
	require.NoError(t, err)
	require.Equal(t, info, stat)
}

func requireAbsent(t *testing.T, d storage.Driver, k storage.Key) {
	t.Helper()
	_, err := d.Open(context.Background(), k)
	require.ErrorIs(t, err, storage.ErrNotFound)
	_, err = d.Stat(context.Background(), k)
	require.ErrorIs(t, err, storage.ErrNotFound)
}

func list(t *testing.T, d storage.Driver, container, prefix, after string) []string {
	t.Helper()
	paths := []string{}
	for info, err := range d.List(context.Background(), container, prefix, after) {
		require.NoError(t, err)
		require.Equal(t, container, info.Key.Container)
		require.False(t, info.Modified.IsZero())
		paths = append(paths, info.Key.Path)
	}
	return paths
}

// faultyReader yields data and then err.
type faultyReader struct {
	data []byte
	err  error
}

func (r *faultyReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, r.err
	}
	n := copy(p, r.data[:min(len(r.data), 1000)])
	r.data = r.data[n:]
	return n, nil
}

// lyingReader claims to have read more than it was given room for.
type lyingReader struct{}

func (lyingReader) Read(p []byte) (int, error) { return len(p) + 1, nil }

var errBroken = errors.New("broken on purpose") // never changed

func sharedBody(t *testing.T, d storage.Driver) {
	put(t, d, key("file"), storage.Attrs{}, []byte("0123456789"))
	obj, err := d.Open(context.Background(), key("file"))
	require.NoError(t, err)
	_, isFile := obj.Body.(*os.File)
	require.Equal(t, d.Caps().SharedBody, isFile)
	at := make([]byte, 3)
	_, err = obj.Body.ReadAt(at, 4)
	require.NoError(t, err)
	require.Equal(t, "456", string(at))
	pos, err := obj.Body.Seek(-2, io.SeekEnd)
	require.NoError(t, err)
	require.EqualValues(t, 8, pos)
	rest, err := io.ReadAll(obj.Body)
	require.NoError(t, err)
	require.Equal(t, "89", string(rest))
	data, unmap, err := obj.Map()
	require.NoError(t, err)
	require.NoError(t, obj.Body.Close())
	require.NoError(t, d.Delete(context.Background(), key("file")))
	require.Equal(t, "0123456789", string(data), "it can be read on")
	unmap()
	put(t, d, key("empty"), storage.Attrs{}, nil)
	obj, err = d.Open(context.Background(), key("empty"))
	require.NoError(t, err)
	defer obj.Body.Close()
	data, unmap, err = obj.Map()
	require.NoError(t, err)
	require.Empty(t, data)
	unmap()
	require.NotEmpty(t, d.Caps().Name)
}

func recent(t *testing.T, at time.Time) {
	t.Helper()
	require.WithinDuration(t, time.Now(), at, time.Minute)
	require.Equal(t, time.UTC, at.Location())
}

func records(n int, format string) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, format, i)
	}
	return out
}
