package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/storage"
)

// RunIndex runs the part of the suite that is about lists of objects with attributes.
func RunIndex(t *testing.T, open func(t *testing.T) Engine) {
	t.Run("it is the list of the objects that have attributes", func(t *testing.T) { indexIsList(t, open(t)) })
	t.Run("it honours prefix and after, and ends where it is told to", func(t *testing.T) { indexBounds(t, open(t)) })
	t.Run("it follows what is replaced and deleted, also over a restart", func(t *testing.T) { indexFollows(t, open(t)) })
	t.Run("a version is deleted unless it was replaced", func(t *testing.T) { deleteVersion(t, open(t)) })
	t.Run("whoever replaces while a version is deleted finds his own", func(t *testing.T) { deleteVersionRaces(t, open(t)) })
}

// paths lists what an index yields.
func paths(t *testing.T, e Engine, container, prefix, after string) (all []string) {
	t.Helper()
	for info, err := range e.Index.Attributed(context.Background(), container, prefix, after) {
		require.NoError(t, err)
		require.Equal(t, container, info.Key.Container)
		all = append(all, info.Key.Path)
	}
	return all
}

func indexIsList(t *testing.T, e Engine) {
	var want []storage.Info
	for i := range 600 {
		info := put(t, e.Driver, key(fmt.Sprintf("d%d/%04d", i%2, i)), attrs(i), Content("x", i))
		if i%2 == 0 {
			want = append(want, info)
		}
	}
	put(t, e.Driver, key("d0/none"), storage.Attrs{}, nil)
	put(t, e.Driver, storage.Key{Container: "live-2", Path: "d0/other"}, attrs(1), nil)
	var got []storage.Info
	for info, err := range e.Index.Attributed(context.Background(), "live", "d0/", "") {
		require.NoError(t, err)
		got = append(got, info)
	}
	require.Equal(t, want, got)
	require.Len(t, paths(t, e, "live", "", ""), 600)
}

func indexBounds(t *testing.T, e Engine) {
	for _, p := range []string{"a", "a-b", "a/1", "a/2/x", "a/2/y", "a0", "b"} {
		put(t, e.Driver, key(p), attrs(1), nil)
	}
	require.Equal(t, []string{"a", "a-b", "a/1", "a/2/x", "a/2/y", "a0", "b"}, paths(t, e, "live", "", ""))
	require.Equal(t, []string{"a/1", "a/2/x", "a/2/y"}, paths(t, e, "live", "a/", ""))
	require.Equal(t, []string{"a/2/x", "a/2/y"}, paths(t, e, "live", "a/", "a/1"))
	require.Empty(t, paths(t, e, "live", "a/", "a/2\xff"))
	require.Equal(t, []string{"a0", "b"}, paths(t, e, "live", "", "a/\xff"))
	require.Empty(t, paths(t, e, "none", "", ""))
	for info, err := range e.Index.Attributed(context.Background(), "live", "", "") {
		require.NoError(t, err)
		require.Equal(t, "a", info.Key.Path)
		break
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range e.Index.Attributed(ctx, "live", "", "") {
		require.ErrorIs(t, err, context.Canceled)
	}
}

func indexFollows(t *testing.T, e Engine) {
	put(t, e.Driver, key("stays"), attrs(1), []byte("1"))
	put(t, e.Driver, key("stays"), attrs(2), []byte("22"))
	put(t, e.Driver, key("goes"), attrs(1), nil)
	put(t, e.Driver, key("loses"), attrs(1), nil)
	put(t, e.Driver, key("loses"), storage.Attrs{}, nil)
	require.NoError(t, e.Driver.Delete(context.Background(), key("goes")))
	for range 2 {
		for info, err := range e.Index.Attributed(context.Background(), "live", "", "") {
			require.NoError(t, err)
			require.Equal(t, "stays", info.Key.Path)
			require.Equal(t, attrs(2), info.Attrs)
			require.Equal(t, int64(2), info.Size)
		}
		require.Len(t, paths(t, e, "live", "", ""), 1)
		e = e.Reopen(t)
	}
}

func deleteVersion(t *testing.T, e Engine) {
	ctx := context.Background()
	remover, ok := e.Index.(storage.Remover)
	require.True(t, ok)
	first := put(t, e.Driver, key("d/a"), attrs(1), []byte("1"))
	second := put(t, e.Driver, key("d/a"), attrs(2), []byte("22"))
	require.ErrorIs(t, remover.DeleteVersion(ctx, first), storage.ErrNotFound)
	requireObject(t, e.Driver, key("d/a"), []byte("22"), attrs(2))
	bare := put(t, e.Driver, key("d/b"), storage.Attrs{}, []byte("3"))
	for _, info := range []storage.Info{second, bare} {
		require.NoError(t, remover.DeleteVersion(ctx, info))
		requireAbsent(t, e.Driver, info.Key)
		require.ErrorIs(t, remover.DeleteVersion(ctx, info), storage.ErrNotFound)
	}
	require.Empty(t, paths(t, e, "live", "", ""))
	put(t, e.Driver, key("d/a"), attrs(3), nil)
	require.ErrorIs(t, remover.DeleteVersion(ctx, second), storage.ErrNotFound)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, remover.DeleteVersion(ended, second), context.Canceled)
}

func deleteVersionRaces(t *testing.T, e Engine) {
	ctx := context.Background()
	remover, ok := e.Index.(storage.Remover)
	require.True(t, ok)
	for i := range 50 {
		old := put(t, e.Driver, key("d/a"), attrs(i), []byte("old"))
		done := make(chan error, 1)
		go func() { done <- remover.DeleteVersion(ctx, old) }()
		put(t, e.Driver, key("d/a"), attrs(1000+i), []byte("new"))
		if err := <-done; err != nil && !errors.Is(err, storage.ErrNotFound) {
			require.NoError(t, err)
		}
		requireObject(t, e.Driver, key("d/a"), []byte("new"), attrs(1000+i))
	}
}
