package ingest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFoldersAreThereAndMayBeMade(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		for range 2 {
			require.Equal(t, http.StatusCreated, g.request("MKCOL", 1, "hi/", nil).Code, "again is no mistake")
		}
		for _, folder := range []string{"", "hi", "hi/", "a.b/"} {
			w := g.request("PROPFIND", 1, folder, strings.NewReader(`<propfind xmlns="DAV:"><allprop/></propfind>`))
			require.Equal(t, http.StatusMultiStatus, w.Code, folder)
			require.Equal(t, "/"+folder, found(t, w.Body.String()).href)
			require.True(t, found(t, w.Body.String()).folder, folder)
		}
		g.clean()
	})
}

func TestAFileIsFoundWhenItCanBeReadBack(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		require.Equal(t, http.StatusNotFound, g.request("PROPFIND", 1, "a&b.m3u8", nil).Code)
		g.accept("a&b.m3u8", listing(time.Time{}, "", "a0.ts"))
		w := g.request("PROPFIND", 1, "a&b.m3u8", nil)
		require.Equal(t, http.StatusMultiStatus, w.Code)
		require.Equal(t, resource{"/a&b.m3u8", false}, found(t, w.Body.String()))
		require.Equal(t, http.StatusNotFound, g.request("PROPFIND", 2, "a&b.m3u8", nil).Code, "the other input did not send it")
		require.Equal(t, http.StatusNotFound, g.request("PROPFIND", 1, "a0.ts", nil).Code)
		require.Equal(t, http.StatusBadRequest, g.request("PROPFIND", 1, "../x", nil).Code)
	})
}

func TestOptionsTellOfWebDAV(t *testing.T) {
	g := newRig(t)
	w := g.request(http.MethodOptions, 1, "a.m3u8", nil)
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Contains(t, w.Header(), "DAV", "not Dav")
	for _, method := range []string{"PUT", "DELETE", "MKCOL", "PROPFIND"} {
		require.Contains(t, w.Header().Get("Allow"), method)
	}
	for _, method := range []string{"LOCK", "MOVE", "PROPPATCH"} {
		w = g.request(method, 1, "a.m3u8", nil)
		require.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
		require.Contains(t, w.Header().Get("Allow"), "MKCOL")
	}
}

func TestWebDAVAsksForCredentialsToo(t *testing.T) {
	g := newRig(t, func(g *rig) { g.channel = guarded("p") })
	for _, method := range []string{http.MethodOptions, "MKCOL", "PROPFIND", http.MethodDelete} {
		w := g.request(method, 1, "hi/", nil)
		require.Equal(t, http.StatusUnauthorized, w.Code, method)
		require.Len(t, w.Header().Values("Www-Authenticate"), 3, "Digest with two algorithms, and Basic")
	}
	require.Zero(t, g.counted("rejected credentials_missing"))
}

// resource is what PROPFIND tells of the one thing that it finds.
type resource struct {
	href   string
	folder bool
}

func found(t *testing.T, body string) resource {
	t.Helper()
	var m struct {
		XMLName   xml.Name `xml:"DAV: multistatus"`
		Responses []struct {
			Href       string    `xml:"DAV: href"`
			Collection *struct{} `xml:"DAV: propstat>prop>resourcetype>collection"`
			Status     string    `xml:"DAV: propstat>status"`
		} `xml:"DAV: response"`
	}
	require.NoError(t, xml.Unmarshal([]byte(body), &m), body)
	require.Len(t, m.Responses, 1)
	require.Equal(t, "HTTP/1.1 200 OK", m.Responses[0].Status)
	return resource{m.Responses[0].Href, m.Responses[0].Collection != nil}
}

// mediaLive makes the files of an HLS output group with two outputs, as MediaLive names them: channel_1_00001.ts.
func mediaLive(t *testing.T) (segment func(output, n int) []byte) {
	t.Helper()
	dir := t.TempDir()
	for output := 1; output <= 2; output++ {
		cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25", "-f", "lavfi",
			"-i", "sine=sample_rate=48000", "-t", "8", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-sc_threshold", "0", "-c:a", "aac",
			"-f", "hls", "-hls_time", "2", "-hls_list_size", "0", "-start_number", "1",
			"-hls_segment_filename", filepath.Join(dir, fmt.Sprintf("channel_%d_%%05d.ts", output)), filepath.Join(dir, "x.m3u8"))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return func(output, n int) []byte {
		b, err := os.ReadFile(filepath.Join(dir, segmentName(output, n)))
		require.NoError(t, err)
		return b
	}
}

func segmentName(output, n int) string { return fmt.Sprintf("channel_%d_%05d.ts", output, n) }

func TestMediaLiveHLSBasicPut(t *testing.T) {
	segment := mediaLive(t)
	// A redundant manifest names the playlists of both pipelines.
	const master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900000\nchannel_1.m3u8\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=900000\nhttps://origin.example/in/v1/g/2/c/channel_1.m3u8\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=400000\nchannel_2.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=400000\n../../2/c/channel_2.m3u8\n"
	bubble(t, func(t *testing.T, g *rig) {
		began := time.Now().UTC()
		for n := 1; n <= 4; n++ {
			time.Sleep(2 * time.Second)
			for output := 1; output <= 2; output++ {
				if n > 2 {
					gone := g.request(http.MethodDelete, 1, segmentName(output, n-2), http.NoBody)
					require.Equal(t, http.StatusOK, gone.Code, "it may come before the playlist without it")
				}
				g.accept(segmentName(output, n), segment(output, n))
				first := max(1, n-1)
				list := []string{segmentName(output, first)}
				if n > first {
					list = append(list, segmentName(output, n))
				}
				at := began.Add(time.Duration(first-1) * 2 * time.Second)
				g.accept(fmt.Sprintf("channel_%d.m3u8", output), packed(t, listing(at, "", list...)))
			}
			g.accept("channel.m3u8", packed(t, []byte(master)))
		}
		require.ElementsMatch(t, []string{"channel-1-v", "channel-1-a", "channel-2-v", "channel-2-a"}, g.tracks())
		for _, track := range []string{"channel-1-v", "channel-2-v"} {
			segs := g.segments(track)
			require.Len(t, segs, 4, "what left the encoder's window stays")
			regular(t, segs, 90_000, 2*time.Second)
		}
		w := g.request(http.MethodGet, 1, "channel.m3u8", nil)
		require.Equal(t, master, w.Body.String(), "unpacked")
		g.clean()
	})
}

func TestAPackedPlaylistIsTakenWithAndWithoutItsHeader(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		list := listing(time.Time{}, "", "a0.ts")
		g.accept("a.m3u8", packed(t, list))
		for what, body := range map[string][]byte{"packed as it says": packed(t, list), "not packed though it says so": list} {
			r := httptest.NewRequest(http.MethodPut, "/a.m3u8", bytes.NewReader(body))
			r.Header.Set("Content-Encoding", "gzip")
			w := httptest.NewRecorder()
			g.handler(1).ServeHTTP(w, r)
			require.Equal(t, http.StatusOK, w.Code, what)
		}
	})
}
