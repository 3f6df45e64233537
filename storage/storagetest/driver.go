package storagetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/storage"
)

// RunDriver runs the part of the suite that is about objects.
func RunDriver(t *testing.T, open func(t *testing.T) Engine) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, e Engine)
	}{
		{"an object comes back as it was put, also after a restart", roundTrip},
		{"a replaced object takes over bytes and attributes together", replace},
		{"a body can be read from anywhere and is a file if the engine says so",
			func(t *testing.T, e Engine) { sharedBody(t, e.Driver) }},
		{"an upload is invisible until it is committed", invisible},
		{"an upload can be read while it is written, and to its end afterwards", follow},
		{"an upload ends once", endsOnce},
		{"a reader that fails half way never replaces an object", readerFails},
		{"an open object survives its deletion and replacement", openSurvives},
		{"deleting forgets the object and its attributes", deleteObject},
		{"a list is in byte order and honours prefix and after", listing},
		{"awkward keys live side by side", awkwardKeys},
		{"a path can be as deep as its length allows", deepKey},
		{"of concurrent writers of one key the last commit wins whole", concurrentWriters},
		{"keys come and go in one directory at the same time", concurrentDirectories},
		{"an ended context changes nothing", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func attrs(n int) storage.Attrs {
	return storage.Attrs{
		ContentType:  "video/mp4",
		CacheControl: "max-age=2",
		ETag:         fmt.Sprintf("%x", n),
		Meta:         map[string]string{"n": fmt.Sprint(n), "quoted \"<&>\"": "é\u2028"},
	}
}

func roundTrip(t *testing.T, e Engine) {
	sizes := map[string]int{"empty": 0, "one": 1, "segment": 1_240_000}
	for name, size := range sizes {
		for _, a := range []storage.Attrs{{}, attrs(1)} {
			k := key(name + a.ETag)
			info := put(t, e.Driver, k, a, Content(name, size))
			recent(t, info.Modified)
			stat, err := e.Driver.Stat(context.Background(), k)
			require.NoError(t, err)
			require.Equal(t, info, stat)
			requireObject(t, e.Driver, k, Content(name, size), a)
		}
	}
	e = e.Reopen(t)
	for name, size := range sizes {
		requireObject(t, e.Driver, key(name), Content(name, size), storage.Attrs{})
		requireObject(t, e.Driver, key(name+"1"), Content(name, size), attrs(1))
	}
	requireAbsent(t, e.Driver, key("none"))
	requireAbsent(t, e.Driver, storage.Key{Container: "other", Path: "empty"})
}

func follow(t *testing.T, e Engine) {
	ctx := context.Background()
	read := func(g storage.Growing, at int64) string {
		b := make([]byte, 100)
		n, err := g.ReadAt(b, at)
		require.ErrorIs(t, err, io.EOF)
		return string(b[:n])
	}
	for _, end := range []func(storage.Upload){
		func(up storage.Upload) { _, err := up.Commit(ctx); require.NoError(t, err) },
		func(up storage.Upload) { up.Abort() },
	} {
		up, err := e.Driver.Create(ctx, key("growing"), attrs(1))
		require.NoError(t, err)
		g, err := up.Follow()
		require.NoError(t, err)
		require.Empty(t, read(g, 0))
		for i, part := range []string{"one", "two"} {
			_, err = up.Write([]byte(part))
			require.NoError(t, err)
			require.Equal(t, part, read(g, int64(3*i)))
		}
		end(up)
		put(t, e.Driver, key("growing"), storage.Attrs{}, []byte("another"))
		require.Equal(t, "onetwo", read(g, 0))
		require.NoError(t, g.Close())
		_, err = up.Follow()
		require.ErrorIs(t, err, storage.ErrClosed)
	}
}

func replace(t *testing.T, e Engine) {
	k := key("a/b")
	for i, a := range []storage.Attrs{attrs(1), attrs(2), {}, {}, attrs(3), attrs(4), attrs(4), {}} {
		data := Content(fmt.Sprint(i), 1000+i)
		put(t, e.Driver, k, a, data)
		requireObject(t, e.Driver, k, data, a)
		if i%3 == 0 {
			e = e.Reopen(t)
			requireObject(t, e.Driver, k, data, a)
		}
	}
}

func invisible(t *testing.T, e Engine) {
	for _, before := range [][]byte{nil, []byte("before")} {
		if before != nil {
			put(t, e.Driver, key("x"), attrs(1), before)
		}
		up, err := e.Driver.Create(context.Background(), key("x"), attrs(2))
		require.NoError(t, err)
		_, err = up.Write(Content("x", 100_000))
		require.NoError(t, err)
		check := func() {
			if before == nil {
				requireAbsent(t, e.Driver, key("x"))
				require.Empty(t, list(t, e.Driver, "live", "", ""))
			} else {
				requireObject(t, e.Driver, key("x"), before, attrs(1))
				require.Equal(t, []string{"x"}, list(t, e.Driver, "live", "", ""))
			}
		}
		check()
		up.Abort()
		check()
	}
}

func endsOnce(t *testing.T, e Engine) {
	up, err := e.Driver.Create(context.Background(), key("x"), storage.Attrs{})
	require.NoError(t, err)
	_, err = up.Commit(context.Background())
	require.NoError(t, err)
	up.Abort()
	_, err = up.Commit(context.Background())
	require.Error(t, err)
	_, err = up.Write([]byte("late"))
	require.Error(t, err)
	requireObject(t, e.Driver, key("x"), nil, storage.Attrs{})

	up, err = e.Driver.Create(context.Background(), key("y"), storage.Attrs{})
	require.NoError(t, err)
	up.Abort()
	up.Abort()
	_, err = up.Commit(context.Background())
	require.Error(t, err)
	requireAbsent(t, e.Driver, key("y"))
}

func readerFails(t *testing.T, e Engine) {
	s := storage.New(e.Driver, storage.Options{})
	ctx := context.Background()
	_, err := s.Put(ctx, key("x"), attrs(1), bytes.NewReader([]byte("whole")))
	require.NoError(t, err)
	for _, r := range []io.Reader{
		&faultyReader{Content("cut", 300_000), io.ErrUnexpectedEOF},
		&faultyReader{nil, errBroken},
		lyingReader{},
	} {
		_, err := s.Put(ctx, key("x"), attrs(2), r)
		require.Error(t, err)
		if f, ok := r.(*faultyReader); ok {
			require.ErrorIs(t, err, f.err)
		}
		_, err = s.Put(ctx, key("new"), attrs(2), r)
		require.Error(t, err)
	}
	requireObject(t, e.Driver, key("x"), []byte("whole"), attrs(1))
	requireAbsent(t, e.Driver, key("new"))
	_, err = s.Put(ctx, key("x"), storage.Attrs{}, &faultyReader{Content("ok", 300_000), io.EOF})
	require.NoError(t, err)
	requireObject(t, e.Driver, key("x"), Content("ok", 300_000), storage.Attrs{})
}

func openSurvives(t *testing.T, e Engine) {
	ctx := context.Background()
	first := Content("first", 200_000)
	put(t, e.Driver, key("x"), attrs(1), first)
	a, err := e.Driver.Open(ctx, key("x"))
	require.NoError(t, err)
	put(t, e.Driver, key("x"), attrs(2), []byte("second"))
	b, err := e.Driver.Open(ctx, key("x"))
	require.NoError(t, err)
	require.NoError(t, e.Driver.Delete(ctx, key("x")))
	for obj, want := range map[*storage.Object][]byte{a: first, b: []byte("second")} {
		data, err := io.ReadAll(obj.Body)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, data))
		require.NoError(t, obj.Body.Close())
	}
}

func deleteObject(t *testing.T, e Engine) {
	ctx := context.Background()
	require.ErrorIs(t, e.Driver.Delete(ctx, key("a/b/c")), storage.ErrNotFound)
	for range 2 {
		put(t, e.Driver, key("a/b/c"), attrs(1), []byte("x"))
		require.NoError(t, e.Driver.Delete(ctx, key("a/b/c")))
		requireAbsent(t, e.Driver, key("a/b/c"))
		require.ErrorIs(t, e.Driver.Delete(ctx, key("a/b/c")), storage.ErrNotFound)
		put(t, e.Driver, key("a/b/c"), storage.Attrs{}, []byte("y"))
		requireObject(t, e.Driver, key("a/b/c"), []byte("y"), storage.Attrs{})
	}
	e = e.Reopen(t)
	requireObject(t, e.Driver, key("a/b/c"), []byte("y"), storage.Attrs{})
	require.NoError(t, e.Driver.Delete(ctx, key("a/b/c")))
	e = e.Reopen(t)
	requireAbsent(t, e.Driver, key("a/b/c"))
	require.Empty(t, list(t, e.Driver, "live", "", ""))
}

func listing(t *testing.T, e Engine) {
	paths := []string{"a", "a-x", "a.b", "a/b", "a/b/c", "a/c", "a0", "aa/1", "aa/10", "aa/2", "b", "b%/x", "b+", "Z",
		"é", "é/x", "中/文"}
	for i, p := range paths {
		put(t, e.Driver, key(p), storage.Attrs{ETag: fmt.Sprint(i)}, []byte(p))
	}
	put(t, e.Driver, storage.Key{Container: "live2", Path: "a"}, storage.Attrs{}, nil)
	slices.Sort(paths)
	require.Equal(t, paths, list(t, e.Driver, "live", "", ""))
	require.Empty(t, list(t, e.Driver, "none", "", ""))
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "aa/1", "é", "é/", "\xc3", "q", "a//", "../", "/", "b%", "a\x00"} {
		for _, after := range append([]string{"", "a/", "a/b/", "a/zz", "aa/1x", "\xff", "\x00"}, paths...) {
			want := []string{}
			for _, p := range paths {
				if strings.HasPrefix(p, prefix) && p > after {
					want = append(want, p)
				}
			}
			require.Equal(t, want, list(t, e.Driver, "live", prefix, after), "prefix %q after %q", prefix, after)
		}
	}
	for info, err := range e.Driver.List(context.Background(), "live", "a/", "") {
		require.NoError(t, err)
		require.NotEmpty(t, info.Attrs.ETag)
		require.EqualValues(t, len(info.Key.Path), info.Size)
		require.NoError(t, e.Driver.Delete(context.Background(), info.Key)) // deleting while listing is fine
	}
	require.Empty(t, list(t, e.Driver, "live", "a/", ""))
	for range e.Driver.List(context.Background(), "live", "", "") {
		break
	}
}

func awkwardKeys(t *testing.T, e Engine) {
	long := strings.Repeat("x", 250)
	paths := []string{
		"a", "a/a", "a/a/a", "a+", "a+/b", "a%", "a%2B", "a%2b", "a%/b", "a%2B/c", "%", "%%", "+", "++", "%41", "A",
		"...", "..a", ".a", "a.", "tmp", "meta.db", "objects", "CON", "nul", " ", "  a  ", "a\\b", "a:b", "*?<>|\"'`",
		"Streams(video.cmfv)", "seg=1;x,y~z", "💩", "é", "e\u0301", "\u202e", "\ufffd", "\u00a0",
		long, long + "x", long + "%", long + "é", long + "+", long + "/a", long + "x/a", long[:249] + "é", long[:248] + "é",
		long + ".", long + "..", long + "...", long + "./a", long + "../a", long + "/..a",
		strings.Repeat("y", 900), strings.Repeat("é", 450), strings.Repeat("💩", 225),
		strings.Repeat("%", 84), strings.Repeat("%", 83), strings.Repeat("%", 899),
	}
	for i, p := range paths {
		require.NoError(t, key(p).Validate(), "%q", p)
		put(t, e.Driver, key(p), attrs(i), []byte(p))
	}
	e = e.Reopen(t)
	for i, p := range paths {
		requireObject(t, e.Driver, key(p), []byte(p), attrs(i))
	}
	slices.Sort(paths)
	require.Equal(t, paths, list(t, e.Driver, "live", "", ""))
	for _, after := range paths {
		i, _ := slices.BinarySearch(paths, after)
		require.Equal(t, append([]string{}, paths[i+1:]...), list(t, e.Driver, "live", "", after))
		require.Contains(t, list(t, e.Driver, "live", after, ""), after)
	}
	for _, name := range []string{strings.Repeat("c", 255), "-", "_", "0"} {
		k := storage.Key{Container: name, Path: "a"}
		put(t, e.Driver, k, storage.Attrs{}, []byte(name))
		requireObject(t, e.Driver, k, []byte(name), storage.Attrs{})
	}
	for _, p := range paths {
		require.NoError(t, e.Driver.Delete(context.Background(), key(p)))
	}
	require.Empty(t, list(t, e.Driver, "live", "", ""))
}

func deepKey(t *testing.T, e Engine) {
	deep := strings.Repeat("z/", 449) + "zz"
	require.NoError(t, key(deep).Validate())
	put(t, e.Driver, key(deep), attrs(1), []byte("deep"))
	requireObject(t, e.Driver, key(deep), []byte("deep"), attrs(1))
	require.Equal(t, []string{deep}, list(t, e.Driver, "live", "z/z/", "z/"))
	require.NoError(t, e.Driver.Delete(context.Background(), key(deep)))
	require.Empty(t, list(t, e.Driver, "live", "", ""))
}

func concurrentWriters(t *testing.T, e Engine) {
	const writers, rounds = 4, 12
	version := func(w, r int) (storage.Attrs, []byte) {
		name := fmt.Sprintf("%d/%d", w, r)
		if r%3 == 2 {
			return storage.Attrs{}, Content(name, 20_000)
		}
		return storage.Attrs{ETag: name}, Content(name, 20_000)
	}
	known := map[string]string{} // content -> ETag
	for w := range writers {
		for r := range rounds {
			a, data := version(w, r)
			known[string(data)] = a.ETag
		}
	}
	put(t, e.Driver, key("x"), storage.Attrs{ETag: "start"}, []byte("start"))
	known["start"] = "start"
	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	for w := range writers {
		writing.Go(func() {
			for r := range rounds {
				a, data := version(w, r)
				_, err := tryPut(e.Driver, key("x"), a, data)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	reading.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			obj, err := e.Driver.Open(context.Background(), key("x"))
			if err != nil {
				t.Error(err)
				return
			}
			data, err := io.ReadAll(obj.Body)
			obj.Body.Close()
			tag, whole := known[string(data)]
			if err != nil || !whole || tag != obj.Attrs.ETag {
				t.Errorf("read %d bytes of version %q with the attributes of %q: %v", len(data), tag, obj.Attrs.ETag, err)
				return
			}
		}
	})
	writing.Wait()
	close(stop)
	reading.Wait()
	info, data := get(t, e.Driver, key("x"))
	tag, whole := known[string(data)]
	require.True(t, whole)
	require.Equal(t, tag, info.Attrs.ETag)
	e = e.Reopen(t)
	requireObject(t, e.Driver, key("x"), data, info.Attrs)
}

func concurrentDirectories(t *testing.T, e Engine) {
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for r := range 15 {
				k := key(fmt.Sprintf("d%d/e/%d", r%2, w))
				if _, err := tryPut(e.Driver, k, storage.Attrs{}, []byte("x")); err != nil {
					t.Errorf("put %s: %v", k, err)
				}
				if err := e.Driver.Delete(context.Background(), k); err != nil {
					t.Errorf("delete %s: %v", k, err)
				}
			}
		})
	}
	wg.Wait()
	require.Empty(t, list(t, e.Driver, "live", "", ""))
}

func cancelled(t *testing.T, e Engine) {
	put(t, e.Driver, key("x"), attrs(1), []byte("x"))
	ctx, cancel := context.WithCancel(context.Background())
	up, err := e.Driver.Create(ctx, key("x"), attrs(2))
	require.NoError(t, err)
	_, err = up.Write([]byte("y"))
	require.NoError(t, err)
	cancel()
	_, err = up.Commit(ctx)
	require.ErrorIs(t, err, context.Canceled)
	up.Abort()
	_, err = e.Driver.Create(ctx, key("x"), attrs(2))
	require.ErrorIs(t, err, context.Canceled)
	_, err = e.Driver.Open(ctx, key("x"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = e.Driver.Stat(ctx, key("x"))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, e.Driver.Delete(ctx, key("x")), context.Canceled)
	for _, err := range e.Driver.List(ctx, "live", "", "") {
		require.ErrorIs(t, err, context.Canceled)
	}
	s := storage.New(e.Driver, storage.Options{})
	_, err = s.Put(ctx, key("x"), attrs(2), bytes.NewReader([]byte("y")))
	require.ErrorIs(t, err, context.Canceled)
	requireObject(t, e.Driver, key("x"), []byte("x"), attrs(1))

	late, stop := context.WithCancel(context.Background())
	_, err = s.Put(late, key("x"), attrs(3), &hangsUp{stop: stop})
	require.NoError(t, err, "the body was whole before its sender hung up")
	requireObject(t, e.Driver, key("x"), []byte("whole"), attrs(3))
}

// hangsUp ends the context together with the body.
type hangsUp struct {
	stop context.CancelFunc
	sent bool
}

func (r *hangsUp) Read(p []byte) (int, error) {
	if !r.sent {
		r.sent = true
		return copy(p, "whole"), nil
	}
	r.stop()
	return 0, io.EOF
}
