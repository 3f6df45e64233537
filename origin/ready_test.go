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

func TestAServerThatCannotStoreIsNotReady(t *testing.T) {
	g, disk := newStubbornRig(t)
	admin := g.server.Admin()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		ready := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			admin.ServeHTTP(w, httptest.NewRequest(method, "/readyz", nil))
			return w
		}
		disk.refuses = false
		require.Equal(t, http.StatusOK, ready().Code)
		disk.refuses = true
		w := ready()
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Contains(t, w.Body.String(), "storage: no_space")
	}
}

// A body that no handler reads is waited for, but not for ever.
func TestABodyThatNobodyWantsHoldsNoConnection(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	for name, handler := range map[string]http.Handler{"public": g.public, "admin": g.server.Admin()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(handler)
			t.Cleanup(s.Close)
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = fmt.Fprint(conn, "GET /out/v1/default/ch/cmaf/index.m3u8 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(unwanted+5*time.Second)))
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer res.Body.Close()
			require.Equal(t, http.StatusNotFound, res.StatusCode)
		})
	}
}
