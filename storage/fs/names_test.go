package fs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/storage"
)

func TestFileNames(t *testing.T) {
	for path, want := range map[string]string{
		"a":                             "a",
		"a/b/c.mp4":                     "a+/b+/c.mp4",
		"a+/b%":                         "a%2B+/b%25",
		"a b/é":                         "a%20b+/%C3%A9",
		"Streams(a=b)":                  "Streams(a=b)",
		strings.Repeat("x", 250):        strings.Repeat("x", 250),
		strings.Repeat("x", 251):        strings.Repeat("x", 250) + "%/x",
		strings.Repeat("x", 249) + "%":  strings.Repeat("x", 249) + "%/%25",
		strings.Repeat("x", 251) + "/y": strings.Repeat("x", 250) + "%/x+/y",
	} {
		require.Equal(t, want, fileName(path))
	}
}

func TestNamesOfOthersAreNotObjects(t *testing.T) {
	for _, name := range []string{"", "+", "%", "a b", "a%2b", "a%2", "a%41", "%%41", "é", "a++", "lost+found", strings.Repeat("x", 251)} {
		_, _, ok := parseName(name)
		require.False(t, ok, "%q", name)
	}
}

// pathOf is the inverse of fileName, by way of parseName.
func pathOf(t *testing.T, file string) string {
	var path strings.Builder
	names := strings.Split(file, "/")
	for i, name := range names {
		raw, mark, ok := parseName(name)
		require.True(t, ok, "%q", name)
		require.Equal(t, i == len(names)-1, mark == 0, "only the last name has no mark")
		path.WriteString(raw)
		if mark == dirMark {
			path.WriteByte('/')
		}
	}
	return path.String()
}

func FuzzFileName(f *testing.F) {
	for _, seed := range []string{"a", "a/b", "%", "+/+", "é", strings.Repeat("%", 300), strings.Repeat("x", 900), "a/..x/.b",
		strings.Repeat("x", 250) + ".", strings.Repeat("x", 250) + "../a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if storage.ValidatePath(path) != nil {
			return
		}
		file := fileName(path)
		for name := range strings.SplitSeq(file, "/") {
			require.LessOrEqual(t, len(name), 255)
			require.NotContains(t, []string{"", ".", ".."}, name)
			require.False(t, strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r > 0x7e }))
		}
		require.Equal(t, path, pathOf(t, file))
	})
}

func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"a", "a+", "a%", "a%20", "%C3%A9+", "%", "+", "a%2", "a%zz", "%2E", "%2E%2E+", ".", strings.Repeat("x", 251)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		raw, mark, ok := parseName(name)
		if !ok {
			return
		}
		var b strings.Builder
		before := ""
		if raw == "." || raw == ".." { // only as what is left of a long element
			before = strings.Repeat("x", maxPiece)
		}
		writeElement(&b, before+raw)
		if mark != 0 {
			b.WriteByte(mark)
		}
		_, written, _ := strings.Cut("/"+b.String(), before+"%/")
		if before == "" {
			written = b.String()
		}
		require.Equal(t, name, written, "what is understood is what would be written")
	})
}
