package demux

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// encode runs ffmpeg on three seconds of a test picture and a tone in an empty directory and returns it.
func encode(t *testing.T, args string) string {
	t.Helper()
	dir := t.TempDir()
	in := "-v error -f lavfi -i testsrc2=size=160x90:rate=25:duration=3 -f lavfi -i sine=frequency=440:sample_rate=48000:duration=3"
	cmd := exec.Command("ffmpeg", strings.Fields(in+" "+args)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

const (
	x264   = " -map 0:v -map 1:a -c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p "
	noB    = " -bf 0 "
	twoB   = " -bf 2 "
	aac    = " -c:a aac -b:a 64k "
	onlyV  = " -map 0:v -c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p "
	onlyA  = " -map 1:a "
	single = " -c:v libx264 -preset ultrafast -bf 0 -g 25 -pix_fmt yuv420p "
)

// read returns the files of dir that match, in order of their names, as one upload.
func read(t *testing.T, dir string, patterns ...string) []byte {
	t.Helper()
	var out []byte
	for _, p := range patterns {
		files, err := filepath.Glob(filepath.Join(dir, p))
		require.NoError(t, err)
		require.NotEmpty(t, files, p)
		sort.Strings(files)
		for _, f := range files {
			b, err := os.ReadFile(f)
			require.NoError(t, err)
			out = append(out, b...)
		}
	}
	return out
}

// seen sums up the fragments of one track.
type seen struct {
	track     *Track
	first     int64 // ticks
	samples   int
	bytes     int64
	end       int64
	fragments int
	offset0   int32
}

func (s *seen) add(t *testing.T, f *Fragment) {
	t.Helper()
	n, err := io.Copy(io.Discard, f.Body)
	require.NoError(t, err)
	var want int64
	for _, x := range f.Samples {
		want += int64(x.Size)
	}
	require.Equal(t, want, n)
	if s.fragments == 0 {
		s.track, s.first, s.offset0 = f.Track, f.Time, f.Samples[0].CompositionOffset
	} else {
		require.LessOrEqual(t, math.Abs(float64(f.Time-s.end)), float64(f.Track.Timescale)/500, "fragments follow one another")
	}
	s.fragments++
	s.samples += len(f.Samples)
	s.bytes += n
	s.end = f.Time + f.Duration()
}

func readAll(t *testing.T, body []byte, init *Init) map[media.Kind]*seen {
	t.Helper()
	r := NewMP4Reader(bytes.NewReader(body), init, DefaultLimits)
	out := map[media.Kind]*seen{}
	for {
		ev, err := r.Next()
		if err == io.EOF {
			require.EqualValues(t, len(body), r.Position())
			return out
		}
		require.NoError(t, err)
		if ev.Init != nil {
			continue
		}
		k := ev.Fragment.Track.Kind
		if out[k] == nil {
			out[k] = &seen{}
		}
		out[k].add(t, ev.Fragment)
	}
}

// probed is what ffprobe says of one stream.
type probed struct {
	firstPTS float64
	packets  int
	bytes    int64
}

func probe(t *testing.T, body []byte) map[media.Kind]probed {
	t.Helper()
	f := filepath.Join(t.TempDir(), "probe")
	require.NoError(t, os.WriteFile(f, body, 0o600))
	out, err := exec.Command("ffprobe", "-v", "error", "-show_packets", "-of", "json", f).Output()
	require.NoError(t, err)
	var doc struct {
		Packets []struct {
			Type string `json:"codec_type"`
			PTS  string `json:"pts_time"`
			Size string `json:"size"`
		}
	}
	require.NoError(t, json.Unmarshal(out, &doc))
	res := map[media.Kind]probed{}
	for _, p := range doc.Packets {
		k := media.Video
		if p.Type == "audio" {
			k = media.Audio
		} else if p.Type != "video" {
			continue
		}
		pts, err := strconv.ParseFloat(p.PTS, 64)
		require.NoError(t, err)
		size, _ := strconv.ParseInt(p.Size, 10, 64)
		e, ok := res[k]
		if !ok || pts < e.firstPTS {
			e.firstPTS = pts
		}
		e.packets++
		e.bytes += size
		res[k] = e
	}
	return res
}

func TestFragmentedMP4OfFFmpegKeepsItsTimeAndItsSamples(t *testing.T) {
	// With negative composition offsets and no edit list ffprobe counts presentation from the smallest offset, so it is
	// late by that. It does not read tfxd.
	signed := map[media.Kind]float64{media.Video: -0.04}
	for _, c := range []struct {
		name, args string
		files      []string
		late       map[media.Kind]float64 // seconds by which ffprobe is known to be wrong
	}{
		{"hls, muxed, no B-frames", x264 + noB + aac + "-f hls -hls_time 1 -hls_list_size 0 -hls_segment_type fmp4 i.m3u8",
			[]string{"init.mp4", "*.m4s"}, nil},
		{"hls, muxed, B-frames", x264 + twoB + aac + "-f hls -hls_time 1 -hls_list_size 0 -hls_segment_type fmp4 i.m3u8",
			[]string{"init.mp4", "*.m4s"}, nil},
		{"dash, video, no B-frames", x264 + noB + aac + "-f dash -seg_duration 1 x.mpd", []string{"init-stream0.m4s", "chunk-stream0*"}, nil},
		{"dash, video, B-frames", x264 + twoB + aac + "-f dash -seg_duration 1 x.mpd", []string{"init-stream0.m4s", "chunk-stream0*"}, nil},
		{"dash, audio", x264 + noB + aac + "-f dash -seg_duration 1 x.mpd", []string{"init-stream1.m4s", "chunk-stream1*"}, nil},
		{"dash streaming, a moof per frame", x264 + noB + aac + "-f dash -seg_duration 1 -streaming 1 x.mpd",
			[]string{"init-stream0.m4s", "chunk-stream0*"}, nil},
		{"dash streaming, chunks of half a second", x264 + twoB + aac +
			"-f dash -seg_duration 1 -streaming 1 -frag_type duration -frag_duration 0.5 -write_prft 1 x.mpd",
			[]string{"init-stream0.m4s", "chunk-stream0*"}, nil},
		{"dash with cmaf", x264 + twoB + aac + "-f dash -seg_duration 1 -format_options movflags=cmaf x.mpd",
			[]string{"init-stream0.m4s", "chunk-stream0*"}, signed},
		{"dash, epoch time by edit list", x264 + twoB + aac + "-output_ts_offset 1700000000 -f dash -seg_duration 1 x.mpd",
			[]string{"init-stream0.m4s", "chunk-stream0*"}, nil},
		{"dash, epoch time in tfdt", x264 + twoB + aac +
			"-output_ts_offset 1700000000 -f dash -seg_duration 1 -format_options movflags=frag_discont x.mpd",
			[]string{"init-stream0.m4s", "chunk-stream0*"}, nil},
		{"hls, epoch time in tfdt", x264 + twoB + aac + "-output_ts_offset 1700000000 -f hls -hls_time 1 -hls_list_size 0 " +
			"-hls_segment_type fmp4 -hls_segment_options movflags=frag_discont i.m3u8", []string{"init.mp4", "*.m4s"}, nil},
		{"mp4 with cmaf, B-frames", onlyV + twoB +
			"-f mp4 -movflags cmaf+empty_moov+separate_moof+default_base_moof+frag_keyframe -write_prft pts o.mp4", []string{"o.mp4"}, signed},
		{"mp4 with cmaf, both tracks", x264 + noB + aac + "-f mp4 -movflags cmaf+frag_keyframe+delay_moov -frag_duration 500000 o.mp4",
			[]string{"o.mp4"}, nil},
		{"mp4 with base data offsets", x264 + twoB + aac + "-f mp4 -movflags frag_keyframe+empty_moov o.mp4", []string{"o.mp4"}, nil},
		{"ismv", x264 + noB + aac + "-f ismv -movflags frag_keyframe+isml o.ismv", []string{"o.ismv"},
			map[media.Kind]float64{media.Audio: -0.0213333}},
		{"hevc and e-ac-3", " -map 0:v -map 1:a -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25 -pix_fmt yuv420p " +
			"-c:a eac3 -b:a 96k -f hls -hls_time 1 -hls_list_size 0 -hls_segment_type fmp4 i.m3u8", []string{"init.mp4", "*.m4s"}, nil},
		{"ac-3", onlyA + "-c:a ac3 -b:a 96k -f mp4 -movflags cmaf+frag_keyframe+delay_moov -frag_duration 500000 o.mp4",
			[]string{"o.mp4"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := read(t, encode(t, c.args), c.files...)
			got, want := readAll(t, body, nil), probe(t, body)
			require.Len(t, got, len(want))
			for k, w := range want {
				g := got[k]
				require.NotNil(t, g, k)
				require.Equal(t, w.packets, g.samples, k)
				require.Equal(t, w.bytes, g.bytes, k)
				require.Zero(t, g.offset0)
				require.InDelta(t, w.firstPTS+c.late[k], float64(g.first)/float64(g.track.Timescale), 0.0011, k)
			}
		})
	}
}
