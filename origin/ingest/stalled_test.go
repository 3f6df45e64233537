package ingest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// paced is an answer on a connection that has read deadlines.
type paced struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (p paced) SetReadDeadline(t time.Time) error { return p.conn.SetReadDeadline(t) }

// trickle uploads bytes of a sparse track again and again for an hour, and returns the status and for how long it was let.
func (g *rig) trickle(bytes int, every time.Duration) (status int, lasted time.Duration) {
	began := time.Now()
	server, client := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer client.Close()
		for time.Since(began) < time.Hour {
			time.Sleep(every)
			if _, err := client.Write(make([]byte, bytes)); err != nil {
				return
			}
		}
	}()
	w := paced{httptest.NewRecorder(), server}
	g.serve(w, http.MethodPost, 1, "Streams(subs.cmft)", io.Reader(server))
	lasted = time.Since(began)
	_ = server.Close()
	<-done
	return w.Code, lasted
}

func TestHowSlowABodyMayBe(t *testing.T) {
	for name, c := range map[string]struct {
		bytes int
		every time.Duration
		may   bool
	}{
		"a sparse track, a fragment of one small sample a minute": {100, 59 * time.Second, true},
		"a slow segment":       {1000, time.Second, true},
		"speech":               {500, 2 * time.Second, true},
		"a byte a second":      {1, time.Second, false},
		"a chunk now and then": {20, 25 * time.Second, false},
		"nothing":              {1000, 61 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				said := g.told()
				status, lasted := g.trickle(c.bytes, c.every)
				if c.may {
					require.Equal(t, http.StatusOK, status)
					require.GreaterOrEqual(t, lasted, time.Hour)
					return
				}
				require.Equal(t, http.StatusRequestTimeout, status)
				require.Equal(t, time.Minute, lasted)
				require.Equal(t, 1, g.counted("rejected stalled"))
				lines := said()
				require.Contains(t, lines[len(lines)-1], `error="the upload stalled: `)
				require.NotContains(t, lines[len(lines)-1], "timeout", "what the network says, with our addresses")
			})
		})
	}
}

func TestTheAnswerSaysWhichRuleEndedABody(t *testing.T) {
	b := &patientBody{idle: time.Minute, count: 1000, paced: 1000}
	require.EqualError(t, b.stalled(), "the upload stalled: nothing arrived for 1m0s, after 1000 bytes (limits.upload_idle)")
	b.count += 59
	require.EqualError(t, b.stalled(), "the upload stalled: 59 bytes arrived in 1m0s, after 1000, and at least 64 must (limits.upload_idle)")
}
