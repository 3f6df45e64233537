package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// listing is a media playlist of segments of two seconds; pdt is the UTC time of the first.
func listing(pdt time.Time, initName string, names ...string) []byte {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n")
	if initName != "" {
		fmt.Fprintf(&b, "#EXT-X-MAP:URI=%q\n", initName)
	}
	for i, n := range names {
		b.WriteString("#EXTINF:2.0,\n")
		if !pdt.IsZero() {
			b.WriteString("#EXT-X-PROGRAM-DATE-TIME:" + pdt.Add(time.Duration(2*i)*time.Second).Format("2006-01-02T15:04:05.000-0700") + "\n")
		}
		b.WriteString(n + "\n")
	}
	return []byte(b.String())
}

func packed(t *testing.T, b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

// tracks returns the IDs of the tracks.
func (g *rig) tracks() (ids []string) {
	for _, tr := range g.tl.State().Tracks {
		ids = append(ids, tr.ID)
	}
	return ids
}

func TestHLSInAnyOrder(t *testing.T) {
	v := video(50)
	list := listing(time.Time{}, "init.mp4", "index0.m4s")
	seg := v.seconds(0, 2)
	tests := []struct {
		name  string
		order []string
	}{
		{"init, segment, playlist", []string{"init.mp4", "index0.m4s", "index.m3u8"}},
		{"init, playlist, segment", []string{"init.mp4", "index.m3u8", "index0.m4s"}},
		{"segment, playlist, init", []string{"index0.m4s", "index.m3u8", "init.mp4"}},
		{"playlist, segment, init", []string{"index.m3u8", "index0.m4s", "init.mp4"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				bodies := map[string][]byte{"init.mp4": v.init(t), "index.m3u8": packed(t, list), "index0.m4s": seg}
				status := make(chan int, 3)
				for _, name := range tt.order {
					go func() { status <- g.put(name, bodies[name]) }()
					time.Sleep(100 * time.Millisecond)
				}
				for range tt.order {
					require.Equal(t, http.StatusOK, <-status)
				}
				require.Equal(t, []string{"index"}, g.tracks())
				require.Equal(t, 1, g.counted("segment index"))
			})
		})
	}
}

func TestProgrammeDateTimeAnchorsASession(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		said := time.Now().Add(-7 * time.Second).Truncate(time.Millisecond)
		g.accept("hi/init.mp4", v.init(t))
		g.accept("hi/index.m3u8", listing(said, "init.mp4", "http://origin:8080/in/v1/g/1/c/hi/seg_0.m4s"))
		g.accept("hi/seg_0.m4s", v.seconds(0, 2))
		g.accept("hi/seg_1.m4s", v.seconds(2, 4))
		segs := g.segments("hi")
		require.Len(t, segs, 2)
		require.Equal(t, said.UTC(), startOf(segs[0], v.scale))
		st, _ := g.h.Status(chID)
		require.Equal(t, "pdt", st.Clock)
	})
}

func TestVariantsKeepTheirNamesAndLanguages(t *testing.T) {
	const master = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",LANGUAGE=\"de\",URI=\"%s\"\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=1000000,AUDIO=\"a\"\n%s\n"
	for name, f := range map[string]func(variant, file string) string{
		"directories": func(v, f string) string { return v + "/" + f },
		"prefixes":    func(v, f string) string { return "out_" + v + strings.Replace(f, "seg", "", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				sources := map[string]*source{"0": video(50), "1": video(50), "2": audio()}
				put := func(from, to int, lists bool) {
					t.Helper()
					for n := from; n < to; n++ {
						time.Sleep(2 * time.Second)
						for _, v := range []string{"0", "1", "2"} {
							seg := f(v, fmt.Sprintf("seg%d.m4s", n))
							if lists {
								at := f(v, "seg.m3u8")
								base := seg[strings.LastIndex(seg, "/")+1:]
								initName := f(v, "init.mp4")
								g.accept(at, listing(time.Time{}, initName[strings.LastIndex(initName, "/")+1:], base))
							}
							g.accept(seg, sources[v].seconds(float64(2*n), float64(2*n+2)))
						}
					}
				}
				for v, s := range sources {
					g.accept(f(v, "init.mp4"), s.init(t))
				}
				g.accept("master.m3u8", fmt.Appendf(nil, master, f("2", "seg.m3u8"), f("0", "seg.m3u8")))
				put(0, 3, true)
				want := g.tracks()
				require.Len(t, want, 3)
				g.restart()
				if name == "directories" {
					put(3, 5, false)
				} else {
					put(3, 5, true) // names alone do not tell variants from numbers
				}
				require.Equal(t, want, g.tracks())
				for _, tr := range g.tl.State().Tracks {
					require.Equal(t, 5, tr.Segments, tr.ID)
					if tr.Kind == media.Audio {
						require.Equal(t, "de", tr.Language)
					}
					require.Equal(t, uint32(0), tr.Last.Part)
				}
			})
		})
	}
}

func TestAPlaylistThatComesLateKeepsTheNameOfItsSegments(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("init.mp4", v.init(t))
		put := func(n int) {
			time.Sleep(2 * time.Second)
			g.accept(fmt.Sprintf("seg%d.m4s", n), v.seconds(float64(2*n), float64(2*n+2)))
		}
		put(0)
		put(1)
		g.accept("live.m3u8", listing(time.Time{}, "init.mp4", "seg0.m4s", "seg1.m4s", "seg2.m4s"))
		put(2)
		g.restart()
		put(3)
		require.Equal(t, []string{"seg"}, g.tracks())
		require.Len(t, g.segments("seg"), 4)
	})
}

func TestAnInitSegmentThatOnlyItsDirectoryTellsIsWaitedForOnce(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.mp4", v.init(t))
		began := time.Now()
		g.accept("v/segment-1.m4s", v.seconds(0, 2))
		require.LessOrEqual(t, time.Since(began), patienceGuess+2*patiencePlaylist)
		began = time.Now()
		g.accept("v/segment-2.m4s", v.seconds(2, 4))
		require.Zero(t, time.Since(began))
	})
}

func TestDASHNames(t *testing.T) {
	const mpd = `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic"><Period><AdaptationSet contentType="video">` +
		`<SegmentTemplate timescale="12800" initialization="i-$RepresentationID$.mp4" media="m-$RepresentationID$-$%s$.m4s"/>` +
		`<Representation id="7" bandwidth="1"/><Representation id="8" bandwidth="2"/></AdaptationSet></Period></MPD>`
	for _, by := range []string{"Number", "Time"} {
		t.Run(by, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, w := video(50), initOf(t, spss[1], video(50))
				g.accept("live/x.mpd", fmt.Appendf(nil, mpd, by))
				g.accept("live/i-7.mp4", v.init(t))
				g.accept("live/i-8.mp4", w)
				for n := range 3 {
					time.Sleep(2 * time.Second)
					for _, id := range []string{"7", "8"} {
						k := map[string]int{"Number": n + 1, "Time": n * 25600}[by]
						g.accept(fmt.Sprintf("live/m-%s-%d.m4s", id, k), v.seconds(float64(2*n), float64(2*n+2)))
					}
				}
				ids := g.tracks()
				require.Len(t, ids, 2)
				for _, tr := range g.tl.State().Tracks {
					require.Equal(t, 3, tr.Segments)
				}
				require.NotEqual(t, g.segments(ids[0])[0].Config, g.segments(ids[1])[0].Config)
			})
		})
	}
}

func TestManyInitNamesAreForgottenInTheirOrder(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		a := audio()
		for n := range maxNames + 20 {
			g.accept(fmt.Sprintf("%d/init.mp4", n), a.init(t))
		}
		kept := 0
		for range g.engine.List(context.Background(), fileContainer, "", "") {
			kept++
		}
		require.Equal(t, maxNames, kept)
		g.restart()
		last := fmt.Sprintf("%d/1.m4s", maxNames+19)
		g.accept(last, a.seconds(0, 2))
		require.Equal(t, http.StatusPreconditionFailed, g.put("0/1.m4s", a.seconds(0, 2)))
	})
}

func TestFFmpegTransportStreams(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25", "-f", "lavfi",
		"-i", "sine=sample_rate=48000", "-t", "8", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-sc_threshold", "0", "-c:a", "aac", "-f", "hls",
		"-hls_time", "2", "-hls_list_size", "0", filepath.Join(dir, "index.m3u8"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	file := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return b
	}
	bubble(t, func(t *testing.T, g *rig) {
		run := func() {
			for n := range 4 {
				time.Sleep(2 * time.Second)
				name := fmt.Sprintf("index%d.ts", n)
				whole := file(name)
				w := g.request(http.MethodPut, 1, "ts/"+name, cut(whole[:len(whole)/188/2*188]))
				require.Equal(t, http.StatusBadRequest, w.Code)
				g.accept("ts/"+name, whole)
			}
		}
		run()
		vs, as := g.segments("ts-v"), g.segments("ts-a")
		require.Len(t, vs, 4)
		require.Len(t, as, 4)
		regular(t, vs, 90_000, 2*time.Second)
		require.InDelta(t, 0.021, startOf(vs[0], 90_000).Sub(startOf(as[0], 48_000)).Seconds(), 0.002)
		for i := 1; i < 4; i++ {
			require.Equal(t, as[i-1].End(), as[i].Start, "no gap in the audio")
		}
		run() // ffmpeg began again
		vs, as = g.segments("ts-v"), g.segments("ts-a")
		require.Len(t, vs, 8)
		require.Len(t, as, 8)
		require.Equal(t, vs[7].Part, as[7].Part)
		require.Equal(t, uint32(1), vs[7].Part)
		g.clean()
	})
}

func TestManifestsTellLanguagesAndTheDefault(t *testing.T) {
	const master = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",LANGUAGE=\"deu\",DEFAULT=NO,URI=\"0/seg.m3u8\"\n" +
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"y\",LANGUAGE=\"eng\",DEFAULT=YES,URI=\"1/seg.m3u8\"\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=1000000,AUDIO=\"a\"\nv/seg.m3u8\n"
	const set = `<AdaptationSet contentType="audio" lang="%s"><Role schemeIdUri="urn:mpeg:dash:role:2011" value="%s"/><SegmentTemplate ` +
		`initialization="$RepresentationID$/init.mp4" media="$RepresentationID$/seg$Number$.m4s"/><Representation id="%d"/></AdaptationSet>`
	for name, manifest := range map[string][]byte{
		"live.m3u8": []byte(master),
		"live.mpd": []byte(`<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic"><Period>` + fmt.Sprintf(set, "deu", "alternate", 0) +
			fmt.Sprintf(set, "eng", "main", 1) + `</Period></MPD>`),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				put := func(n int) {
					time.Sleep(2 * time.Second)
					for _, v := range []string{"0", "1"} {
						g.accept(fmt.Sprintf("%s/seg%d.m4s", v, n), audio().seconds(float64(2*n), float64(2*n+2)))
					}
				}
				said := func() (all []string) {
					for _, tr := range g.tl.State().Tracks {
						all = append(all, fmt.Sprint(tr.Language, " ", tr.Default))
					}
					return all
				}
				for _, v := range []string{"0", "1"} {
					g.accept(v+"/init.mp4", audio().init(t))
					if name == "live.m3u8" {
						g.accept(v+"/seg.m3u8", listing(time.Time{}, "init.mp4", "seg0.m4s", "seg1.m4s", "seg2.m4s"))
					}
				}
				put(0)
				g.accept(name, manifest)
				put(1)
				require.Equal(t, []string{"en true", "de false"}, said())
				g.restart()
				put(2)
				require.Equal(t, []string{"en true", "de false"}, said(), "what was said is not forgotten")
			})
		})
	}
}
