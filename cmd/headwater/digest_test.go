package main

import (
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/auth"
)

func TestANonceLastsAsLongAsItsConnection(t *testing.T) {
	var age atomic.Int64
	digest, users := auth.NewDigest(), auth.Credentials{Users: []auth.User{{Name: "u", Password: "p"}}}
	app := &fake{public: func(w http.ResponseWriter, r *http.Request) {
		d := digest.Check(users, r, time.Unix(age.Load(), 0))
		fmt.Fprint(w, d.Reason, " ", d.Err() == nil)
		var offer *auth.RefusedError
		if errors.As(d.Err(), &offer) {
			fmt.Fprint(w, strings.Join(offer.Challenge, "\n"))
		}
	}}
	r := start(t, yamlFile(t, "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"), app)
	ask := func(c *http.Client, header string) string {
		req, err := http.NewRequest(http.MethodGet, r.public+"/x", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", header)
		resp, err := c.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
	one, other := &http.Client{Transport: &http.Transport{}}, &http.Client{Transport: &http.Transport{}}
	defer one.CloseIdleConnections()
	defer other.CloseIdleConnections()

	nonce := regexp.MustCompile(`MD5, nonce="([^"]+)"`).FindStringSubmatch(ask(one, ""))[1]
	sum := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	header := fmt.Sprintf(`Digest username=u, nonce=%s, uri="/x", cnonce=c, nc=00000001, qop=auth, response=%s`, nonce,
		sum(sum("u:headwater:p")+":"+nonce+":00000001:c:auth:"+sum("GET:/x")))
	require.Equal(t, "user true", ask(one, header))
	age.Store(int64(auth.NonceLifetime / time.Second))
	require.Equal(t, "user true", ask(one, header))
	require.Contains(t, ask(other, header), auth.ReasonStale)
	one.CloseIdleConnections()
	require.Contains(t, ask(one, header), auth.ReasonStale, "on a new connection it is old")
	r.end(t)
}
