package ingest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// anyName are names that say nothing, or something wrong.
var anyName = []string{"x%d.bin", "x%d", "x%d.dat", "x%d.m3u8", "x%d.mpd", "x%d.mp4", "x%d.ts", "dir.v1-x%d", "x%d.vtt"}

func TestMediaIsWhatItsBytesAreUnderAnyName(t *testing.T) {
	for _, format := range anyName {
		t.Run(format, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				ts, v := newProgramme(t, 50), video(50)
				for n := range 3 {
					time.Sleep(2 * time.Second)
					g.accept(fmt.Sprintf("ts/"+format, n), ts.seconds(float64(2*n), float64(2*n+2)))
				}
				g.accept("mp4/init.bin", v.init(t))
				for n := range 3 {
					time.Sleep(2 * time.Second)
					g.accept(fmt.Sprintf("mp4/"+format, n), v.seconds(float64(2*n), float64(2*n+2)))
				}
				for _, id := range g.tracks() {
					require.Len(t, g.segments(id), 3, id)
				}
				require.Len(t, g.tracks(), 3)
				require.Zero(t, g.counted("left uploads"))
			})
		})
	}
}

func TestManifestsAreWhatTheirBytesAreUnderAnyName(t *testing.T) {
	mpd := []byte("\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- made by\n a packager -->\n<d:MPD xmlns:d=\"urn:mpeg:dash:schema:mpd:2011\" type=\"dynamic\"><d:Period/></d:MPD>")
	list := listing(time.Time{}, "", "a0.ts")
	for _, format := range anyName {
		t.Run(format, func(t *testing.T) {
			g := newRig(t)
			for i, body := range [][]byte{list, packed(t, list), mpd, packed(t, mpd), append([]byte("\xef\xbb\xbf \r\n"), list...)} {
				name := fmt.Sprintf(format, i)
				g.accept(name, body)
				text, ok := g.h.text(chID, 1, name)
				require.True(t, ok, "it can be read back")
				require.Contains(t, string(body)+string(list)+string(mpd), string(text))
			}
			in := g.h.channels[chID].opened(1).names
			require.Len(t, in.playlists.m, 3)
			require.Len(t, in.mpds.m, 2)
		})
	}
}

func TestAMultivariantPlaylistOfAnyNameIsKeptOverARestart(t *testing.T) {
	g := newRig(t)
	master := []byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhi.m3u8\n")
	g.accept("master", master)
	g.restart()
	g.accept("hi.m3u8", listing(time.Time{}, "", "a0.ts"))
	text, ok := g.h.text(chID, 1, "master")
	require.True(t, ok)
	require.Equal(t, string(master), string(text))
}

func TestTransportStreamBehindGarbageIsFound(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		for i, before := range []string{"x", strings.Repeat("y", 187), strings.Repeat("z", 3000), "G" + strings.Repeat("x", 300)} {
			time.Sleep(2 * time.Second)
			g.accept(fmt.Sprintf("seg%d.bin", i), []byte(before), newProgramme(t, 50).seconds(0, 2))
		}
		require.Len(t, g.tracks(), 2)
		require.Zero(t, g.counted("left uploads"))
	})
}

func TestWhatIsNoMediaIsAnsweredAsItIs(t *testing.T) {
	cues := []byte("WEBVTT\n\n00:00.000 --> 00:01.000\nhi\n")
	for name, tt := range map[string]struct {
		name string
		body []byte
		want int
		left int
	}{
		"WebVTT":                       {"x.vtt", cues, 200, 1},
		"WebVTT under another name":    {"x1.ts", cues, 200, 1},
		"packed WebVTT":                {"x.vtt", packed(t, cues), 200, 1},
		"what nobody knows":            {"x.jpg", []byte("\xff\xd8\xff\xe0"), 200, 1},
		"a page":                       {"x.m3u8", []byte("<!DOCTYPE html><html>"), 400, 0},
		"a page in place of a segment": {"x.ts", []byte("<html>"), 400, 0},
		"packed media":                 {"x1.ts", packed(t, newProgramme(t, 50).seconds(0, 2)), 415, 0},
		"packed media of no name":      {"x", packed(t, video(50).init(t)), 415, 0},
		"nothing, under any name":      {"x.bin", nil, 200, 1},
		"a byte":                       {"x.bin", []byte{0x47}, 200, 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			require.Equal(t, tt.want, g.put(tt.name, tt.body))
			require.Equal(t, tt.left, g.counted("left uploads"))
			require.Empty(t, g.tracks())
			require.Zero(t, g.h.held.used)
		})
	}
}

func TestNoMoreIsWaitedForThanTells(t *testing.T) {
	ts := newProgramme(t, 50).seconds(0, 1)
	for what, tt := range map[string]struct {
		name  string
		bytes []byte
		want  fileKind
	}{
		"a box":                             {"x", []byte("\x00\x00\x00\x18styp"), fileMP4},
		"a box under another name":          {"x.ts", []byte("\x00\x00\x00\x18ftyp"), fileMP4},
		"an unknown box, by its name":       {"x.m4s", []byte("\x00\x00\x00\x18wide"), fileMP4},
		"a byte of MPEG-TS, by its name":    {"x.ts", ts[:1], fileTS},
		"a packet and a byte":               {"x.bin", ts[:189], fileTS},
		"the same under another name":       {"x.mp4", ts[:189], fileTS},
		"gzip":                              {"x", []byte("\x1f\x8b"), filePacked},
		"a playlist":                        {"x", []byte("#EXTM3U"), filePlaylist},
		"cues":                              {"x", []byte("WEBVTT"), fileText},
		"an MPD":                            {"x", []byte("<MPD "), fileMPD},
		"sparse, of which nothing is asked": {"x.cmft", nil, fileSparse},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := io.Pipe()
				var got fileKind
				done := make(chan struct{})
				go func() {
					defer close(done)
					got = (&push{name: tt.name}).kind(bufio.NewReader(r))
				}()
				for i := range tt.bytes {
					select {
					case <-done:
						t.Fatalf("it is known after %d bytes", i)
					default:
					}
					_, err := w.Write(tt.bytes[i : i+1])
					require.NoError(t, err)
					synctest.Wait()
				}
				<-done // and the body goes on
				require.Equal(t, tt.want, got)
			})
		})
	}
}

// FuzzKind finds out what any bytes are: the same however they come, and nothing of them is lost.
func FuzzKind(f *testing.F) {
	ts := bytes.Repeat(append([]byte{0x47}, make([]byte, 187)...), 4)
	for _, name := range []string{"x.bin", "", "x.ts", "x.m4s", "Streams(v)", "x.cmft"} {
		for _, body := range [][]byte{nil, {0}, {0x47}, ts, ts[:188], ts[:189], append([]byte("garbage"), ts...), []byte("\x00\x00\x00\x18ftypcmfc"), {0x1f},
			{0x1f, 0x8b}, []byte("#EXTM3U\n"), []byte("WEBVTT"), []byte("<?xml ?><!-- --><a:MPD>"), []byte("<!DOCTYPE MPD><MPD/>"), []byte("<!-"),
			bytes.Repeat([]byte(" "), 5000), []byte("<?" + strings.Repeat("x", 5000)), bytes.Repeat([]byte{0xff}, 40_000)} {
			f.Add(name, body)
		}
	}
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		p := &push{name: name}
		whole, slow := bufio.NewReaderSize(bytes.NewReader(body), 32<<10), bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(body)), 32<<10)
		require.Equal(t, p.kind(whole), p.kind(slow))
		for _, br := range []io.Reader{whole, slow} {
			rest, err := io.ReadAll(br)
			require.NoError(t, err)
			require.True(t, bytes.Equal(body, rest))
		}
	})
}

func TestAProbeOfAnyNameIsGood(t *testing.T) {
	g := newRig(t)
	for _, name := range []string{"x", "x.bin", "x.m3u8", "x.mpd", "Streams(v)"} {
		require.Equal(t, http.StatusOK, g.put(name))
	}
	require.Empty(t, g.tracks())
}
