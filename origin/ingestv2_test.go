package origin

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
)

// guidA and guidB are those of the inputs of the channel ch; guidA is its own too.
const guidA, guidB = "3a1f0c5e8d2b4796a0e1c2d3f4b5a697", "9b8e7d6c5f4a4312b1a0f9e8d7c6b5a4"

// newRigV2 returns a Server with a channel that is known by GUIDs as well, and whose input 2 has credentials of its own.
func newRigV2(t *testing.T) *rig {
	t.Helper()
	g := newRig(t, nil, endpointsOf(standard())...)
	ch := channel.Default(chID)
	ch.Endpoints = endpointsOf(standard())
	ch.V2 = channel.IngestV2{ID: guidA, Inputs: []channel.InputV2{{ID: guidA}, {ID: guidB, Users: []channel.User{{Name: "two", Password: "p"}}}}}
	_, err := g.server.cfg.Channels.Replace(channel.Set{Channels: []channel.Channel{ch}})
	require.NoError(t, err)
	return g
}

// send uploads to a path with the credentials of input 2.
func (g *rig) send(method, path string, body []byte) int {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.SetBasicAuth("two", "p")
	w := httptest.NewRecorder()
	g.public.ServeHTTP(w, r)
	return w.Code
}

func TestIngestInTheShapeOfMediaPackageV1(t *testing.T) {
	list := []byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nchannel_1_00001.ts\n")
	tests := []struct {
		name, path string
		want       int
	}{
		{"the multivariant playlist", "/in/v2/" + guidA + "/" + guidB + "/channel.m3u8", 200},
		{"a playlist beside it", "/in/v2/" + guidA + "/" + guidB + "/channel_1.m3u8", 200},
		{"one below it", "/in/v2/" + guidA + "/" + guidB + "/channel/1.m3u8", 200},
		{"two slashes", "/in/v2/" + guidA + "//" + guidB + "//channel.m3u8", 200},
		{"an input without credentials of its own", "/in/v2/" + guidA + "/" + guidA + "/channel.m3u8", 200},
		{"an unknown channel", "/in/v2/" + guidB + "/" + guidB + "/channel.m3u8", 404},
		{"an unknown input", "/in/v2/" + guidA + "/9b8e7d6c5f4a4312b1a0f9e8d7c6b5a5/channel.m3u8", 404},
		{"names in place of GUIDs", "/in/v2/ch/2/channel.m3u8", 404},
		{"no input", "/in/v2/" + guidA, 404},
		{"what would leave the input", "/in/v2/" + guidA + "/" + guidB + "/../channel.m3u8", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, newRigV2(t).send(http.MethodPut, tt.path, list))
		})
	}
}

func TestAnInputKnownByItsGUIDFillsTheChannel(t *testing.T) {
	g := newRigV2(t)
	base := "/in/v2/" + guidA + "/" + guidB + "/"
	video := g.tracks["video"]
	require.Equal(t, 401, g.do(http.MethodPut, base+"channel.m3u8").Code)
	require.Equal(t, 200, g.send(http.MethodPut, base+"Streams(video.cmfv)", video.header))
	for start := noon; start.Before(noon.Add(3 * segmentLength)); start = start.Add(segmentLength) {
		g.at(start.Add(segmentLength))
		require.Equal(t, 200, g.send(http.MethodPut, base+"Streams(video.cmfv)", video.segment(t, start)))
	}
	require.Equal(t, 200, g.get("/out/v1/default/ch/cmaf/index.m3u8").Code)
	status, ok := g.server.ingest.Status(chID)
	require.True(t, ok)
	require.Equal(t, 3, status.Accepted)
}

func TestMethodsOfWebDAVReachIngest(t *testing.T) {
	g := newRigV2(t)
	for _, base := range []string{"/in/v1/default/2/ch/", "/in/v2/" + guidA + "/" + guidB + "/"} {
		require.Equal(t, 201, g.send("MKCOL", base+"hi/", nil))
		require.Equal(t, 207, g.send("PROPFIND", base, nil))
		require.Equal(t, 405, g.send("LOCK", base+"channel.m3u8", nil))
	}
	w := g.do("PROPFIND", "/out/v1/default/ch/cmaf/index.m3u8")
	require.Equal(t, 405, w.Code)
	require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Allow"))
	require.Equal(t, 404, g.do("PROPFIND", "/nothing").Code)
}
