package ingest

import (
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"headwater/origin/ingest/demux"
)

// FuzzNames reads what names and references say that encoders choose.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"", "live/index00001.ts", "2026-03-02/12/seg-1772452800.m4s", "Streams(a-b.cmfv)", "a%zz?file=x.ts&y", "http://h/in/v1/x",
		"video1080p_3.ts", "\xff\x00", strings.Repeat("9-", 200), "init-stream0.m4s", "//..//", "ä/日本.m3u8"} {
		f.Add(s, "live/index.m3u8")
		f.Add("live/index.m3u8", s)
	}
	f.Fuzz(func(t *testing.T, name, at string) {
		name = path.Clean("/" + name)[1:] // as the handler has it
		at = path.Clean("/" + at)[1:]
		kindOf(name)
		unnumbered(name)
		stem, _ := initStem(name)
		for _, v := range []string{variantOf(path.Dir(name), mediaStem(name)), slug(name), slug(stem), variantOf(dateless(path.Dir(name)), dateless(mediaStem(name)))} {
			require.Regexp(t, `^[A-Za-z0-9-]{1,64}$`, v, "as media.Track has it")
			require.LessOrEqual(t, len(v), 48+16, "there is room for what tells the tracks of a variant apart")
		}
		require.Equal(t, stemKey(name), stemKey(strings.Clone(name)))
		_ = shape(name)
		ref := resolve(at, name)
		require.False(t, strings.HasPrefix(ref, "/"), "%q", ref)
		if below, ok := relative(at, name); ok {
			require.True(t, strings.HasSuffix(name, below))
		}
		said := label(name)
		require.True(t, utf8.ValidString(said) && len(said) <= maxLabel && !strings.ContainsFunc(said, unicode.IsControl), "%q", said)
		require.LessOrEqual(t, len(demux.Language(name)), 35)
	})
}

// FuzzContentRange reads the header of a piece of a growing file.
func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"", "bytes 0-9/*", "bytes 893-1792/*", "bytes 0-9223372036854775807/*", "bytes 5-4/9", "bytes -1-5/*", "bytes 1-2", "octets 1-2/3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		from, to, err := contentRange(value)
		if err == nil {
			require.True(t, from >= 0 && to >= from && to-from+1 > 0)
		}
	})
}
