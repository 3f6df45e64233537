package ingest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// offer uploads b[from:to] as a piece of a growing file, and returns the status.
func offer(t *testing.T, url string, b []byte, from, to int) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(b[from:to]))
	require.NoError(t, err)
	if from > 0 {
		r.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", from, to-1))
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

// requireNoneGrows waits until every growing file has ended.
func (g *rig) requireNoneGrows() {
	g.tb.Helper()
	require.Eventually(g.tb, func() bool {
		g.h.joins.mu.Lock()
		defer g.h.joins.mu.Unlock()
		return len(g.h.joins.open) == 0
	}, 5*time.Second, 10*time.Millisecond)
}

func TestPiecesOfAGrowingFileAreOneStream(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	g, srv := serve(t, func(g *rig) { g.options.Idle = time.Second })
	v := video(50)
	head := v.init(t)
	whole := bytes.Clone(head)
	for n := range 4 {
		whole = append(whole, v.seconds(float64(2*n), float64(2*n+2))...)
	}
	url := srv.URL + "/live.mp4"
	require.Equal(t, http.StatusOK, offer(t, url, whole, 0, len(head)))
	for at := len(head); at < len(whole); at += 1777 { // cut anywhere
		require.Equal(t, http.StatusOK, offer(t, url, whole, at, min(at+1777, len(whole))), at)
	}
	require.Equal(t, http.StatusBadRequest, offer(t, url, whole, len(head), len(whole)), "one that came before")
	require.Eventually(t, func() bool { return len(g.segments("live")) == 4 }, 5*time.Second, 10*time.Millisecond, "the last one at its end")
	regular(t, g.segments("live"), v.scale, 2*time.Second)
	require.Equal(t, media.Video, g.tl.State().Tracks[0].Kind)
	g.requireNoneGrows()
}

func TestTheHeaderOfAGrowingFileMayComeInTwoPieces(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	g, srv := serve(t, func(g *rig) { g.options.Idle = time.Second })
	v := video(50)
	head := v.init(t)
	whole := append(bytes.Clone(head), v.seconds(0, 2)...)
	kind := int(binary.BigEndian.Uint32(head)) // the file type box
	url := srv.URL + "/live.mp4"
	require.Equal(t, http.StatusBadRequest, offer(t, url, whole, 0, kind-1), "half a box")
	require.Equal(t, http.StatusOK, offer(t, url, whole, 0, kind))
	require.Equal(t, http.StatusOK, offer(t, url, whole, kind, len(head)))
	require.Equal(t, http.StatusOK, offer(t, url, whole, len(head), len(whole)))
	require.Eventually(t, func() bool { return len(g.segments("live")) == 1 }, 5*time.Second, 10*time.Millisecond)
	g.requireNoneGrows()
}

func TestPiecesOfWhatIsNoMediaAreCounted(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	g, srv := serve(t, func(g *rig) { g.options.Idle = 200 * time.Millisecond })
	v := video(50)
	g.accept("live.mp4", v.init(t))
	junk := bytes.Repeat([]byte("junk"), 100_000)
	require.Equal(t, http.StatusOK, offer(t, srv.URL+"/live.mp4", junk, 800, len(junk)), "the rest of an upload is read")
	require.Eventually(t, func() bool { return g.counted("rejected media_limit") == 1 }, 5*time.Second, 10*time.Millisecond)
	g.requireNoneGrows()
}

func TestContentRanges(t *testing.T) {
	from, to, err := contentRange("bytes 893-1792/*")
	require.NoError(t, err)
	require.Equal(t, []int64{893, 1792}, []int64{from, to})
	for _, bad := range []string{"", "bytes", "bytes 1-2", "bytes */7", "bytes 2-1/*", "bytes -1-2/*", "bytes 1-9223372036854775808/*", "lines 1-2/*"} {
		_, _, err := contentRange(bad)
		require.Error(t, err, bad)
	}
}
