package ingest

import (
	"bytes"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzUpload pushes any body under any name, after an init segment that may be its own: no panic, no status of the
// server's own failure, nothing left open, and nothing visible of what was refused but whole segments of a stream.
func FuzzUpload(f *testing.F) {
	v, a := video(50), audio()
	muxed := initOf(f, spss[0], v, a)
	own := v.init(f)
	seg := v.seconds(0, 2)
	names := []string{"", "v/1.m4s", "Streams(v.cmfv)", "x.m3u8", "x.mpd", "a/b/c0.ts", "init.mp4", "x.vtt", "Streams(", "../x", "a//b", "\xff", "index0.m4s/"}
	bodies := [][]byte{nil, {0}, own, seg, append(bytes.Clone(own), seg...), muxed, seg[:len(seg)-1], []byte("#EXTM3U\n#EXTINF:2,\nindex0.m4s\n"),
		{0x1f, 0x8b, 8}, bytes.Repeat([]byte{0x47}, 188*3), []byte("<MPD/>"), append(bytes.Clone(own), bytes.Repeat(seg, 3)...)}
	for _, n := range names {
		for _, b := range bodies {
			f.Add(n, b, false)
		}
	}
	f.Add("Streams(v.cmfv)", append(bytes.Clone(own), seg...), true)
	f.Fuzz(func(t *testing.T, name string, body []byte, broken bool) {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, func(g *rig) {
				g.options.Limits.Header, g.options.Limits.Fragment, g.options.Limits.Samples = 1<<20, 4<<20, 10_000
			})
			g.accept("v/init.cmfv", own)
			for range 2 {
				r := bytes.NewReader(body)
				w := g.request(http.MethodPut, 1, name, r)
				if broken {
					w = g.request(http.MethodPut, 1, name, cut(body))
					require.NotEqual(t, http.StatusOK, w.Code)
				}
				require.Less(t, w.Code, 500, "%q: %s", name, w.Body)
				g.clean()
				time.Sleep(time.Second)
			}
			for _, tr := range g.tl.State().Tracks {
				for _, s := range g.segments(tr.ID) {
					require.Positive(t, s.Duration)
					g.stored(tr.ID, s)
				}
			}
		})
	})
}
