package fs

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"headwater/storage"
	"headwater/storage/storagetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(m)
}

func openTest(t testing.TB, dir string, opts Options) *Engine {
	t.Helper()
	e, err := Open(dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

func engineIn(t *testing.T, dir string, opts Options) storagetest.Engine {
	e := openTest(t, dir, opts)
	return storagetest.Engine{Driver: e, Journal: e, Index: e, Reopen: func(t *testing.T) storagetest.Engine {
		require.NoError(t, e.Close())
		return engineIn(t, dir, opts)
	}}
}

func TestFileEngineConforms(t *testing.T) {
	for name, opts := range map[string]Options{"with sync": {}, "without sync": {NoSync: true}} {
		t.Run(name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storagetest.Engine { return engineIn(t, t.TempDir(), opts) })
		})
	}
}

func key(path string) storage.Key { return storage.Key{Container: "live", Path: path} }
