package playback

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/packager/cmaf"
	"headwater/storage"
)

// object is a stored object in memory.
type object struct{ *bytes.Reader }

func (object) Close() error { return nil }

func stored(b []byte) *storage.Object {
	return &storage.Object{Info: storage.Info{Size: int64(len(b))}, Body: object{bytes.NewReader(b)}}
}

func TestContentIsItsPiecesEndToEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, want := &content{}, []byte(nil)
		for range rapid.IntRange(0, 5).Draw(t, "pieces") {
			b := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes")
			from := rapid.IntRange(0, len(b)).Draw(t, "from")
			size := rapid.IntRange(0, len(b)-from).Draw(t, "size")
			if rapid.Bool().Draw(t, "stored") {
				c.addObject(stored(b), int64(from), int64(size))
			} else {
				c.addBytes(b[from : from+size])
			}
			want = append(want, b[from:from+size]...)
		}
		require.EqualValues(t, len(want), c.size)
		require.NoError(t, iotest.TestReader(c, want))

		from := rapid.IntRange(0, len(want)).Draw(t, "range from")
		size := rapid.IntRange(0, len(want)-from).Draw(t, "range size")
		cut := &content{}
		cut.addSpan(c, cmaf.Span{From: int64(from), Size: int64(size)})
		got, err := io.ReadAll(cut)
		require.NoError(t, err)
		require.Equal(t, string(want[from:from+size]), string(got))

		_, err = c.Seek(int64(from), io.SeekStart)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		n, err := io.CopyN(&sender{ResponseWriter: w, content: c}, c, int64(size))
		require.NoError(t, err)
		require.EqualValues(t, size, n)
		require.Equal(t, string(want[from:from+size]), w.Body.String())
		rest, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, string(want[from+size:]), string(rest), "reading goes on where sending ended")
	})
}

func TestContentTellsOfAnObjectThatIsShorterThanItWas(t *testing.T) {
	c := &content{}
	c.addObject(stored([]byte("short")), 0, 100)
	_, err := c.ReadAt(make([]byte, 100), 0)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	n, err := c.send(httptest.NewRecorder(), 100)
	require.EqualValues(t, 5, n)
	require.Error(t, err)
}

// timed is a ResponseWriter that tells how many deadlines it was given.
type timed struct {
	*httptest.ResponseRecorder
	deadlines int
}

func (t *timed) SetWriteDeadline(time.Time) error {
	t.deadlines++
	return nil
}

func TestEachStrideOfAnAnswerHasTimeOfItsOwn(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	c, w := &content{}, &timed{ResponseRecorder: httptest.NewRecorder()}
	c.addBytes(body[:300_000])
	c.addObject(stored(body), 300_000, 700_000)
	n, err := c.send(w, int64(len(body)))
	require.NoError(t, err)
	require.EqualValues(t, len(body), n)
	require.Equal(t, string(body), w.Body.String())
	require.Equal(t, 2+3, w.deadlines)
}

func TestEachStrideOfSeveralRangesHasTimeOfItsOwn(t *testing.T) {
	c, w := &content{}, &timed{ResponseRecorder: httptest.NewRecorder()}
	c.addBytes(make([]byte, 1<<20))
	w.Header().Set("Content-Type", "video/mp4")
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Range", "bytes=0-499999,500000-999999")
	http.ServeContent(&sender{ResponseWriter: w, content: c}, r, "", time.Time{}, c)
	require.Equal(t, http.StatusPartialContent, w.Code)
	require.GreaterOrEqual(t, w.deadlines, 4)
}

func TestAFaultOfMappedFilesIsTheDisks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "segment")
	require.NoError(t, os.WriteFile(file, make([]byte, 1<<20), 0o600))
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	data, unmap, err := (&storage.Object{Info: storage.Info{Size: 1 << 20}, Body: f}).Map()
	require.NoError(t, err)
	defer unmap()
	require.NoError(t, os.Truncate(file, 0))
	err = mapped(func() error {
		if data[1<<19] != 0 {
			return io.EOF
		}
		return nil
	})
	if runtime.GOOS == "linux" { // elsewhere it is a copy
		require.ErrorIs(t, err, storage.ErrIO)
	}
	require.PanicsWithValue(t, "else", func() { _ = mapped(func() error { panic("else") }) })
}

func TestBuffersAreUsedAgainForWhatHasAboutTheirSize(t *testing.T) {
	b := &buffers{limit: 3 << 20}
	first := b.take(1 << 20)
	require.Empty(t, first)
	b.put(append(first, 1))
	require.Less(t, cap(b.take(100<<10)), 1<<20, "a small segment leaves a large buffer alone")
	again := b.take(1 << 20)
	require.Empty(t, again)
	require.Equal(t, &first[:1][0], &again[:1][0])
	require.NotSame(t, &first[:1][0], &b.take(1 << 20)[:1][0], "it is in use")
	for range 10 {
		b.put(make([]byte, 1<<20))
	}
	require.LessOrEqual(t, b.size, b.limit)
	require.Len(t, b.free, 3)
}
