package fs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/storage"
)

// content returns what is stored under path, or the error.
func content(e *Engine, path string) (string, error) {
	obj, err := e.Open(context.Background(), key(path))
	if err != nil {
		return "", err
	}
	defer obj.Body.Close()
	b, err := io.ReadAll(obj.Body)
	return string(b), err
}

func TestADirectoryThatWasRemovedAndMadeAgainIsReadAnew(t *testing.T) {
	e := openTest(t, t.TempDir(), Options{NoSync: true})
	s := storage.New(e, storage.Options{})
	for round := range 3 {
		want := fmt.Sprint("round ", round)
		_, err := s.Put(t.Context(), key("a/b/c"), storage.Attrs{}, bytes.NewReader([]byte(want)))
		require.NoError(t, err)
		for range 2 {
			got, err := content(e, "a/b/c")
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		_, err = content(e, "a/b/d")
		require.ErrorIs(t, err, storage.ErrNotFound)
		require.NoError(t, s.Delete(t.Context(), key("a/b/c")))
		_, err = content(e, "a/b/c")
		require.ErrorIs(t, err, storage.ErrNotFound)
	}
}

func TestOnlySoManyDirectoriesStayOpen(t *testing.T) {
	e := openTest(t, t.TempDir(), Options{NoSync: true})
	s := storage.New(e, storage.Options{})
	const more = maxHandles + 20
	name := func(i int) string { return fmt.Sprintf("dir%d/x", i%more) }
	for i := range more {
		_, err := s.Put(t.Context(), key(name(i)), storage.Attrs{}, bytes.NewReader([]byte(name(i))))
		require.NoError(t, err)
	}
	var readers sync.WaitGroup
	for r := range 4 {
		readers.Go(func() {
			for i := range more {
				if got, err := content(e, name(i*7+r)); err != nil || got != name(i*7+r) {
					t.Errorf("%s: %q %v", name(i*7+r), got, err)
				}
			}
		})
	}
	readers.Wait()
	require.Len(t, e.handles.open, maxHandles)
}
