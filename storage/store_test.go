package storage_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/storage"
	"headwater/storage/mem"
)

func TestKeys(t *testing.T) {
	long := strings.Repeat("c", 255)
	for name, c := range map[string]struct {
		key storage.Key
		ok  bool
	}{
		"a plain key":                    {storage.Key{Container: "live", Path: "a/b.mp4"}, true},
		"all letters of a container":     {storage.Key{Container: "aZ0_-", Path: "a"}, true},
		"the longest container and path": {storage.Key{Container: long, Path: strings.Repeat("p", 900)}, true},
		"any UTF-8 in a path":            {storage.Key{Container: "c", Path: "é/💩 %+~=:"}, true},
		"names that begin with dots":     {storage.Key{Container: "c", Path: ".../..a/.b"}, true},
		"no container":                   {storage.Key{Path: "a"}, false},
		"a container that is too long":   {storage.Key{Container: long + "c", Path: "a"}, false},
		"a slash in a container":         {storage.Key{Container: "a/b", Path: "a"}, false},
		"a container of dots":            {storage.Key{Container: "..", Path: "a"}, false},
		"no path":                        {storage.Key{Container: "c"}, false},
		"a path that is too long":        {storage.Key{Container: "c", Path: strings.Repeat("p", 901)}, false},
		"a path that is not UTF-8":       {storage.Key{Container: "c", Path: "a\xff"}, false},
		"a leading slash":                {storage.Key{Container: "c", Path: "/a"}, false},
		"a trailing slash":               {storage.Key{Container: "c", Path: "a/"}, false},
		"two slashes":                    {storage.Key{Container: "c", Path: "a//b"}, false},
		"a dot":                          {storage.Key{Container: "c", Path: "a/./b"}, false},
		"two dots":                       {storage.Key{Container: "c", Path: "../b"}, false},
		"a NUL":                          {storage.Key{Container: "c", Path: "a\x00"}, false},
		"a line feed":                    {storage.Key{Container: "c", Path: "a\n"}, false},
		"a DEL":                          {storage.Key{Container: "c", Path: "a\x7f"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := storage.New(mem.New(time.Now), storage.Options{})
			ctx := context.Background()
			want := storage.ErrNotFound
			_, err := s.Put(ctx, c.key, storage.Attrs{}, strings.NewReader("x"))
			if c.ok {
				require.NoError(t, err)
				require.NoError(t, s.Delete(ctx, c.key))
			} else {
				want = storage.ErrInvalidKey
				require.ErrorIs(t, err, want)
			}
			_, err = s.Open(ctx, c.key)
			require.ErrorIs(t, err, want)
			_, err = s.Stat(ctx, c.key)
			require.ErrorIs(t, err, want)
			require.ErrorIs(t, s.Delete(ctx, c.key), want)
		})
	}
}

func TestAttributesAreBounded(t *testing.T) {
	s := storage.New(mem.New(time.Now), storage.Options{})
	for name, attrs := range map[string]storage.Attrs{
		"a long content type":  {ContentType: strings.Repeat("x", 1025)},
		"an etag not in UTF-8": {ETag: "\xff"},
		"a lot of meta":        {Meta: map[string]string{"a": strings.Repeat("x", 2048)}},
		"meta not in UTF-8":    {Meta: map[string]string{"\xff": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Create(context.Background(), storage.Key{Container: "c", Path: "a"}, attrs)
			require.ErrorIs(t, err, storage.ErrInvalidAttrs)
		})
	}
}

func TestErrorsNameOperationAndKeyOnce(t *testing.T) {
	s := storage.New(mem.New(time.Now), storage.Options{})
	_, err := s.Open(context.Background(), storage.Key{Container: "live", Path: "a/b"})
	require.EqualError(t, err, `storage open "live:a/b": object not found`)
	_, err = s.Put(context.Background(), storage.Key{Container: "live", Path: "a/b"}, storage.Attrs{},
		io.MultiReader(strings.NewReader("x"), failing{}))
	require.EqualError(t, err, `storage put "live:a/b": read body: cut off`)
	for _, err := range s.List(context.Background(), "no/container", "", "") {
		require.ErrorIs(t, err, storage.ErrInvalidKey)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("cut off") }

func TestAnObserverSeesEachOperationOnce(t *testing.T) {
	var seen []storage.Operation
	now := time.Unix(0, 0)
	s := storage.New(mem.New(time.Now), storage.Options{
		Observe: func(op storage.Operation) { seen = append(seen, op) },
		Now:     func() time.Time { now = now.Add(time.Second); return now },
	})
	ctx, k := context.Background(), storage.Key{Container: "live", Path: "a"}
	expect := func(name string, bytes int64, err error) {
		t.Helper()
		require.Len(t, seen, 1)
		require.Equal(t, name, seen[0].Name)
		require.Equal(t, k, seen[0].Key)
		require.Equal(t, bytes, seen[0].Bytes)
		require.Equal(t, time.Second, seen[0].Duration)
		require.ErrorIs(t, seen[0].Err, err)
		seen = nil
	}
	_, err := s.Put(ctx, k, storage.Attrs{}, strings.NewReader("12345"))
	require.NoError(t, err)
	expect("put", 5, nil)
	_, err = s.Put(ctx, k, storage.Attrs{}, io.MultiReader(strings.NewReader("123"), stuck{}))
	require.Error(t, err)
	expect("abort", 3, io.ErrNoProgress)
	up, err := s.Create(ctx, k, storage.Attrs{})
	require.NoError(t, err)
	_, err = up.Write([]byte("12"))
	require.NoError(t, err)
	up.Abort()
	expect("abort", 2, nil)
	obj, err := s.Open(ctx, k)
	require.NoError(t, err)
	require.NoError(t, obj.Body.Close())
	expect("open", 5, nil)
	_, err = s.Stat(ctx, k)
	require.NoError(t, err)
	expect("stat", 0, nil)
	require.NoError(t, s.Delete(ctx, k))
	expect("delete", 0, nil)
	_, err = s.Stat(ctx, k)
	require.Error(t, err)
	expect("stat", 0, storage.ErrNotFound)
	for range s.List(ctx, "live", "a", "") {
	}
	expect("list", 0, nil)
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, io.ErrNoProgress }
