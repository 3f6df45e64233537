package origin

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	kept    = "max-age=1209600, immutable"
	passing = "max-age=1"
)

// requirePasses asks for a URL, lets more come and asks again: it is another object then, and the first one was not to be
// kept, nor was it when a cache asked whether it is the same.
func (g *rig) requirePasses(url string, more func()) (before, after *httptest.ResponseRecorder) {
	g.tb.Helper()
	before = g.get(url)
	require.Equal(g.tb, http.StatusOK, before.Code, before.Body)
	require.Equal(g.tb, passing, before.Header().Get("Cache-Control"))
	same := g.get(url, "If-None-Match", before.Header().Get("Etag"))
	require.Equal(g.tb, http.StatusNotModified, same.Code)
	require.Equal(g.tb, passing, same.Header().Get("Cache-Control"))
	more()
	after = g.get(url)
	require.Equal(g.tb, http.StatusOK, after.Code, after.Body)
	require.Equal(g.tb, kept, after.Header().Get("Cache-Control"))
	require.NotEqual(g.tb, before.Header().Get("Etag"), after.Header().Get("Etag"))
	return before, after
}

func TestATransportStreamMadeWithoutItsLateAudioIsNotKept(t *testing.T) {
	for _, joined := range []time.Duration{0, 6 * time.Second} {
		t.Run(joined.String(), func(t *testing.T) {
			base := standard()
			base.SegmentDuration = joined
			g := newRig(t, nil, endpointsOf(base)...)
			g.push(0, 6) // and then no audio, until the others stop waiting for it
			for k := 7; k < 18; k++ {
				g.at(noon.Add(time.Duration(k+1) * segmentLength))
				require.Equal(t, http.StatusOK, g.put("video", k, 0))
			}
			name := func(k int) string {
				n := number(k)
				if joined > 0 {
					n /= 3
				}
				return "/out/v1/default/ch/ts/segment_video.audio_" + strconv.FormatInt(n, 10) + ".ts"
			}
			require.Equal(t, kept, g.get(name(3)).Header().Get("Cache-Control"))
			// With joined segments, this one has a third of its audio.
			before, after := g.requirePasses(name(8), func() {
				for k := 7; k < 18; k++ {
					g.put("audio", k, 0)
				}
			})
			require.Less(t, before.Body.Len(), after.Body.Len())
		})
	}
}

func TestASmoothFragmentThatAnnouncesTooLittleIsNotKept(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 9)
	require.Equal(t, http.StatusPreconditionFailed, g.get(g.smoothURL("Fragments", 9)).Code)
	g.at(noon.Add(time.Minute)) // nobody waits any longer
	require.Equal(t, kept, g.get(g.smoothURL("Fragments", 7)).Header().Get("Cache-Control"))
	info := g.get(g.smoothURL("FragmentInfo", 9))
	require.Equal(t, passing, info.Header().Get("Cache-Control"))
	announces := func(fragments int) []byte {
		return append([]byte("\xd4\x80\x7e\xf2\xca\x39\x46\x95\x8e\x54\x26\xcb\x9e\x46\xa7\x9f\x01\x00\x00\x00"), byte(fragments))
	}
	before, after := g.requirePasses(g.smoothURL("Fragments", 9), func() { g.push(32, 40) })
	require.True(t, bytes.Contains(before.Body.Bytes(), announces(0)))
	require.True(t, bytes.Contains(after.Body.Bytes(), announces(2)))
}

// Between the two looks the channel's bitrates are measured higher.
func TestAFinishedWindowStaysAsItIsWhileItsChannelGoesOn(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 29)
	window := "?start=" + itoa(noon.Add(9*time.Second).Unix()) + "&end=" + itoa(noon.Add(31*time.Second).Unix())
	look := func(query string) map[string]string {
		seen := map[string]string{}
		for _, e := range entries {
			l, w := g.play(host + e.path() + query)
			require.NotNil(t, l, w.Body)
			for u, w := range l.answers {
				seen[u] = w.Header().Get("Etag") + w.Body.String()
			}
		}
		return seen
	}
	finished, live := look(window), look("")
	for k := 30; k < 33; k++ {
		g.at(noon.Add(time.Duration(k+1) * segmentLength))
		for _, name := range []string{"video", "audio"} {
			e := g.tracks[name]
			require.Equal(t, http.StatusOK, g.upload(e.name, e.sized(t, noon.Add(time.Duration(k)*segmentLength), 4000)))
		}
	}
	require.Equal(t, finished, look(window))
	require.NotEqual(t, live[host+entries[0].path()], look("")[host+entries[0].path()], "the live one tells of them")
}
