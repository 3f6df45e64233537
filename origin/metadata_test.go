package origin

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/console"
	"headwater/origin/timeline"
	"headwater/packager/media"
)

func TestNoManifestHasMetadataAndNobodyCanAskForIt(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 4)
	o, ok := g.server.timelineOf(g.server.cfg.Channels.List()[0].ID)
	require.True(t, ok)
	tr, err := o.SetTrack(t.Context(), media.Track{ID: "scte", Kind: media.Metadata, Timescale: 90000})
	require.NoError(t, err)
	c, err := o.SetConfig(t.Context(), tr.ID, &media.Config{ID: "c0ffee00", Header: []byte("header"), Codec: "evte"})
	require.NoError(t, err)
	video, _ := o.Last("video")
	add := video
	v, _ := o.Track("video")
	add.Start = media.At(video.Start, v.Timescale).Round(90000)
	add.Duration, add.Config, add.Arrived = 180000, c, video.Arrived-time.Hour.Milliseconds()
	_, err = o.Append(t.Context(), "scte", timeline.Add{Segment: add})
	require.NoError(t, err)

	for _, path := range []string{"cmaf/index.m3u8", "cmaf/index.mpd", "ts/index.m3u8", "ism/index.ism/Manifest"} {
		w := g.get("/out/v1/default/ch/" + path)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.NotContains(t, w.Body.String(), "scte", path)
		require.NotContains(t, w.Body.String(), "metadata", path)
	}
	for _, path := range []string{"cmaf/index_scte.m3u8", "cmaf/segment_scte_c0ffee00_init.mp4", "cmaf/segment_scte_1.mp4", "ts/index_scte.m3u8",
		"ts/segment_scte_1.ts", "ts/segment_video_scte_1.ts", "ism/index.ism/QualityLevels(1)/Fragments(metadata=0)"} {
		code := g.get("/out/v1/default/ch/" + path).Code
		require.Contains(t, []int{http.StatusNotFound, http.StatusBadRequest}, code, path)
	}
	view := g.server.Channels(g.now())[0]
	require.Equal(t, console.OK, view.Health(g.now()), "one that is late is no alarm")
	last := view.Tracks[len(view.Tracks)-1]
	require.True(t, strings.EqualFold("metadata", last.Kind))
	require.Zero(t, last.Gaps)
	require.Equal(t, 1, last.Segments)
}
