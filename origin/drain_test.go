package origin

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDrainEndsAnEndlessUpload(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	s := httptest.NewServer(g.public)
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	e := g.tracks["video"]
	third := e.segment(t, noon.Add(2*segmentLength))
	_, err = fmt.Fprint(conn, "POST /in/v1/default/1/ch/Streams(video.cmfv) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	require.NoError(t, err)
	for _, part := range [][]byte{e.header, e.segment(t, noon), e.segment(t, noon.Add(segmentLength)), third[:len(third)-10]} {
		_, err = fmt.Fprintf(conn, "%x\r\n%s\r\n", len(part), part)
		require.NoError(t, err)
	}
	visible := func() int {
		tl, ok := g.server.timelineOf(chID)
		if !ok {
			return 0
		}
		return len(tl.Following("video", 0, 0, 100))
	}
	require.Eventually(t, func() bool { return visible() == 2 }, 5*time.Second, time.Millisecond)

	g.server.Drain()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(2*time.Second)))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.True(t, res.Close)
	require.Equal(t, 2, visible(), "the fragments that came whole")
}
