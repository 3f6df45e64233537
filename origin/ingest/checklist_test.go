package ingest

import (
	"bytes"

	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
)

// TestChecklist goes through reference ingest.md section 1, what a naive ingest gets wrong, rule by rule.
func TestChecklist(t *testing.T) {
	for name, rule := range map[string]func(*testing.T, *rig){
		"1 PUT and POST are the same for every extension": func(t *testing.T, g *rig) {
			v := video(50)
			for _, method := range []string{http.MethodPut, http.MethodPost} {
				for _, name := range []string{"x.m3u8", "x.mpd", "x.vtt", "x.cmfv", "x.unknown", "x"} {
					body := map[string][]byte{"x.m3u8": listing(time.Time{}, "", "a.ts"), "x.mpd": []byte("<MPD/>"), "x.cmfv": v.init(t)}[name]
					require.Equal(t, http.StatusOK, g.request(method, 1, name, bytes.NewReader(body)).Code, method+" "+name)
				}
			}
		},
		"2 neither Content-Type nor Content-Length is needed": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/init.cmfv", v.init(t)) // the rig sends neither
			g.live(v, "v", 0, 2)
			require.Len(t, g.segments("v"), 2)
		},
		"3 objects come in any order": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/list.m3u8", listing(time.Time{}, "init.mp4", "1.m4s"))
			head, media, done := v.init(t), v.seconds(0, 2), make(chan int)
			go func() { done <- g.put("v/1.m4s", media) }()
			time.Sleep(100 * time.Millisecond)
			require.Zero(t, len(g.tl.State().Tracks), "nothing is shown before its header is there")
			g.accept("v/init.mp4", head)
			require.Equal(t, http.StatusOK, <-done)
			require.Len(t, g.segments(g.tracks()[0]), 1)
		},
		"4 a body may be silent for several segments": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/init.cmfv", v.init(t))
			send, end := g.stream(1, "v/0.cmfv")
			time.Sleep(50 * time.Second)
			send(v.seconds(0, 2))
			require.Equal(t, http.StatusOK, end(errEOF))
			require.Len(t, g.segments("v"), 1)
		},
		"5 what is refused raises an alarm of ours": func(t *testing.T, g *rig) {
			require.Equal(t, http.StatusBadRequest, g.put("v/x.m3u8", []byte("junk")))
			require.Equal(t, 1, g.counted("rejected malformed"))
			st, _ := g.h.Status(chID)
			require.Equal(t, "malformed: v/x.m3u8", st.LastRejected)
		},
		"6 the rest of a refused body is read": func(t *testing.T, g *rig) {
			body := bytes.NewReader(append([]byte("#EXTM3X"), make([]byte, 1<<20)...))
			require.Equal(t, http.StatusBadRequest, g.request(http.MethodPut, 1, "x.m3u8", body).Code)
			require.Zero(t, body.Len())
		},
		"7 a truncated body replaces nothing": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/init.cmfv", v.init(t))
			g.live(v, "v", 0, 2)
			before := g.segments("v")
			require.Equal(t, http.StatusBadRequest, g.request(http.MethodPut, 1, "v/1.cmfv", cut(v.seconds(2, 4)[:2000])).Code)
			require.Equal(t, before, g.segments("v"))
		},
		"8 the same name with new content after a restart is new": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/init.cmfv", v.init(t))
			g.live(v, "v", 0, 5)
			time.Sleep(10 * time.Second)
			g.live(v, "v", 0, 2)
			segs := g.segments("v")
			require.Len(t, segs, 7)
			require.Equal(t, segs[4].Part+1, segs[5].Part)
			require.Greater(t, segs[5].Number, segs[4].Number)
		},
		"9 one URL takes a track's header and all its segments": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("Streams(v.cmfv)", v.init(t))
			for n := range 3 {
				time.Sleep(2 * time.Second)
				g.accept("Streams(v.cmfv)", v.seconds(float64(2*n), float64(2*n+2)))
			}
			require.Len(t, g.segments("v"), 3)
		},
		"11 other boxes may stand between fragments": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/init.cmfv", v.init(t))
			box := func(name string) []byte { return append([]byte{0, 0, 0, 16}, name+"12345678"...) }
			g.accept("v/0.cmfv", box("styp"), box("sidx"), box("sidx"), box("free"), v.seconds(0, 1), box("emsg"), v.seconds(1, 2), box("mfra"))
			require.Len(t, g.segments("v"), 1)
		},
		"12 chunks of HTTP mean nothing": func(t *testing.T, g *rig) {
			v := video(50)
			send, end := g.stream(1, "Streams(v.cmfv)")
			all := append(v.init(t), v.seconds(0, 2)...)
			for len(all) > 0 {
				n := min(len(all), 333)
				send(all[:n])
				all = all[n:]
			}
			require.Equal(t, http.StatusOK, end(errEOF))
			require.Len(t, g.segments("v"), 1)
		},
		"13 DELETE is a hint": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/init.cmfv", v.init(t))
			g.live(v, "v", 0, 2)
			for _, name := range []string{"v/0.cmfv", "v/init.cmfv", "never"} {
				require.Equal(t, http.StatusOK, g.request(http.MethodDelete, 1, name, strings.NewReader("")).Code)
			}
			g.live(v, "v", 2, 3)
			require.Len(t, g.segments("v"), 3)
		},
		"14 playlists can be read back": func(t *testing.T, g *rig) {
			list := listing(time.Time{}, "", "a.ts")
			g.accept("x.m3u8", list)
			w := g.request(http.MethodGet, 1, "x.m3u8", nil)
			require.Equal(t, string(list), w.Body.String())
			require.Equal(t, http.StatusNotFound, g.request(http.MethodGet, 1, "y.m3u8", nil).Code)
		},
		"16 the challenge comes before the body is read": func(t *testing.T, g *rig) {
			g.channel = &channel.Channel{ID: chID, Ingest: channel.IngestAuth{Users: []channel.User{{Name: "u", Password: "p"}}}}
			body := strings.NewReader("x")
			w := g.request(http.MethodPut, 1, "x.m3u8", body)
			require.Equal(t, http.StatusUnauthorized, w.Code)
			require.Contains(t, strings.Join(w.Header().Values("Www-Authenticate"), ","), "Basic")
			require.Equal(t, 1, body.Len())
		},
		"17 an empty body is a probe": func(t *testing.T, g *rig) {
			for _, name := range []string{"Streams(v.cmfv)", "v/init.cmfv", "x.mpd", "x.ts", ""} {
				require.Equal(t, http.StatusOK, g.put(name), name)
			}
			require.Empty(t, g.tl.State().Tracks)
		},
		"19 pieces of a file are not whole files": func(t *testing.T, g *rig) {
			r := httptest.NewRequest(http.MethodPut, "/v/0.cmfv", strings.NewReader("piece"))
			r.Header.Set("Content-Range", "bytes 5-x/*")
			w := httptest.NewRecorder()
			g.handler(1).ServeHTTP(w, r)
			require.Equal(t, http.StatusBadRequest, w.Code)
		},
		"20 durations are those of the media": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/list.m3u8", bytes.ReplaceAll(listing(time.Time{}, "init.mp4", "0.m4s"), []byte("#EXTINF:2"), []byte("#EXTINF:4")))
			g.accept("v/init.mp4", v.init(t))
			time.Sleep(2 * time.Second)
			g.accept("v/0.m4s", v.seconds(0, 2))
			require.EqualValues(t, 2*v.scale, g.segments(g.tracks()[0])[0].Duration)
		},
		"21 parentheses, escapes and double slashes": func(t *testing.T, g *rig) {
			for _, name := range []string{"/Streams(a.cmfv)", "Streams%28b.cmfv%29", "live//Streams(c.cmfv)"} {
				r := httptest.NewRequest(http.MethodPost, "/"+name, bytes.NewReader(video(50).init(t)))
				w := httptest.NewRecorder()
				g.handler(1).ServeHTTP(w, r)
				require.Equal(t, http.StatusOK, w.Code, name)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { bubble(t, rule) })
	}
}

// The rules of the list that need more are these: 10, TestTimeIsPresentationTimeWithEditsApplied in package demux;
// 15, TestMethodsAndNames; 18, which is about connections, the tests of the whole server.
