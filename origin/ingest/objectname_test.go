package ingest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/origin/reply"
)

func TestWhereTheNameOfAnUploadStands(t *testing.T) {
	const gst = `attachment; filename="gst.ts"`
	for _, tt := range []struct{ rest, query, disposition, want string }{
		{"a/b.ts", "", "", "a/b.ts"},
		{"a/b.ts", "token=x&profile=main", "", "a/b.ts"},
		{"live", "cid=KEY&copy=0&file=out0.ts", "", "out0.ts"},
		{"", "", "", "main"},
		{"", "", gst, "gst.ts"},
		{"/", "", gst, "gst.ts"},
		{"live/", "x=1", gst, "live/gst.ts"},
		{"live.ts", "", gst, "live.ts"},
		{"", "file=a.ts", gst, "a.ts"},
		{"", "", `attachment; filename*=UTF-8''g%C3%A4.ts`, "gä.ts"},
		{"live/", "", `attachment; filename=gst.ts`, "live/gst.ts"},
		{"live/", "", `attachment`, "live"},
		{"live/", "", `attachment; filename="`, "live"},
		{"live/", "", `;;;`, "live"},
		{"live/", "", `attachment; filename="../gst.ts"`, ""},
		{"live/", "", `attachment; filename="/etc/gst.ts"`, ""},
		{"live/", "", `attachment; filename="a\\b.ts"`, ""},
		{"live/", "", `attachment; filename=".."`, ""},
		{"live/", "", `attachment; filename*=UTF-8''a%2Fb.ts`, ""},
		{"live/", "", `attachment; filename*=UTF-8''a%00.ts`, ""},
		{"live/", "", `attachment; filename="` + strings.Repeat("x", maxName) + `"`, ""},
	} {
		t.Run(fmt.Sprintf("%s?%s %s", tt.rest, tt.query, tt.disposition[:min(len(tt.disposition), 60)]), func(t *testing.T) {
			r := &http.Request{URL: &url.URL{RawQuery: tt.query}, Header: http.Header{"Content-Disposition": {tt.disposition}}}
			name, err := objectName(tt.rest, r)
			require.Equal(t, tt.want, name)
			if tt.want == "" {
				require.ErrorIs(t, err, reply.ErrBadRequest)
			}
		})
	}
}

func FuzzObjectName(f *testing.F) {
	f.Add("a/../b", "file=../x", `attachment; filename="gst.ts"`)
	f.Add("", "", `attachment; filename*=UTF-8''%2e%2e`)
	f.Add("live/", "", `a; filename*0="x"; filename*1="/y"`)
	f.Add("\x00", "%zz", "\xff")
	f.Fuzz(func(t *testing.T, rest, query, disposition string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Content-Disposition": {disposition}}}
		name, err := objectName(rest, r)
		if err != nil {
			require.ErrorIs(t, err, reply.ErrBadRequest)
			return
		}
		require.Equal(t, path.Clean(name), name)
		require.False(t, strings.HasPrefix(name, "../") || strings.HasPrefix(name, "/") || name == "..")
		require.LessOrEqual(t, len(name), maxName)
	})
}

// curlHTTPSink uploads as GStreamer's element of that name: it asks first, and each packet is a chunk.
func curlHTTPSink(t *testing.T, srv *httptest.Server, path, file string, body []byte) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nUser-Agent: GStreamer curlhttpsink\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\n"+
		"Content-Type: video/mp2t\r\nContent-Disposition: attachment; filename=\"%s\"\r\nExpect: 100-continue\r\n\r\n", path, file)
	require.NoError(t, err)
	answers := bufio.NewReader(c)
	line, err := answers.ReadString('\n')
	require.NoError(t, err)
	if !strings.Contains(line, "100 Continue") {
		res, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(line), answers)), nil)
		require.NoError(t, err)
		return res
	}
	_, err = answers.ReadString('\n')
	require.NoError(t, err)
	chunks := bufio.NewWriter(c)
	for ; len(body) > 0; body = body[188:] {
		_, err = fmt.Fprintf(chunks, "bc\r\n%s\r\n", body[:188])
		require.NoError(t, err)
	}
	_, err = io.WriteString(chunks, "0\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, chunks.Flush())
	res, err := http.ReadResponse(answers, nil)
	require.NoError(t, err)
	return res
}

func TestGStreamerNamesItsFileBesideTheURL(t *testing.T) {
	g, srv := serve(t)
	res := curlHTTPSink(t, srv, "/", "gst.ts", newProgramme(t, 50).seconds(0, 12))
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.ElementsMatch(t, []string{"gst-v", "gst-a"}, g.tracks())
	require.Len(t, g.segments("gst-v"), 6)
	require.Equal(t, "mpeg-ts", g.h.Report(chID).Inputs[0].Protocol)
	res = curlHTTPSink(t, srv, "/live/", "../gst.ts", nil)
	defer res.Body.Close()
	require.Equal(t, http.StatusBadRequest, res.StatusCode, "before the body is asked for")
}

func TestGStreamerIsAskedForCredentialsBeforeItsBody(t *testing.T) {
	_, srv := serve(t, func(g *rig) {
		g.channel = &channel.Channel{ID: chID, Ingest: channel.IngestAuth{Users: []channel.User{{Name: "u", Password: "p"}}}}
	})
	res := curlHTTPSink(t, srv, "/live/", "gst.ts", nil)
	defer res.Body.Close()
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
}
