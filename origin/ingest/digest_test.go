package ingest

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// digested returns the header with which the user u answers the challenge to a request.
func digested(t *testing.T, challenge *httptest.ResponseRecorder, method, target, password string) string {
	t.Helper()
	require.Equal(t, http.StatusUnauthorized, challenge.Code)
	nonce := regexp.MustCompile(`algorithm=MD5, nonce="([^"]+)"`).FindStringSubmatch(strings.Join(challenge.Header()["Www-Authenticate"], "\n"))
	require.NotNil(t, nonce)
	sum := func(s string) string { b := md5.Sum([]byte(s)); return hex.EncodeToString(b[:]) }
	response := sum(sum("u:headwater:"+password) + ":" + nonce[1] + ":00000001:c:auth:" + sum(method+":"+target))
	return fmt.Sprintf(`Digest username="u", realm="headwater", nonce="%s", uri="%s", response="%s", algorithm=MD5, cnonce="c", nc=00000001, qop=auth`,
		nonce[1], target, response)
}

// present sends an upload with an Authorization header.
func (g *rig) present(target, header string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, body)
	r.ContentLength = -1
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	w := httptest.NewRecorder()
	g.handler(1).ServeHTTP(w, r)
	return w
}

func TestAnUploadMayAnswerWithADigest(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		challenge := g.present("/v/init.cmfv", "", bytes.NewReader(nil))
		header := digested(t, challenge, http.MethodPost, "/v/init.cmfv", "p")
		require.Equal(t, http.StatusOK, g.present("/v/init.cmfv", header, bytes.NewReader(v.init(t))).Code)
		require.Equal(t, http.StatusUnauthorized, g.present("/v/1.cmfv", header, bytes.NewReader(v.seconds(0, 2))).Code, "it is for one URL")
		wrong := digested(t, challenge, http.MethodPost, "/v/1.cmfv", "x")
		require.Equal(t, http.StatusUnauthorized, g.present("/v/1.cmfv", wrong, bytes.NewReader(v.seconds(0, 2))).Code)
		rejected := g.counted("rejected credentials_missing") + g.counted("rejected digest_uri_wrong") + g.counted("rejected user_or_password_wrong")
		require.Equal(t, 2, rejected, "a request for a challenge is not counted")

		time.Sleep(2 * time.Hour)
		stale := g.present("/v/init.cmfv", header, bytes.NewReader(nil))
		require.Contains(t, stale.Header()["Www-Authenticate"][0], "stale=true")
		header = digested(t, stale, http.MethodPost, "/v/init.cmfv", "p")
		require.Equal(t, http.StatusOK, g.present("/v/init.cmfv", header, bytes.NewReader(v.init(t))).Code)
		require.Zero(t, g.counted("rejected digest_nonce_stale"), "nor is an old one")
	}, func(g *rig) { g.channel = guarded("p") })
}

func TestARunningPushOutlivesItsNonce(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		const target = "/Streams(v.cmfv)"
		header := digested(t, g.present(target, "", bytes.NewReader(nil)), http.MethodPost, target, "p")
		v := video(50)
		r, w := io.Pipe()
		done := make(chan int, 1)
		go func() { done <- g.present(target, header, r).Code }()
		send := func(b []byte) { _, err := w.Write(b); require.NoError(t, err); synctest.Wait() }
		send(v.init(t))
		for n := range 100 {
			time.Sleep(50 * time.Second)
			send(v.seconds(float64(2*n), float64(2*n+2)))
		}
		require.NoError(t, w.Close())
		require.Equal(t, http.StatusOK, <-done)
	}, func(g *rig) { g.channel = guarded("p") })
}
