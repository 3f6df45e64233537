package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
)

func TestOBSPushesSegmentsWhoseNamesAreInTheQuery(t *testing.T) {
	g, srv := serve(t, func(g *rig) {
		g.channel = &channel.Channel{ID: chID, Ingest: channel.IngestAuth{Tokens: []string{"KEY"}}}
	})
	url := func(file string) string { return "/http_upload_hls?cid=KEY&copy=0&file=" + file }
	put := func(path string, body []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL+path, struct{ *bytes.Reader }{bytes.NewReader(body)}) // chunked
		require.NoError(t, err)
		r.Header.Set("User-Agent", "libobs/30")
		res, err := srv.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
	}
	ts, began := newProgramme(t, 50), time.Now().UTC().Truncate(time.Second)
	var listed []string
	for n := range 3 {
		file := fmt.Sprintf("out%d.ts", n)
		listed = append(listed, url(file)[1:])
		put(url("out.m3u8"), listing(began, "", listed...))
		put(url(file), ts.seconds(float64(2*n), float64(2*n+2)))
	}
	require.ElementsMatch(t, []string{"out-v", "out-a"}, g.tracks())
	segs := g.segments("out-v")
	regular(t, segs, 90_000, 2*time.Second)
	require.Len(t, segs, 3)
	require.Equal(t, began, startOf(segs[0], 90_000), "the playlist's programme date-time is its segment's")
	in := g.h.Report(chID).Inputs[0]
	require.Equal(t, "hls-ts", in.Protocol)
	require.Equal(t, "pdt", in.Clock)
	require.False(t, in.Unlisted)
	put("/live2.ts?cid=KEY&x=1/2", newProgramme(t, 50).seconds(0, 2))
	put("/v/init.mp4?cid=KEY", video(50).init(t))
	require.Contains(t, g.tracks(), "live-v", "another query is no part of a name")
}
