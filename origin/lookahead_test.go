package origin

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/playback"
	"headwater/packager/media"
)

// smoothURL returns the path of the fragment of video segment k of the rig's channel, or what else there is of it.
func (g *rig) smoothURL(what string, k int) string {
	g.tb.Helper()
	tl, ok := g.server.timelineOf(chID)
	require.True(g.tb, ok)
	bitrate := 0
	for _, tr := range tl.State().Tracks {
		if tr.Kind == media.Video {
			bitrate = tr.Bitrate
		}
	}
	at := noon.Add(time.Duration(k) * segmentLength).UnixMicro()
	return "/out/v1/default/ch/ism/index.ism/QualityLevels(" + strconv.Itoa(bitrate) + ")/" + what + "(video=" + strconv.FormatInt(at, 10) + ")"
}

// dash.js asks for a fragment as soon as it is announced, and gives up after four refusals.
func TestASmoothFragmentWaitsForThoseThatItAnnounces(t *testing.T) {
	for name, c := range map[string]struct {
		then   func(*rig)
		status int
	}{
		"they come":        {func(g *rig) { g.push(10, 11) }, http.StatusOK},
		"one of two comes": {func(g *rig) { g.push(10, 10); time.Sleep(15 * time.Second) }, http.StatusPreconditionFailed},
		"the server stops": {func(g *rig) { g.server.Drain() }, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, nil, endpointsOf(standard())...)
				g.server.playback = playback.New(segments{g.server.cfg.Store}, playback.Options{Now: g.now})
				g.push(0, 9)
				url, answer := g.smoothURL("Fragments", 9), make(chan *httptest.ResponseRecorder, 1)
				go func() { answer <- g.get(url) }()
				synctest.Wait()
				require.Empty(t, answer)
				c.then(g)
				synctest.Wait()
				require.Len(t, answer, 1)
				require.Equal(t, c.status, (<-answer).Code)
			})
		})
	}
}
