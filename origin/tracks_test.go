package origin

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// smallSPS and largeSPS are parameter sets of x264 for 160x90 and 320x180 pictures.
const (
	smallSPS = "6742c00bda0a37e4c044000003000400000300c83c50aa80"
	largeSPS = "6742c00cda05067e7c0440000003004000000c83c50aa8"
)

// videoHeader returns the header of an encoder of video with the parameter set.
func videoHeader(tb testing.TB, sps string) []byte {
	tb.Helper()
	raw, err := hex.DecodeString(sps)
	require.NoError(tb, err)
	return headerOf(tb, 90000, media.Video, "und", func(trak *mp4.TrakBox) error {
		return trak.SetAVCDescriptor("avc1", [][]byte{raw}, [][]byte{{0x68, 0xce, 0x0f, 0xc8}}, true)
	})
}

// audioHeader returns that of an encoder of audio, AC-3 or AAC.
func audioHeader(tb testing.TB, language string, ac3 bool) []byte {
	tb.Helper()
	return headerOf(tb, 48000, media.Audio, language, func(trak *mp4.TrakBox) error {
		if ac3 {
			return trak.SetAC3Descriptor(&mp4.Dac3Box{BSID: 8, ACMod: 2, BitRateCode: 10})
		}
		return trak.SetAACDescriptor(2, 48000)
	})
}

func headerOf(tb testing.TB, timescale uint32, kind media.Kind, language string, describe func(*mp4.TrakBox) error) []byte {
	tb.Helper()
	init := mp4.CreateEmptyInit()
	init.AddEmptyTrack(timescale, kind.String(), language)
	require.NoError(tb, describe(init.Moov.Trak))
	var b bytes.Buffer
	require.NoError(tb, init.Encode(&b))
	return b.Bytes()
}

// also adds an encoder of video or audio to the rig.
func (g *rig) also(name string, header []byte) {
	e := *g.tracks["audio"]
	if strings.HasSuffix(name, ".cmfv") {
		e = *g.tracks["video"]
	}
	e.name, e.header = name, header
	id, _, _ := strings.Cut(name, ".")
	g.tracks[id] = &e
}

// deliver moves the clock and has the tracks deliver segments from to to, each when it ends.
func (g *rig) deliver(from, to int, tracks ...string) {
	g.tb.Helper()
	for k := from; k <= to; k++ {
		g.at(noon.Add(time.Duration(k+1) * segmentLength))
		for _, name := range tracks {
			require.Equal(g.tb, 200, g.put(name, k, 0), "%s %d", name, k)
		}
	}
}

// change has a track go on with another header.
func (g *rig) change(track string, header []byte) {
	g.tracks[track].header = header
	g.opened[track] = false
}

// everywhere runs a test over every format.
func everywhere(t *testing.T, test func(t *testing.T, g *rig, e entry)) {
	for _, e := range entries {
		t.Run(e.name, func(t *testing.T) { test(t, newRig(t, nil, endpointsOf(standard())...), e) })
	}
}

// plays requires that a manifest can be had, that it ends at second end, and everything that it lists; what it lists of each kind
// is counted, and it is returned.
func (g *rig) plays(e entry, end, videos, audios int) (*listing, string) {
	g.tb.Helper()
	l, w := g.play(host + e.path())
	require.NotNil(g.tb, l, "%d %s", w.Code, w.Body)
	if e.name == "smooth" {
		end -= 2 * int(segmentLength/time.Second)
	}
	count := map[string]int{}
	var edge time.Time
	for _, t := range l.tracks {
		count[t.kind]++
		if last := t.segments[len(t.segments)-1].end; last.After(edge) {
			edge = last
		}
	}
	require.InDelta(g.tb, float64(noon.Unix()+int64(end)), float64(edge.UnixMilli())/1000, 0.05, "the live edge")
	require.Equal(g.tb, map[string]int{"video": videos, "audio": audios}, map[string]int{"video": count["video"], "audio": count["audio"]})
	for _, u := range l.urls() {
		require.Equal(g.tb, 200, g.get(u).Code, u)
	}
	return l, w.Body.String()
}

// muxes reports whether the one audio of a channel is in the segments of its video.
func (e entry) muxes() bool { return e.name == "ts" }

func TestALanguageMayBeginLater(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig, e entry) {
		g.also("german.cmfa", audioHeader(t, "deu", false))
		g.deliver(0, 4, "video", "audio")
		g.plays(e, 10, 1, b2i(!e.muxes()))
		g.deliver(5, 14, "video", "audio", "german")
		l, text := g.plays(e, 30, 1, 2)
		require.Contains(t, text, `"de"`)
		if e.name != "smooth" {
			require.Equal(t, noon.Add(10*time.Second).Unix(), l.tracks[2].segments[0].start.Round(time.Second).Unix())
		}
		require.Len(t, l.video().segments, 15-2*b2i(e.name == "smooth"))
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestTracksThatStopDoNotHoldTheOthers(t *testing.T) {
	for name, stops := range map[string]string{"a language": "german", "a rendition": "small"} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, g *rig, e entry) {
				g.also("german.cmfa", audioHeader(t, "deu", false))
				g.also("small.cmfv", videoHeader(t, smallSPS))
				all := []string{"video", "small", "audio", "german"}
				g.deliver(0, 5, all...)
				g.plays(e, 12, 2, 2)
				others := slices.DeleteFunc(slices.Clone(all), func(id string) bool { return id == stops })
				g.deliver(6, 6, others...)
				if e.name != "smooth" {
					g.plays(e, 12, 2, 2) // it may be late
				}
				g.deliver(7, 19, others...)
				videos, audios := 2, 2
				switch e.name {
				case "dash", "time": // what a period has once it keeps
				case "smooth":
					if stops == "small" {
						videos = 1
					}
				default:
					videos, audios = videos-b2i(stops == "small"), audios-b2i(stops == "german")
				}
				if e.muxes() && audios == 1 {
					audios = 0
				}
				g.plays(e, 40, videos, audios)
				g.deliver(20, 29, all...)
				g.plays(e, 60, 2, 2)
			})
		})
	}
}

func TestAConfigurationThatChangesBeginsAnew(t *testing.T) {
	for name, c := range map[string]struct {
		track  string
		header func(testing.TB) []byte
		says   map[string]string // by format, "" for the others
	}{
		"the size of the picture": {"video", func(tb testing.TB) []byte { return videoHeader(tb, largeSPS) },
			map[string]string{"": "320x180", "dash": `width="320"`, "time": `width="320"`, "smooth": `MaxWidth="320"`}},
		"the language": {"audio", func(tb testing.TB) []byte { return audioHeader(tb, "deu", false) },
			map[string]string{"": `LANGUAGE="de"`, "dash": `lang="de"`, "time": `lang="de"`, "smooth": `Language="de"`, "ts": "avc1"}},
		"the codec": {"audio", func(tb testing.TB) []byte { return audioHeader(tb, "eng", true) },
			map[string]string{"": "ac-3", "dash": `codecs="ac-3"`, "time": `codecs="ac-3"`, "smooth": "avc1"}},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, g *rig, e entry) {
				audios := b2i(!e.muxes() && (name != "the codec" || e.name != "smooth")) // which cannot carry AC-3
				g.deliver(0, 5, "video", "audio")
				g.change(c.track, c.header(t))
				g.deliver(6, 14, "video", "audio")
				l, text := g.plays(e, 30, 1, audios)
				says, ok := c.says[e.name]
				if !ok {
					says = c.says[""]
				}
				if e.name == "smooth" {
					says = strings.Replace(says, "avc1", "H264", 1)
				}
				require.Contains(t, text, says)
				switch e.name {
				case "dash", "time":
					require.Equal(t, 2, strings.Count(text, "<Period "))
				case "smooth":
				default:
					for u, answer := range l.answers {
						if !strings.Contains(u, "_") {
							continue
						}
						require.Equal(t, 1, strings.Count(answer.Body.String(), "#EXT-X-DISCONTINUITY\n"), u)
						require.Equal(t, 2*b2i(e.name == "hls"), strings.Count(answer.Body.String(), "#EXT-X-MAP"), u)
					}
				}
				if e.name == "hls" {
					for i, kind := range []string{"video", "audio"} {
						require.Equal(t, kind == c.track, l.tracks[i].inits[0] != l.tracks[i].inits[1], "a new init segment of what changed")
					}
				}
			})
		})
	}
}

func TestAChannelMayHaveOneKindAlone(t *testing.T) {
	for kind, counts := range map[string][2]int{"video": {1, 0}, "audio": {0, 1}} {
		t.Run(kind, func(t *testing.T) {
			everywhere(t, func(t *testing.T, g *rig, e entry) {
				g.deliver(0, 14, kind)
				if kind == "audio" && e.name != "dash" && e.name != "time" && e.name != "smooth" {
					g.plays(e, 30, 1, 0) // a variant, as all of them
					return
				}
				g.plays(e, 30, counts[0], counts[1])
			})
		})
	}
}

func TestALadderWithManyLanguages(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig, e entry) {
		all := []string{"video", "audio"}
		for i := range 7 {
			g.also(fmt.Sprintf("v%d.cmfv", i), videoHeader(t, smallSPS))
			all = append(all, fmt.Sprintf("v%d", i))
		}
		languages := []string{"deu", "fra", "spa", "ita", "por", "nld", "pol", "ces", "swe", "fin", "ukr"}
		for _, l := range languages {
			g.also(l+".cmfa", audioHeader(t, l, false))
			all = append(all, l)
		}
		require.Len(t, all, 20)
		g.deliver(0, 9, all...)
		l, text := g.plays(e, 20, 8, 12)
		for _, tag := range []string{"en", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "sv", "fi", "uk"} {
			require.Contains(t, text, `"`+tag+`"`)
		}
		lengths := map[int]bool{}
		for _, tr := range l.tracks {
			lengths[len(tr.segments)] = true
		}
		require.Len(t, slices.Collect(maps.Keys(lengths)), 1, "all are there to the same instant")
	})
}
