package ingest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// drawn returns the files that ffmpeg's HLS muxer makes of eight seconds of test pictures and a tone.
func drawn(t *testing.T, args string) (file func(name string) []byte) {
	t.Helper()
	dir := t.TempDir()
	words := strings.Fields("-v error -f lavfi -i testsrc2=size=160x96:rate=25 -f lavfi -i sine=sample_rate=48000 -t 8 " + args +
		" -pix_fmt yuv420p -c:a aac -f hls -hls_time 2 -hls_list_size 0 index.m3u8")
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, "|", " ")
	}
	cmd := exec.CommandContext(t.Context(), "ffmpeg", words...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return b
	}
}

func TestOpenGroupsOfPicturesAreNoticed(t *testing.T) {
	const x264 = "-c:v libx264 -preset fast -bf 2 -g 50 -keyint_min 50 -sc_threshold 0 "
	const x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50:min-keyint=50:scenecut=0:bframes=%d:open-gop=%d "
	const fmp4 = " -hls_segment_type fmp4 "
	for name, c := range map[string]struct {
		args string
		open int // of four segments
	}{
		"H.264 closed in TS":           {x264 + "-flags +cgop", 0},
		"H.264 open in TS":             {x264 + "-flags -cgop -x264-params open-gop=1:repeat-headers=1", 3},
		"H.264 open in fMP4":           {x264 + "-flags -cgop -x264-params open-gop=1" + fmp4, 3},
		"H.264 closed in fMP4":         {x264 + fmp4, 0},
		"HEVC closed in TS":            {fmt.Sprintf(x265, 2, 0), 0},
		"HEVC open in TS":              {fmt.Sprintf(x265, 2, 1), 3},
		"HEVC open in fMP4":            {fmt.Sprintf(x265, 2, 1) + "-tag:v hvc1" + fmp4, 3},
		"HEVC, CRA that nothing leads": {fmt.Sprintf(x265, 0, 1), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := drawn(t, c.args)
			ext := ".ts"
			if strings.Contains(c.args, "fmp4") {
				ext = ".m4s"
			}
			bubble(t, func(t *testing.T, g *rig) {
				if ext == ".m4s" {
					g.accept("v/init.mp4", file("init.mp4"))
				}
				for n := range 4 {
					time.Sleep(2 * time.Second)
					g.accept(fmt.Sprintf("v/index%d%s", n, ext), file(fmt.Sprintf("index%d%s", n, ext)))
				}
				g.accept("v/index.m3u8", file("index.m3u8"))
				segs := g.segments("v-v")
				require.Len(t, segs, 4)
				open := 0
				for _, s := range segs {
					if s.Dependent {
						open++
					}
				}
				require.Equal(t, c.open, open)
				r := g.report().Tracks[0]
				require.Equal(t, c.open, r.Open)
				require.Zero(t, r.Keyless)
				require.Equal(t, c.open > 0, strings.Contains(strings.Join(g.reasons(), " "), "open_gop"))
				g.restart()
				require.Equal(t, segs[3].Dependent, g.segments("v-v")[3].Dependent, "it is not forgotten")
			})
		})
	}
}

func TestASegmentWithoutAKeyFrameDependsOnTheOneBefore(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(100)
		g.accept("Streams(v.cmfv)", v.init(t))
		for i := range 4 {
			time.Sleep(2 * time.Second)
			require.Equal(t, http.StatusOK, g.put("Streams(v.cmfv)", v.seconds(float64(2*i), float64(2*i+2))))
		}
		for i, s := range g.segments("v") {
			require.Equal(t, i%2 == 1, s.Dependent)
		}
	})
}

func TestTheFirstSliceOfASampleIsFoundHoweverItComes(t *testing.T) {
	nal := func(b ...byte) string { return string(append([]byte{0, 0, 0, byte(len(b))}, b...)) }
	for name, c := range map[string]struct {
		codec, sample string
		want          slice
	}{
		"IDR":                       {"avc1.42c00b", nal(9, 0xf0) + nal(0x67, 1, 2) + nal(0x65, 1), closedSlice},
		"another":                   {"avc3.42c00b", nal(6, 6, 1, 0x80) + nal(0x41, 1, 2, 3), openSlice},
		"a partition":               {"avc1.42c00b", nal(0x22, 1), openSlice},
		"IDR of HEVC":               {"hvc1.1.6.L93.B0", nal(0x40, 1) + nal(19<<1, 1, 9), closedSlice},
		"CRA":                       {"hev1.1.6.L93.B0", nal(35<<1, 1) + nal(21<<1, 1), cleanSlice},
		"BLA":                       {"hvc1.1.6.L93.B0", nal(16<<1, 1), closedSlice},
		"trailing":                  {"hvc1.1.6.L93.B0", nal(1<<1, 1), openSlice},
		"none":                      {"avc1.42c00b", nal(6, 1, 2), unknownSlice},
		"in the next sample":        {"avc1.42c00b", nal(6, 1, 2), unknownSlice},
		"behind an empty NAL unit":  {"avc1.42c00b", nal() + nal(0x65, 1), closedSlice},
		"of a codec without slices": {"av01.0.08M.08", nal(0x65, 1), unknownSlice},
		"that is cut off":           {"avc1.42c00b", "\x00\x00\x00", unknownSlice},
		"with a length beyond all":  {"avc1.42c00b", "\xff\xff\xff\xff\x06" + nal(0x65, 1), unknownSlice},
	} {
		t.Run(name, func(t *testing.T) {
			body := c.sample + nal(0x65, 1) + nal(0x65, 1)
			for _, whole := range []bool{true, false} {
				s := sliceScan{codec: familyOf(c.codec), left: int64(len(c.sample))}
				if whole {
					n, err := s.Write([]byte(body))
					require.NoError(t, err)
					require.Equal(t, len(body), n)
				} else {
					for i := range len(body) {
						_, err := s.Write([]byte(body[i : i+1]))
						require.NoError(t, err)
					}
				}
				require.Equal(t, c.want, s.slice)
			}
		})
	}
}

func FuzzSliceScan(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02\x65\x01"), uint8(avcVideo), int64(6), 3)
	f.Add([]byte("\xff\xff\xff\xff\x06\x01"), uint8(hevcVideo), int64(1<<32-1), 0)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0}, uint8(hevcVideo), int64(8), 5)
	f.Fuzz(func(t *testing.T, b []byte, codec uint8, left int64, cut int) {
		one := sliceScan{codec: codecFamily(codec % 3), left: max(left, 0)}
		two := one
		n, err := one.Write(b)
		require.NoError(t, err)
		require.Equal(t, len(b), n)
		if cut < 0 || cut > len(b) {
			cut = len(b)
		}
		for _, part := range [][]byte{b[:cut], b[cut:]} {
			_, _ = two.Write(part)
		}
		require.Equal(t, one.slice, two.slice, "it does not matter how the bytes come")
	})
}
