package console

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

// fixed is a Source that always says the same.
type fixed []ChannelView

func (f fixed) Channels(time.Time) []ChannelView { return f }

func noon() time.Time { return time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC) }

// example is a channel in good health and one whose encoder has stopped, and one that nothing was pushed to.
func example() fixed {
	endpoints := func(name string) []EndpointView {
		base := "/out/v1/" + name
		return []EndpointView{
			{Name: "cmaf", Container: "CMAF", StartoverWindow: 2 * time.Hour, Manifests: []ManifestView{
				{Name: "index", Type: "hls", Path: base + "/cmaf/index.m3u8"},
				{Name: "index", Type: "dash", Path: base + "/cmaf/index.mpd"},
			}},
			{Name: "ts", Container: "TS", StartoverWindow: 2 * time.Hour, Manifests: []ManifestView{
				{Name: "index", Type: "hls", Path: base + "/ts/index.m3u8"}}},
			{Name: "ism", Container: "ISM", Manifests: []ManifestView{{Name: "index", Type: "mss", Path: base + "/ism/index.ism/Manifest"}}},
		}
	}
	video := TrackView{
		ID: "video-hi", Kind: "video", Codec: "avc1.64001e", Bitrate: 240_000, Width: 640, Height: 360, FrameRate: 25,
		SegmentDuration: 2 * time.Second, LastNumber: 967_896_000, LastEnd: noon(), LastArrived: noon().Add(-900 * time.Millisecond),
		Segments: 1812,
	}
	low := video
	low.ID, low.Codec, low.Bitrate, low.Width, low.Height, low.Gaps = "video-lo", "avc1.4d4014", 100_000, 320, 180, 2
	audio := TrackView{
		ID: "audio", Kind: "audio", Codec: "mp4a.40.2", Bitrate: 64_000, SampleRate: 48_000, Channels: 2, Language: "eng",
		SegmentDuration: 2 * time.Second, LastNumber: 967_896_000, LastEnd: noon(), LastArrived: noon().Add(-time.Second), Segments: 1812,
	}
	old := video
	old.LastArrived = noon().Add(-15 * time.Minute)
	return fixed{
		{
			Group: "demo", Name: "clock", Numbering: "epoch", Discontinuities: 1, Tracks: []TrackView{video, low, audio},
			Inputs: []InputView{
				{Number: 1, Active: true, Protocol: "cmaf", Encoder: "headwater-demo", LastPush: noon().Add(-900 * time.Millisecond),
					Accepted: 5437, Rejected: 1, LastReason: "segment 967895990: overlaps <what> is stored",
					LastRejected: noon().Add(-3 * time.Minute)},
				{Number: 2, Held: true, Up: true},
			},
			Endpoints: endpoints("demo/clock"),
		},
		{Group: "news", Name: "studio-2", Numbering: "counter", Tracks: []TrackView{old}, Endpoints: endpoints("news/studio-2"),
			Inputs: []InputView{{Number: 1, Active: true, Protocol: "hls-ts", Encoder: "Lavf/59.27.100",
				LastPush: noon().Add(-15 * time.Minute), Accepted: 90}}},
		{Group: "news", Name: "planned", Endpoints: endpoints("news/planned")},
	}
}

func serve(t *testing.T, opt Options, method, target string) *http.Response {
	t.Helper()
	opt.Now = noon
	h, err := New(opt)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

func TestChannelsAreDescribedWithHealthAndAbsoluteURLs(t *testing.T) {
	r := serve(t, Options{Source: example(), PublicAddr: "0.0.0.0:8080"}, "GET", "http://admin.test:9090/console/api/channels")
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
	var s state
	require.NoError(t, json.Unmarshal([]byte(body(t, r)), &s))
	require.Equal(t, noon().UnixMilli(), s.Now)
	require.Equal(t, "http://admin.test:8080", s.Public)
	require.Equal(t, "http://admin.test:8080", s.Ingest)
	require.Len(t, s.Channels, 3)
	require.Equal(t, []Health{OK, Stale, NoMedia}, []Health{s.Channels[0].Health, s.Channels[1].Health, s.Channels[2].Health})
	require.Equal(t, "http://admin.test:8080/out/v1/demo/clock/ism/index.ism/Manifest", s.Channels[0].Endpoints[2].Manifests[0].URL)
	require.InDelta(t, 7200, s.Channels[0].Endpoints[0].StartoverWindow, 0)
	require.Zero(t, s.Channels[0].Inputs[1].LastPush, "an input that was never used has no instant")
	require.True(t, s.Channels[0].Inputs[1].Held && s.Channels[0].Inputs[1].Up)
	require.NotNil(t, s.Channels[2].Tracks, "lists are never null")
}

func TestHealthFollowsTheNewestSegment(t *testing.T) {
	for name, c := range map[string]struct {
		segment, age time.Duration
		want         Health
	}{
		"a segment has just arrived":                   {2 * time.Second, 0, OK},
		"three segments are missing":                   {2 * time.Second, 6001 * time.Millisecond, Stale},
		"long segments are waited for":                 {10 * time.Second, 29 * time.Second, OK},
		"a pause of seconds between tiny ones is fine": {200 * time.Millisecond, 4 * time.Second, OK},
		"the clock went back":                          {2 * time.Second, -time.Minute, OK},
	} {
		t.Run(name, func(t *testing.T) {
			v := TrackView{SegmentDuration: c.segment, LastArrived: noon().Add(-c.age)}
			require.Equal(t, c.want, v.Health(noon()))
		})
	}
	t.Run("one silent track makes the channel stale", func(t *testing.T) {
		c := ChannelView{Tracks: []TrackView{{LastArrived: noon()}, {}}}
		require.Equal(t, Stale, c.Health(noon()))
	})
	t.Run("one that has ended is not", func(t *testing.T) {
		old := TrackView{LastArrived: noon().Add(-time.Hour), Ended: true}
		require.Equal(t, Ended, old.Health(noon()))
		require.Equal(t, NoMedia, TrackView{Ended: true}.Health(noon()))
		c := ChannelView{Tracks: []TrackView{old}, Ended: noon().Add(-time.Hour)}
		require.Equal(t, Ended, c.Health(noon()))
	})
}

func TestViewersAreSentToTheConfiguredURLAndEncodersToTheListener(t *testing.T) {
	const plain, secure = "0.0.0.0:8080", "https://[::]:8443"
	for name, c := range map[string]struct{ configured, addr, host, play, push string }{
		"configured":                  {"https://live.test/base/", plain, "x:9090", "https://live.test/base", "http://x:8080"},
		"configured, with TLS":        {"https://live.test", secure, "x:9090", "https://live.test", "https://x:8443"},
		"from a name":                 {"", plain, "box.test:9090", "http://box.test:8080", "http://box.test:8080"},
		"from a name, with TLS":       {"", secure, "box.test:9090", "https://box.test:8443", "https://box.test:8443"},
		"from an address with scheme": {"", "http://" + plain, "box.test", "http://box.test:8080", "http://box.test:8080"},
		"from an IPv6 address":        {"", plain, "[::1]:9090", "http://[::1]:8080", "http://[::1]:8080"},
		"from a host with a trap":     {"", plain, "a;script-src", "http://localhost:8080", "http://localhost:8080"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &console{Options: Options{PublicURL: c.configured, PublicAddr: c.addr}}
			require.NoError(t, h.locate())
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = c.host
			require.Equal(t, c.play, h.public(r))
			require.Equal(t, c.push, h.own(r))
		})
	}
}

func TestThePolicyLetsThePageReachAListenerWithTLS(t *testing.T) {
	r := serve(t, Options{Source: example(), PublicAddr: "https://0.0.0.0:8443"}, "GET", "http://box.test:9090/console/")
	require.Contains(t, r.Header.Get("Content-Security-Policy"), "connect-src 'self' https://box.test:8443;")
}

func TestThePageIsConfinedByItsPolicy(t *testing.T) {
	r := serve(t, Options{Source: example(), PublicURL: "https://live.test/x", PublicAddr: ":8080", Version: "v1 <b>"}, "GET", "/console/")
	require.Equal(t, http.StatusOK, r.StatusCode)
	policy := r.Header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'; script-src 'self'")
	require.Contains(t, policy, "connect-src 'self' https://live.test;")
	require.NotContains(t, policy, "unsafe")
	require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"))
	page := body(t, r)
	require.Contains(t, page, "v1 &lt;b&gt;")
	require.NotContains(t, page, "<script>", "no script stands in the page")
	require.NotContains(t, page, "style=", "no style stands in the page")
}

func TestTheScriptFindsItsElementsOnThePage(t *testing.T) {
	opt := Options{Source: example(), PublicAddr: ":8080"}
	page := body(t, serve(t, opt, "GET", "/console/"))
	asked := regexp.MustCompile(`\$\("([^"]+)"\)`).FindAllStringSubmatch(body(t, serve(t, opt, "GET", "/console/assets/console.js")), -1)
	require.NotEmpty(t, asked)
	for _, id := range append(asked, []string{"", "filter"}, []string{"", "order"}) {
		require.Contains(t, page, `id="`+id[1]+`"`)
	}
}

func TestPlayersComeFromTheBinaryOrPinnedFromTheCDN(t *testing.T) {
	files := fstest.MapFS{"web/dist/PLACEHOLDER": {}}
	c := &console{}
	require.NoError(t, c.loadAssets(files))
	require.True(t, c.cdn)
	require.Len(t, c.players, 3)
	for _, p := range c.players {
		require.Regexp(t, `^https://cdn\.jsdelivr\.net/npm/[a-z.]+@[0-9]+\.[0-9]+\.[0-9]+/dist/.+\.js$`, p.URL)
		require.Regexp(t, `^sha384-[A-Za-z0-9+/]{64}$`, p.Integrity)
	}
	for _, n := range []string{"hls.min.js", "dash.all.min.js"} {
		files["web/dist/"+n] = &fstest.MapFile{Data: []byte("player")}
	}
	c = &console{}
	require.NoError(t, c.loadAssets(files))
	require.True(t, c.cdn, "a build with some of the players has none")
	files["web/dist/dash.mss.min.js"] = &fstest.MapFile{Data: []byte("player")}
	c = &console{}
	require.NoError(t, c.loadAssets(files))
	require.False(t, c.cdn)
	require.Equal(t, []script{{URL: "assets/hls.min.js"}, {URL: "assets/dash.all.min.js"}, {URL: "assets/dash.mss.min.js"}}, c.players)
}

func TestAssetsAreRevalidated(t *testing.T) {
	for name, kind := range map[string]string{"console.js": "text/javascript", "console.css": "text/css"} {
		r := serve(t, Options{Source: example(), PublicAddr: ":8080"}, "GET", "/console/assets/"+name)
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.Contains(t, r.Header.Get("Content-Type"), kind)
		h, err := New(Options{Source: example(), PublicAddr: ":8080"})
		require.NoError(t, err)
		again := httptest.NewRequest(http.MethodGet, "/console/assets/"+name, nil)
		again.Header.Set("If-None-Match", r.Header.Get("ETag"))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, again)
		require.Equal(t, http.StatusNotModified, w.Code)
	}
}

func TestOtherRequestsAreNotFound(t *testing.T) {
	opt := Options{Source: example(), PublicAddr: ":8080"}
	for _, c := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/console", http.StatusMovedPermanently},
		{"HEAD", "/console/", http.StatusOK},
		{"GET", "/console/other", http.StatusNotFound},
		{"GET", "/console/assets/players.json", http.StatusNotFound},
		{"GET", "/console/assets/..%2Fpage.html", http.StatusNotFound},
		{"POST", "/console/api/channels", http.StatusMethodNotAllowed},
	} {
		require.Equal(t, c.status, serve(t, opt, c.method, c.target).StatusCode, "%s %s", c.method, c.target)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for _, opt := range []Options{
		{PublicAddr: ":8080"},
		{Source: example()},
		{Source: example(), PublicAddr: "8080"},
		{Source: example(), PublicAddr: "ftp://127.0.0.1:8080"},
		{Source: example(), PublicURL: "https://live.test"},
		{Source: example(), PublicAddr: ":8080", PublicURL: "live.test"},
		{Source: example(), PublicAddr: ":8080", PublicURL: "ftp://live.test"},
		{Source: example(), PublicAddr: ":8080", PublicURL: "https://live.test;script-src"},
	} {
		_, err := New(opt)
		require.Error(t, err)
	}
}
