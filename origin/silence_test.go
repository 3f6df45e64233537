package origin

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheLogTellsOnceWhenAChannelFallsQuietAndWhenItIsFedAgain(t *testing.T) {
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
	require.Empty(t, said(0), "nothing was ever pushed")
	g.push(0, 4)
	require.Empty(t, said(20*time.Second))
	require.Contains(t, said(21*time.Second), `level=WARN msg="channel is quiet: no segment arrives" channel=default/ch since=2026-03-02T12:00:10`)
	require.Empty(t, said(30*time.Second))
	g.push(20, 20)
	require.Contains(t, said(43*time.Second), `level=INFO msg="channel is fed again" channel=default/ch after=32s`)
	require.Empty(t, said(44*time.Second))
}
