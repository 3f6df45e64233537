package transfer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLastLineOfAPathCountsAndAHalfLineDoesNot(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, AttributesFile)
	require.NoError(t, os.WriteFile(name, []byte(`{"path":"a","cacheControl":"max-age=1"}
{"path":"a","cacheControl":"max-age=2"}
{"path":"b","cach`), 0o644))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	a, err := openAttributes(root)
	require.NoError(t, err)
	require.Equal(t, Attrs{CacheControl: "max-age=2"}, a.of("a"))
	require.Equal(t, Attrs{}, a.of("b"))
	require.Equal(t, Attrs{ContentType: "video/mp2t"}, a.of("c.ts"))

	require.ErrorContains(t, readAll(`{"path":1}`+"\n"), "line 1")
	require.ErrorContains(t, readAll(strings.Repeat("x", maxLine+1)), "line 1")
}

func readAll(text string) error {
	_, _, err := readAttributes(strings.NewReader(text))
	return err
}

func TestLinesAfterAHalfLineAreWhole(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, AttributesFile)
	require.NoError(t, os.WriteFile(name, []byte(`{"path":"b"}`+"\n"+`{"path":"c"`), 0o644))
	f, err := OpenFolder(dir, false)
	require.NoError(t, err)
	require.NoError(t, f.attrs.put("d", Attrs{CacheControl: "x"}))
	require.NoError(t, f.Close())
	f, err = OpenFolder(dir, false)
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, Attrs{CacheControl: "x"}, f.attrs.of("d"))
}

func FuzzAttributes(f *testing.F) {
	for _, s := range []string{"", "\n", `{"path":"a","contentType":"b"}` + "\n", `{"path":"a`, strings.Repeat("x", maxLine)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, size, err := readAttributes(strings.NewReader(text))
		require.Equal(t, err != nil, all == nil)
		require.LessOrEqual(t, size, int64(len(text)))
	})
}
