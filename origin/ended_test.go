package origin

import (
	"bytes"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/console"
)

func TestAChannelWhoseEncoderToldItsEndIsNoAlarm(t *testing.T) {
	var log bytes.Buffer
	g := newRig(t, nil, endpointsOf(standard())...)
	g.server.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s := silences{}
	said := func(at time.Duration) string {
		g.at(noon.Add(at))
		s.look(g.server)
		defer log.Reset()
		return log.String()
	}
	health := func() console.Health { return g.server.Channels(g.now())[0].Health(g.now()) }
	g.push(0, 4)
	end := []byte("\x00\x00\x00\x08mfra")
	for _, name := range []string{"video", "audio"} {
		e := g.tracks[name]
		require.Equal(t, http.StatusOK, g.upload(e.name, append(bytes.Clone(e.header), end...)))
	}
	at := g.now()
	require.Equal(t, at, *g.pushReport().Inputs[0].Ended)
	require.NotContains(t, said(time.Minute), "quiet")
	require.Empty(t, g.pushReport().Inputs[0].Advice)
	require.Equal(t, console.Ended, health())
	require.Equal(t, at, g.server.Channels(g.now())[0].Inputs[0].Ended)
	require.Equal(t, http.StatusOK, g.get("/out/v1/default/ch/cmaf/index.m3u8").Code)
	require.NotContains(t, g.get("/out/v1/default/ch/cmaf/index_video.m3u8").Body.String(), "ENDLIST", "viewers see a live channel")
	g.push(60, 62)
	require.Nil(t, g.pushReport().Inputs[0].Ended)
	require.Equal(t, console.OK, health())
	require.NotContains(t, said(126*time.Second), "again")
	require.Contains(t, said(150*time.Second), "channel is quiet")
}
