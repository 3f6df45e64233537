package inflight

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/storage"
	"headwater/storage/fs"
	"headwater/storage/mem"
)

var key = storage.Key{Container: "c", Path: "a/b"}

func begin(t *testing.T, o *Objects, driver storage.Driver) *Writer {
	t.Helper()
	up, err := driver.Create(t.Context(), key, storage.Attrs{ETag: "e"})
	require.NoError(t, err)
	return o.Begin(key, storage.Attrs{ETag: "e"}, up)
}

func write(t *testing.T, w *Writer, s string) {
	t.Helper()
	_, err := io.WriteString(w, s)
	require.NoError(t, err)
}

// all reads to the end.
func all(ctx context.Context, r *Reader) (string, error) {
	var b bytes.Buffer
	p := make([]byte, 3)
	for {
		n, err := r.Read(ctx, p)
		b.Write(p[:n])
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
	}
}

func reader(t *testing.T, o *Objects) *Reader {
	t.Helper()
	r, ok := o.Open(key)
	require.True(t, ok)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func TestAReaderThatComesLateGetsEverythingAndFollowsTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Objects
		w := begin(t, &o, mem.New(time.Now))
		_, ok := o.Open(key)
		require.False(t, ok, "it has no byte yet")
		var err error
		write(t, w, "hello")
		r := reader(t, &o)
		require.Equal(t, "e", r.Attrs.ETag)
		var got string
		var wg sync.WaitGroup
		wg.Go(func() { got, err = all(t.Context(), r) })
		synctest.Wait()
		write(t, w, " world")
		synctest.Wait()
		_, cerr := w.Commit(t.Context())
		require.NoError(t, cerr)
		wg.Wait()
		require.NoError(t, err)
		require.Equal(t, "hello world", got)
		_, ok = o.Open(key)
		require.False(t, ok, "it is in storage now")
		require.Empty(t, o.open)
	})
}

func TestReadersLearnThatTheWriterGaveUp(t *testing.T) {
	var o Objects
	w := begin(t, &o, mem.New(time.Now))
	write(t, w, "half")
	r := reader(t, &o)
	w.Abort()
	w.Abort()
	got, err := all(t.Context(), r)
	require.Equal(t, "half", got)
	require.ErrorIs(t, err, ErrBroken)
}

func TestOfTwoWritersTheOneThatBeganLastIsRead(t *testing.T) {
	var o Objects
	driver := mem.New(time.Now)
	one, two := begin(t, &o, driver), begin(t, &o, driver)
	write(t, one, "one")
	r := reader(t, &o)
	write(t, two, "two")
	later := reader(t, &o)
	one.Abort()
	_, err := two.Commit(t.Context())
	require.NoError(t, err)
	_, err = all(t.Context(), r)
	require.ErrorIs(t, err, ErrBroken)
	got, err := all(t.Context(), later)
	require.NoError(t, err)
	require.Equal(t, "two", got)
}

func TestAWaitEndsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Objects
		w := begin(t, &o, mem.New(time.Now))
		write(t, w, "a")
		r := reader(t, &o)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := all(ctx, r)
		require.Equal(t, "a", got)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		w.Abort()
	})
}

func TestManyReadersOfAFileGetTheSame(t *testing.T) {
	engine, err := fs.Open(t.TempDir(), fs.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	var o Objects
	w := begin(t, &o, engine)
	write(t, w, "0")
	var wg sync.WaitGroup
	got := make([]string, 200)
	for i := range got {
		r, ok := o.Open(key)
		require.True(t, ok)
		wg.Go(func() {
			got[i], _ = all(context.Background(), r)
			_ = r.Close()
		})
	}
	want := "0"
	for i := range 100 {
		part := string(rune('a' + i%26))
		write(t, w, part)
		want += part
	}
	_, err = w.Commit(t.Context())
	require.NoError(t, err)
	wg.Wait()
	for _, s := range got {
		require.Equal(t, want, s)
	}
}
