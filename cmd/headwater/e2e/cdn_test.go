//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cdnSecret is what the CDN tells the origin in User-Agent.
const cdnSecret = "viewers-do-not-know-this"

// cdnConfig makes every endpoint of the channel "behind" ask for the secret.
var cdnConfig = `
channels:
  - group: default
    name: behind
    endpoints:
      - name: cmaf
        container: CMAF
        access: {user_agent_secrets: [` + cdnSecret + `]}
      - name: ts
        container: TS
        access: {user_agent_secrets: [` + cdnSecret + `]}
      - name: ism
        container: ISM
        access: {user_agent_secrets: [` + cdnSecret + `]}
`

// varnish starts the CDN of deploy/varnish in front of a server and returns its base URL.
func varnish(t *testing.T, s *server) string { return varnishThat(t, s, "") }

// varnishThat is varnish with more to do to each request before the origin gets it, in VCL.
func varnishThat(t *testing.T, s *server, more string) string {
	t.Helper()
	dir := t.TempDir()
	vcl, err := filepath.Abs("../../../deploy/varnish")
	require.NoError(t, err)
	for _, name := range []string{"default.vcl", "origin.vcl"} {
		b, err := os.ReadFile(filepath.Join(vcl, name))
		require.NoError(t, err)
		text := strings.NewReplacer(`"8080"`, `"`+strconv.Itoa(s.port)+`"`, `"change-me";`, `"`+cdnSecret+`";`+more).Replace(string(b))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	address := "127.0.0.1:" + strconv.Itoa(freePort(t))
	launch(t, "varnish", []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin"}, lookPath("varnishd"), "-F", "-j", "none", "-a", address,
		"-n", filepath.Join(dir, "work"), "-f", filepath.Join(dir, "default.vcl"), "-p", "vcl_path="+dir, "-s", "malloc,64m")
	require.Eventually(t, func() bool { status, _ := fetch("http://" + address + "/"); return status != 0 },
		15*time.Second, 100*time.Millisecond, "varnish listens")
	return "http://" + address
}

// get returns status and X-Cache of a GET with a User-Agent and further headers, names and values.
func get(t *testing.T, url, agent string, headers ...string) (status int, cache string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("User-Agent", agent)
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := client.Do(req)
	require.NoError(t, err)
	res.Body.Close()
	return res.StatusCode, res.Header.Get("X-Cache")
}

// TestBehindACDNThatKnowsTheSecret puts Varnish in front of the origin as CloudFront would stand there.
func TestBehindACDNThatKnowsTheSecret(t *testing.T) {
	s := serve(t, cdnConfig)
	p := push{pushes[0].name, "behind", pushes[0].options}
	p.run(t, s)
	cdn := varnish(t, s)
	through := func(rest string) string { return cdn + "/out/v1/default/behind/" + rest }
	await(t, 25*time.Second, through(hlsManifest), through(dashManifest), through(mssManifest))

	t.Run("without the secret the origin answers 403 to everything", func(t *testing.T) {
		for _, rest := range []string{hlsManifest, dashManifest, tsManifest, mssManifest, "cmaf/segment_x_1.mp4"} {
			for _, agent := range []string{"", "Mozilla/5.0", cdnSecret + "x", strings.ToUpper(cdnSecret)} {
				status, _ := get(t, s.out("behind", rest), agent)
				require.Equal(t, http.StatusForbidden, status, "%s with %q", rest, agent)
			}
			require.NotEqual(t, http.StatusForbidden, first(get(t, s.out("behind", rest), cdnSecret)), rest)
		}
	})
	t.Run("manifests with different windows are different entries of the cache", func(t *testing.T) {
		now := time.Now().Unix()
		for i, back := range []int64{5, 6} {
			url := fmt.Sprintf("%s?start=%d", through(hlsManifest), now-back)
			status, cache := get(t, url, "a viewer")
			require.Equal(t, 200, status)
			require.Equal(t, "Miss", cache, "window %d", i)
			_, cache = get(t, url, "another viewer")
			require.Equal(t, "Hit", cache, "window %d", i)
		}
	})
	t.Run("what the origin does not read makes no entry of its own", func(t *testing.T) {
		window := fmt.Sprintf("start=%d", time.Now().Unix()-7)
		for _, c := range []struct{ query, header, value, want string }{
			{window, "Accept", "*/*", "Miss"},
			{window + "&utm=1", "Accept", "video/mp4", "Hit"},
			{"restart=3&" + window + "&&starts&aws.manifestfilter2=x", "Cookie", "id=1", "Hit"},
			{window + "&", "Authorization", "Bearer x", "Hit"},
			{window + "&m=7", "Accept", "*/*", "Miss"},
			{"m=7&utm=2&" + window, "Accept", "*/*", "Hit"},
			{window + "&aws.manifestfilter=x", "Accept", "*/*", "Miss"},
			{window, "Origin", "https://one.example", "Miss"},
			{window, "Origin", "https://two.example", "Miss"},
			{window, "Origin", "https://one.example", "Hit"},
			{window, "Host", "live.example", "Miss"},
			{window, "Host", "LIVE.example", "Hit"},
		} {
			status, cache := get(t, through(hlsManifest)+"?"+c.query, "a viewer", c.header, c.value)
			require.Equal(t, 200, status, "%+v", c)
			require.Equal(t, c.want, cache, "%+v", c)
		}
		for _, query := range []string{"?utm=1", "?start", "?"} { // live: start without a value is none
			require.Equal(t, 200, first(get(t, through(hlsManifest)+query, "a viewer")), query)
		}
	})
	t.Run("a segment asked for a second too early is there two seconds later", func(t *testing.T) {
		next := nextSegment(t, through(hlsManifest))
		status, _ := get(t, next, "an eager viewer")
		require.Equal(t, http.StatusNotFound, status, next)
		time.Sleep(500 * time.Millisecond)
		status, cache := get(t, next, "a second viewer")
		if status == http.StatusNotFound {
			require.Equal(t, "Hit", cache, "errors are kept for a second")
		}
		require.Eventually(t, func() bool { st, _ := list(t, through(hlsManifest)); _ = st; return first(get(t, next, "")) == 200 },
			4*time.Second, 200*time.Millisecond, "the segment is there although it was asked for too early")
	})
	t.Run("players play through the CDN", func(t *testing.T) {
		time.Sleep(6 * time.Second)
		const watched = 20 * time.Second
		for name, r := range play(t, watched,
			job{Name: "hls.js", Player: "hlsjs", URL: through(hlsManifest)},
			job{Name: "dash.js", Player: "dashjs", URL: through(dashManifest)},
			job{Name: "dash.js with Smooth", Player: "mss", URL: through(mssManifest)}) {
			t.Run(name, func(t *testing.T) { requirePlayedWell(t, r, watched) })
		}
	})
}

func first(status int, _ string) int { return status }

// nextSegment waits for a new segment and returns the URL of the one after it, which does not exist yet.
func nextSegment(t *testing.T, playlist string) string {
	t.Helper()
	end := func() (uint64, string) {
		l, ok := list(t, playlist)
		require.True(t, ok)
		last := l.first + uint64(len(l.segments)) - 1
		return last, l.segments[last]
	}
	was, _ := end()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if last, url := end(); last > was {
			next := regexp.MustCompile(`_\d+\.mp4`).ReplaceAllString(url, fmt.Sprintf("_%d.mp4", last+1))
			require.NotEqual(t, url, next)
			return next
		}
	}
	t.Fatal("no new segment within 10 s")
	return ""
}
