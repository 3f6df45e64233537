package ingest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// halves makes eight seconds of MPEG-TS whose second half is of other options, with a clock that goes on: in segments of two
// seconds, and in one.
func halves(t *testing.T, first, second string) (segments [][]byte, stream []byte) {
	t.Helper()
	dir := t.TempDir()
	for i, options := range []string{first, second} {
		args := fmt.Sprintf("-v error -f lavfi -i testsrc2=size=160x96:rate=25 -f lavfi -i sine=sample_rate=48000 -t 4 -output_ts_offset %d "+
			"-preset ultrafast -g 50 -keyint_min 50 -sc_threshold 0 -pix_fmt yuv420p %s -f tee -map 0:v -map 1:a", 4*i, options)
		words := append(strings.Fields(args), fmt.Sprintf("[f=hls:hls_time=2:hls_list_size=0:hls_segment_filename=%d-%%d.ts]%d.m3u8|[f=mpegts]%d.ts", i, i, i))
		cmd := exec.CommandContext(t.Context(), "ffmpeg", words...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		for _, name := range []string{fmt.Sprintf("%d-0.ts", i), fmt.Sprintf("%d-1.ts", i), fmt.Sprintf("%d.ts", i)} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			if strings.Contains(name, "-") {
				segments = append(segments, b)
			} else {
				stream = append(stream, b...)
			}
		}
	}
	return segments, stream
}

func TestTransportStreamsThatChangeGoOn(t *testing.T) {
	const usual = "-c:v libx264 -c:a aac -metadata:s:a:0 language=eng"
	for name, c := range map[string]struct {
		second string
		track  string // that changes
		says   func(tr media.Track, c *media.Config) string
		want   [2]string
	}{
		"size":     {"-s 320x192 " + usual, "v", func(_ media.Track, c *media.Config) string { return fmt.Sprint(c.Width) }, [2]string{"160", "320"}},
		"codec":    {"-c:v libx264 -c:a ac3 -metadata:s:a:0 language=eng", "a", func(_ media.Track, c *media.Config) string { return c.Codec }, [2]string{"mp4a.40.2", "ac-3"}},
		"language": {"-c:v libx264 -c:a aac -metadata:s:a:0 language=deu", "a", func(tr media.Track, _ *media.Config) string { return tr.Language }, [2]string{"de", "de"}},
		"to HEVC": {"-c:v libx265 -x265-params log-level=none:open-gop=0:keyint=50:min-keyint=50:scenecut=0 -c:a aac -metadata:s:a:0 language=eng", "v",
			func(_ media.Track, c *media.Config) string { return c.Codec[:4] }, [2]string{"avc1", "hvc1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			segments, stream := halves(t, usual, c.second)
			check := func(t *testing.T, g *rig, endless bool) {
				require.ElementsMatch(t, []string{"live-v", "live-a"}, g.tracks(), "they go on under their names")
				for _, id := range []string{"live-v", "live-a"} {
					segs := g.segments(id)
					tr, _ := g.tl.Track(id)
					if endless && len(segs) == 5 { // a frame or two of sound that are left at the end
						require.Less(t, media.At(segs[4].Duration, tr.Timescale).Duration(), leastRest)
						segs = segs[:4]
					}
					require.Len(t, segs, 4)
					require.InDelta(t, 8, media.At(segs[3].End()-segs[0].Start, tr.Timescale).Seconds(), 0.15, "nothing is lost")
					if parts := []uint32{segs[0].Part, segs[1].Part, segs[2].Part, segs[3].Part}; !endless || strings.HasSuffix(id, c.track) {
						require.Equal(t, []uint32{0, 0, 1, 1}, parts, id)
					}
					require.Equal(t, strings.HasSuffix(id, c.track), segs[1].Config != segs[2].Config)
					if strings.HasSuffix(id, c.track) {
						require.Equal(t, c.want, [2]string{c.says(tr, segs[1].Config), c.says(tr, segs[2].Config)})
					}
				}
				if !endless { // there the counters of packets begin again as well
					require.Zero(t, g.counted("left packets"))
				}
				g.clean()
			}
			t.Run("in segments", func(t *testing.T) {
				bubble(t, func(t *testing.T, g *rig) {
					for n, b := range segments {
						time.Sleep(2 * time.Second)
						g.accept(fmt.Sprintf("live/index%d.ts", n), b)
					}
					check(t, g, false)
				})
			})
			t.Run("in an endless stream", func(t *testing.T) {
				bubble(t, func(t *testing.T, g *rig) {
					send, end := g.stream(1, "live.ts")
					for rest := stream; len(rest) > 0; {
						piece := rest[:min(len(rest), len(stream)/40/188*188)]
						time.Sleep(8 * time.Second / 40)
						send(piece)
						rest = rest[len(piece):]
					}
					require.Equal(t, 200, end(errEOF))
					check(t, g, true)
				})
			})
		})
	}
}

func TestALadderOfHLSWithManyLanguages(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		languages := []string{"en", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "sv", "fi", "uk"}
		var master bytes.Buffer
		master.WriteString("#EXTM3U\n")
		sources := map[string]*source{}
		for i, l := range languages {
			fmt.Fprintf(&master, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"Language %s\",LANGUAGE=%q,DEFAULT=%s,URI=\"a%d/index.m3u8\"\n", l, l,
				map[bool]string{true: "YES", false: "NO"}[l == "de"], i)
			sources[fmt.Sprintf("a%d", i)] = audio()
		}
		for i := range 8 {
			fmt.Fprintf(&master, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AUDIO=\"a\"\nv%d/index.m3u8\n", 1_000_000*(i+1), i)
			sources[fmt.Sprintf("v%d", i)] = video(50)
		}
		g.accept("live.m3u8", master.Bytes())
		for n := range 5 {
			time.Sleep(2 * time.Second)
			for dir, s := range sources {
				if n == 0 {
					g.accept(dir+"/init.mp4", s.init(t))
				}
				g.accept(dir+"/index.m3u8", listing(time.Time{}, "init.mp4", "seg0.m4s", "seg1.m4s", "seg2.m4s", "seg3.m4s", "seg4.m4s"))
				g.accept(fmt.Sprintf("%s/seg%d.m4s", dir, n), s.seconds(float64(2*n), float64(2*n+2)))
			}
		}
		state := g.tl.State().Tracks
		require.Len(t, state, 20)
		for i, tr := range state {
			require.Equal(t, 5, tr.Segments, tr.ID)
			require.EqualValues(t, 0, tr.Last.Part, "one encoder, one part")
			if i >= 8 {
				require.Equal(t, "Language "+tr.Language, tr.Name)
				require.Equal(t, tr.Language == "de", tr.Default)
				require.Equal(t, languages[mustInt(t, tr.ID[1:])], tr.Language)
			}
		}
		require.Equal(t, "de", state[8].Language, "the default is first")
	})
}

func mustInt(t *testing.T, s string) (n int) {
	t.Helper()
	_, err := fmt.Sscan(s, &n)
	require.NoError(t, err)
	return n
}
