package origin

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/packager/media"
	"headwater/storage"
	"headwater/storage/mem"
)

const host = "http://origin.test"

// contentTypes are those of manifests and media by format.
var contentTypes = map[string][2]string{
	"hls": {"application/vnd.apple.mpegurl", "mp4"}, "dash": {"application/dash+xml", "mp4"}, "time": {"application/dash+xml", "mp4"},
	"ts": {"application/vnd.apple.mpegurl", "video/mp2t"}, "groups": {"application/vnd.apple.mpegurl", "video/mp2t"},
	"smooth": {"text/xml", "mp4"},
}

func TestEveryAdvertisedURLAnswers(t *testing.T) {
	for _, joined := range []time.Duration{0, 6 * time.Second} {
		base := standard()
		base.SegmentDuration = joined
		g := newRig(t, nil, endpointsOf(base)...)
		g.push(0, 34)
		for _, e := range entries {
			t.Run(e.name, func(t *testing.T) {
				l, _ := g.play(host + e.path())
				require.NotNil(t, l)
				for u, w := range l.answers {
					require.Equal(t, contentTypes[e.name][0], w.Header().Get("Content-Type"), u)
					require.Equal(t, "max-age="+map[time.Duration]string{0: "1", 6 * time.Second: "3"}[joined], w.Header().Get("Cache-Control"), u)
				}
				for _, tr := range l.tracks {
					want := contentTypes[e.name][1]
					if want == "mp4" {
						want = tr.kind + "/mp4"
					}
					urls := append([]string{}, tr.inits...)
					for _, s := range tr.segments {
						urls = append(urls, s.url)
					}
					for _, u := range urls {
						w := g.get(u)
						require.Equal(t, 200, w.Code, "%s: %s", u, w.Body)
						require.Equal(t, want, w.Header().Get("Content-Type"), u)
						require.Equal(t, "max-age=1209600, immutable", w.Header().Get("Cache-Control"), u)
						require.NotEmpty(t, w.Header().Get("ETag"), u)
						require.NotEmpty(t, w.Body.Bytes(), u)
					}
				}
			})
		}
	}
}

func TestManifestsOnlyMoveForward(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 4)
	type seen struct {
		first, last time.Time
		sequence    int64
	}
	before := map[string]seen{}
	for k := 5; k < 60; k++ {
		g.at(noon.Add(time.Duration(k+1) * segmentLength))
		for _, track := range []string{"audio", "video"} {
			g.put(track, k, 0)
			for _, e := range entries {
				l, _ := g.play(host + e.path())
				require.NotNil(t, l, e.name)
				b := before[e.name]
				require.False(t, l.first().Before(b.first), e.name)
				require.False(t, l.last().Before(b.last), e.name)
				require.GreaterOrEqual(t, l.sequence, b.sequence, e.name)
				before[e.name] = seen{l.first(), l.last(), l.sequence}
				edge := noon.Add(time.Duration(k) * segmentLength)
				if track == "video" {
					edge = edge.Add(segmentLength)
				}
				if e.name == "smooth" {
					edge = edge.Add(-2 * segmentLength)
				}
				require.Equal(t, edge, l.last(), e.name)
				for _, tr := range l.tracks {
					sum := time.Duration(0)
					for _, s := range tr.segments {
						sum += s.end.Sub(s.start)
					}
					span := tr.segments[len(tr.segments)-1].end.Sub(tr.segments[0].start)
					require.InDelta(t, span.Seconds(), sum.Seconds(), 0.002, "%s: durations sum to the edge", e.name)
				}
			}
		}
	}
}

func TestSegmentsAreTheSameWithAndWithoutWindow(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 29)
	start, end := noon.Add(10*time.Second).Format(time.RFC3339), noon.Add(40*time.Second).Format(time.RFC3339)
	for _, e := range entries {
		t.Run(e.name, func(t *testing.T) {
			plain, _ := g.play(host + e.path())
			known := map[string]string{}
			for _, u := range plain.urls() {
				known[u] = g.get(u).Body.String()
			}
			for _, asked := range []string{
				e.path() + "?start=" + start + "&end=" + end,
				e.root() + "start/" + start + "/end/" + end + "/" + e.manifest,
				e.root() + "end/" + end + "/start/" + start + "/" + e.manifest,
				e.root() + "start/" + start + "/" + e.manifest + "?end=" + end,
			} {
				l, w := g.play(host + asked)
				require.NotNil(t, l, w.Body.String())
				require.Equal(t, "vod", l.state)
				require.Len(t, l.video().segments, 15)
				for _, u := range l.urls() {
					require.Contains(t, known, u, "one name for one segment")
					require.Equal(t, known[u], g.get(u).Body.String())
				}
			}
			m, _ := g.play(host + e.path() + "?m=17")
			for _, u := range m.urls() {
				bare, query, _ := strings.Cut(u, "?")
				require.Equal(t, "m=17", query)
				require.Equal(t, known[bare], g.get(u).Body.String(), "m selects nothing")
			}
		})
	}
}

func TestChildrenOfAWindowedPlaylistCarryTheWindow(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 29)
	for _, e := range entries {
		if !strings.HasSuffix(e.manifest, ".m3u8") {
			continue
		}
		start := noon.Add(10 * time.Second).Format("2006-01-02T15:04:05+00:00")
		l, _ := g.play(host + e.path() + "?m=5&start=" + url.QueryEscape(start) + "&foo=bar")
		require.NotNil(t, l)
		for u := range l.answers {
			if strings.Contains(u, "_") {
				require.True(t, strings.HasSuffix(u, "?m=5&start="+url.QueryEscape(start)), u)
			}
		}
		require.Equal(t, "event", l.state)
		l, _ = g.play(host + e.path() + "?start=" + start) // '+' not escaped
		require.NotNil(t, l)
		require.Equal(t, noon.Add(10*time.Second), l.first())
	}
}

// TestManifestsAreTheSameWheneverTheyAreRendered asks for the same windows of a server, later, and of one that was
// restarted.
func TestManifestsAreTheSameWheneverTheyAreRendered(t *testing.T) {
	var engine *mem.Engine
	store := func(now func() time.Time) (storage.Driver, storage.Journal) {
		if engine == nil {
			engine = mem.New(now)
		}
		return engine, engine
	}
	g := newRig(t, store, endpointsOf(standard())...)
	g.push(0, 29)
	paths := func(e entry) []string {
		return []string{e.path(), e.path() + "?start=" + noon.Add(9*time.Second).Format(time.RFC3339),
			e.path() + "?start=" + noon.Format(time.RFC3339) + "&end=" + noon.Add(21*time.Second).Format(time.RFC3339)}
	}
	want := map[string]string{}
	for _, e := range entries {
		for _, p := range paths(e) {
			l, _ := g.play(host + p)
			for u, w := range l.answers {
				want[u] = w.Body.String() + w.Header().Get("Etag") + w.Header().Get("Last-Modified")
			}
		}
	}
	later := newRig(t, store, endpointsOf(standard())...)
	for _, r := range []*rig{g, later} {
		r.at(noon.Add(64 * time.Second))
		for u := range want {
			w := r.get(u)
			require.Equal(t, want[u], w.Body.String()+w.Header().Get("Etag")+w.Header().Get("Last-Modified"), u)
		}
	}
}

func TestAnEndpointsManifestsFollowItsSettings(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 29)
	path := entries[0].path()
	before, _ := g.play(host + path)
	require.Len(t, before.video().segments, 30)
	base := standard()
	base.ManifestWindow = 30 * time.Second
	_, err := g.server.cfg.Channels.Replace(channel.Set{Template: func(id channel.ID) channel.Channel {
		ch := channel.Default(id)
		ch.Endpoints = endpointsOf(base)
		return ch
	}})
	require.NoError(t, err)
	after, _ := g.play(host + path)
	require.Len(t, after.video().segments, 15, "a reload is in force at once")
}

func TestLastSequence(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 9)
	want := map[string]int64{"hls": number(9), "dash": number(9), "ts": number(9), "groups": number(9),
		"time":   media.FromUTC(noon.Add(18 * time.Second)).Floor(90000),
		"smooth": media.FromUTC(noon.Add(14 * time.Second)).Floor(1_000_000)}
	for _, e := range entries {
		h := g.get(e.path()).Header()
		require.EqualValues(t, []string{itoa(want[e.name])}, h["X-Mediapackage-Manifest-Last-Sequence"], e.name)
		require.Equal(t, []string{itoa(noon.Add(20 * time.Second).UnixMilli())}, h["X-Mediapackage-Manifest-Last-Updated"])
	}
}
