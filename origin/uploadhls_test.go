package origin

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
)

// newRigOBS returns a Server whose channels a and b have keys, and what it logs.
func newRigOBS(t *testing.T) (g *rig, logs *bytes.Buffer) {
	t.Helper()
	g = newRig(t, nil, endpointsOf(standard())...)
	with := func(name string, tokens ...string) channel.Channel {
		ch := channel.Default(channel.ID{Group: "default", Name: name})
		ch.Ingest = channel.IngestAuth{Tokens: tokens, Users: []channel.User{{Name: "u", Password: "p"}}}
		return ch
	}
	_, err := g.server.cfg.Channels.Replace(channel.Set{
		Channels: []channel.Channel{with("a", "key-of-a", "key-of-both", "key-of-all"), with("b", "key-of-both", "key-of-b")},
		Template: func(id channel.ID) channel.Channel {
			ch := channel.Default(id)
			ch.Ingest.Tokens = []string{"key-of-all"}
			return ch
		}})
	require.NoError(t, err)
	logs = &bytes.Buffer{}
	g.server.cfg.Logger = slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	g.public = g.server.Public()
	return g, logs
}

func TestIngestAtURLsOfYouTube(t *testing.T) {
	const query = "/http_upload_hls?cid=%s&copy=%d&file=out.m3u8"
	for _, tt := range []struct {
		name, path, key string
		copy            int
		want            int
		channel         string // that took it
		input           int
	}{
		{"at the root the key is that of the channel", "", "key-of-a", 0, 200, "a", 1},
		{"and of another", "", "key-of-b", 0, 200, "b", 1},
		{"a copy goes to the backup", "", "key-of-a", 1, 200, "a", 2},
		{"a key of nobody", "", "key-of-c", 0, 403, "", 0},
		{"no key", "", "", 0, 403, "", 0},
		{"a key of two", "", "key-of-both", 0, 403, "", 0},
		{"a key of those that may appear", "", "key-of-all", 0, 403, "", 0},
		{"below the channel the key is its token", "/in/v1/default/1/a", "key-of-both", 0, 200, "a", 1},
		{"a copy goes to the backup there too", "/in/v1/default/1/a", "key-of-a", 1, 200, "a", 2},
		{"the backup stays what it is", "/in/v1/default/2/a", "key-of-a", 0, 200, "a", 2},
		{"a channel that appears", "/in/v1/default/1/new", "key-of-all", 0, 200, "new", 1},
		{"the key of another channel", "/in/v1/default/1/a", "key-of-b", 0, 401, "", 0},
		{"no key there", "/in/v1/default/1/a", "", 0, 401, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, logs := newRigOBS(t)
			path := tt.path + fmt.Sprintf(query, tt.key, tt.copy)
			list := fmt.Sprintf("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp_upload_hls?cid=%s&copy=%d&file=out0.ts\n", tt.key, tt.copy)
			put := func(path, body string) *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				g.public.ServeHTTP(w, httptest.NewRequest(http.MethodPut, path, bytes.NewReader([]byte(body))))
				return w
			}
			w := put(path, list)
			require.Equal(t, tt.want, w.Code, w.Body)
			answers := w.Body.String()
			answers += put(path, "no playlist of "+tt.key).Body.String()
			answers += put(path+"/../x", list).Body.String()
			if tt.key != "" {
				require.NotContains(t, answers, tt.key)
				require.NotContains(t, logs.String(), tt.key, "a key is a secret")
			}
			if tt.want == 401 {
				require.NotEmpty(t, w.Header().Values("WWW-Authenticate"))
			}
			for _, name := range []string{"a", "b", "new"} {
				for i, in := range g.server.ingest.Report(channel.ID{Group: "default", Name: name}).Inputs {
					took := 0
					if name == tt.channel && i+1 == tt.input {
						took = 1
					}
					require.Equal(t, took, in.Accepted, "%s input %d", name, i+1)
				}
			}
			if tt.want == 401 && tt.key != "" {
				require.Equal(t, 3, g.server.ingest.Report(channel.ID{Group: "default", Name: "a"}).Inputs[0].Rejected, "it is told of")
			}
		})
	}
}

func TestAKeyThatIsTakenBackIsNobodys(t *testing.T) {
	g, _ := newRigOBS(t)
	put := func() int { return g.do(http.MethodGet, "/http_upload_hls?cid=key-of-b&copy=0&file=out.m3u8").Code }
	require.Equal(t, 404, put(), "it may, and there is no such file")
	_, err := g.server.cfg.Channels.Replace(channel.Set{})
	require.NoError(t, err)
	require.Equal(t, 403, put())
}
