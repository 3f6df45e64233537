package origin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/origin/ingest/demux"
	"headwater/origin/timeline"
	"headwater/packager/media"
)

// filled returns a rig whose channel has a day of segments that nobody stored, and endpoints that show window of it.
func filled(b *testing.B, window, segment time.Duration) *rig {
	b.Helper()
	base := channel.Endpoint{ManifestWindow: window, StartoverWindow: 26 * time.Hour, SegmentDuration: segment}
	g := newRig(b, nil, endpointsOf(base)...)
	ctx := b.Context()
	_, tl, err := g.server.Live(ctx, chID)
	require.NoError(b, err)
	const count = 24 * 60 * 60 / 2
	first := noon.Add(-count * segmentLength)
	part, err := tl.BeginPart(ctx, media.FromUTC(first))
	require.NoError(b, err)
	for _, name := range []string{"video", "audio"} {
		e := g.tracks[name]
		in, err := demux.ParseInit(e.header)
		require.NoError(b, err)
		tr, err := tl.SetTrack(ctx, media.Track{ID: name, Kind: e.kind, Timescale: e.timescale, Bitrate: 1_000_000})
		require.NoError(b, err)
		config, err := tl.SetConfig(ctx, tr.ID, in.Tracks[0].Config)
		require.NoError(b, err)
		for k := range count {
			at := first.Add(time.Duration(k) * segmentLength)
			from, to := e.boundary(at)*int64(e.frame), e.boundary(at.Add(segmentLength))*int64(e.frame)
			_, err := tl.Append(ctx, name, timeline.Add{Locked: true, Segment: media.Segment{Start: from, Duration: to - from,
				Size: 250_000, Hash: uint64(k), Arrived: at.Add(segmentLength).UnixMilli(), Part: part.Ordinal, Config: config}})
			require.NoError(b, err)
		}
	}
	g.at(noon)
	return g
}

// children are the bench's manifests: for HLS a media playlist.
var children = map[string]string{"hls": "index_video.m3u8", "ts": "index_video.audio.m3u8", "groups": "index_audio.m3u8"}

func (e entry) longest() string {
	if child := children[e.name]; child != "" {
		return e.root() + child
	}
	return e.path()
}

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { s.bytes += len(p); return len(p), nil }

func ask(b *testing.B, h http.Handler, path string) {
	u, err := url.Parse(path)
	require.NoError(b, err)
	r := httptest.NewRequest("GET", path, nil)
	r.URL = u
	r.Header.Set("Accept-Encoding", "gzip")
	b.ReportAllocs()
	var s *sink
	for b.Loop() {
		s = &sink{header: http.Header{}}
		h.ServeHTTP(s, r)
	}
	require.Equal(b, 200, s.status)
	b.ReportMetric(float64(s.bytes), "body-B")
}

// BenchmarkManifestWarm is what a manifest costs that others have asked for, without the connection's share.
func BenchmarkManifestWarm(b *testing.B) {
	for _, c := range []struct {
		name            string
		window, segment time.Duration
		query           string
	}{
		{"60s", time.Minute, 0, ""},
		{"24h", 24 * time.Hour, 0, ""},
		{"24h joined", 24 * time.Hour, 6 * time.Second, ""},
		{"start-over 23h joined", time.Minute, 6 * time.Second, "?start=" + noon.Add(-23*time.Hour).Format(time.RFC3339)},
	} {
		g := filled(b, c.window, c.segment)
		for _, e := range entries {
			b.Run(c.name+"/"+e.name, func(b *testing.B) { ask(b, g.public, e.longest()+c.query) })
		}
	}
}

// BenchmarkManifest24hCold is the first request for a day's manifest: window, text, gzip.
func BenchmarkManifest24hCold(b *testing.B) {
	for _, segment := range []time.Duration{0, 6 * time.Second} {
		g := filled(b, 24*time.Hour, segment)
		for _, e := range entries {
			b.Run(fmt.Sprintf("joined %s/%s", segment, e.name), func(b *testing.B) {
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					n++
					w := &sink{header: http.Header{}}
					r := httptest.NewRequest("GET", e.longest()+fmt.Sprintf("?m=%d", n), nil) // another text each time
					r.Header.Set("Accept-Encoding", "gzip")
					g.public.ServeHTTP(w, r)
					if w.status != 200 {
						b.Fatal(w.status)
					}
				}
			})
		}
	}
}

// BenchmarkSegment is a stored segment of 50 KB or so as every endpoint sends it, made once.
func BenchmarkSegment(b *testing.B) {
	g := newRig(b, nil, endpointsOf(standard())...)
	g.push(0, 9)
	for _, e := range entries {
		l, _ := g.play(host + e.path())
		b.Run(e.name, func(b *testing.B) { ask(b, g.public, l.video().segments[2].url[len(host):]) })
	}
}

// BenchmarkConnection compares a warm manifest with a bare handler that writes the same bytes, over one connection each:
// client and server together.
func BenchmarkConnection(b *testing.B) {
	g := filled(b, time.Minute, 0)
	path := entries[0].longest()
	whole := g.get(path, "Accept-Encoding", "gzip")
	body, header := whole.Body.Bytes(), whole.Header()
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		_, _ = w.Write(body)
	})
	for _, c := range []struct {
		name string
		h    http.Handler
	}{{"bare", bare}, {"manifest", g.public}} {
		b.Run(c.name, func(b *testing.B) {
			s := httptest.NewServer(c.h)
			defer s.Close()
			talk(b, s.Listener.Addr().String(), path)
		})
	}
}

func talk(b *testing.B, addr, path string) {
	conn, err := net.Dial("tcp", addr)
	require.NoError(b, err)
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	ask := []byte("GET " + path + " HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
	for b.Loop() {
		if _, err := conn.Write(ask); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
	}
}
