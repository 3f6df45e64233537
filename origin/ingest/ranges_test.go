package ingest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ranges is a media playlist of the first n pieces of a file.
func ranges(name string, n int) []byte {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n")
	for i := range n {
		fmt.Fprintf(&b, "#EXTINF:2.0,\n#EXT-X-BYTERANGE:1000@%d\n%s\n", 1000*i, name)
	}
	return []byte(b.String())
}

func TestAFileThatAPlaylistListsPieceByPieceIsAStream(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newProgramme(t, 50)
		g.accept("index.ts") // ffmpeg opens the file twice
		send, end := g.stream(1, "index.ts")
		for n := range 6 {
			p.flow(send, float64(2*n), float64(2*n+2))
			g.accept("index.m3u8", ranges("index.ts", n+1))
		}
		require.GreaterOrEqual(t, len(g.segments("index-v")), 5, "while it flows")
		require.Equal(t, http.StatusOK, end(errEOF))
		require.Equal(t, 6, g.together("index-v", "index-a"))
	})
}

func TestAPlaylistOfIFramesClaimsNoSegments(t *testing.T) {
	for n := range 16 { // the order of playlists in a map is not always the same
		bubble(t, func(t *testing.T, g *rig) {
			v := video(50)
			names := []string{"a/seg0.m4s", "a/seg1.m4s"}
			g.accept("a/init.mp4", v.init(t))
			for _, list := range []string{"main", "iframes"} {
				if list == "main" {
					g.accept(list+".m3u8", listing(time.Time{}, "a/init.mp4", names...))
				} else {
					g.accept(list+".m3u8", []byte(string(ranges(names[0], 1))+"#EXTINF:2.0,\n#EXT-X-BYTERANGE:9@0\n"+names[1]+"\n"))
				}
			}
			g.accept(names[0], v.seconds(0, 2))
			g.accept(names[1], v.seconds(2, 4))
			require.Equal(t, []string{"main"}, g.tracks(), "try %d", n)
		})
	}
}
