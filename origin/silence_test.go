package origin

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
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
	require.Contains(t, log.String(), "channel is new")
	log.Reset()
	require.Empty(t, said(20*time.Second))
	require.Contains(t, said(21*time.Second), `level=WARN msg="channel is quiet: no segment arrives" channel=default/ch since=2026-03-02T12:00:10`)
	require.Empty(t, said(30*time.Second))
	g.push(20, 20)
	require.Contains(t, said(43*time.Second), `level=INFO msg="channel is fed again" channel=default/ch after=32s`)
	require.Empty(t, said(44*time.Second))
}

func TestAChannelThatWasQuietBeforeTheServerStartedIsNoNews(t *testing.T) {
	var log bytes.Buffer
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 4)
	g.server.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	g.at(noon.Add(10 * time.Minute))
	s := silences{}
	s.look(g.server)
	require.Empty(t, log.String())
	g.push(300, 300)
	s.look(g.server)
	require.Contains(t, log.String(), "channel is fed again")
}

func TestTheLogTellsWhenOneOfTwoInputsFallsQuiet(t *testing.T) {
	var log bytes.Buffer
	g := newRig(t, nil, endpointsOf(standard())...)
	g.server.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s := silences{}
	push := func(k, input int) {
		g.at(noon.Add(time.Duration(k+1) * segmentLength))
		for _, name := range []string{"video", "audio"} {
			e := g.tracks[name]
			body := append(append([]byte(nil), e.header...), e.segment(t, noon.Add(time.Duration(k)*segmentLength))...)
			r := httptest.NewRequest(http.MethodPut, "/in/v1/default/"+strconv.Itoa(input)+"/ch/Streams("+e.name+")", bytes.NewReader(body))
			w := httptest.NewRecorder()
			g.public.ServeHTTP(w, r)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
		}
	}
	said := func() string {
		s.look(g.server)
		defer log.Reset()
		return log.String()
	}
	for k := range 3 {
		push(k, 1)
		push(k, 2)
	}
	require.Contains(t, said(), `msg="channel is new" channel=default/ch`)
	for k := 3; k < 9; k++ {
		push(k, 1)
	}
	require.Contains(t, said(), `level=WARN msg="input is quiet, the other one goes on" channel=default/ch input=2 since=2026-03-02T12:00:06`)
	push(9, 1)
	require.Empty(t, said())
	push(10, 1)
	push(10, 2)
	require.Contains(t, said(), `level=INFO msg="input is fed again" channel=default/ch input=2 after=16s`)
	g.at(g.now().Add(time.Minute))
	require.Contains(t, said(), "channel is quiet")
	require.Empty(t, said(), "its inputs are not told beside it")
}
