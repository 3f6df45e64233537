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

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// encode runs ffmpeg on three seconds of a test picture and a tone in an empty directory and returns it.
func encode(t *testing.T, args string) string {
	t.Helper()
	dir := t.TempDir()
	in := "-v error -f lavfi -i testsrc2=size=160x90:rate=25:duration=3 -f lavfi -i sine=frequency=440:sample_rate=48000:duration=3"
	words := strings.Fields(in + " " + args)
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, "|", " ") // a bar stands for a space inside an argument
	}
	cmd := exec.Command("ffmpeg", words...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

const (
	x264  = " -map 0:v -map 1:a -c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p "
	noB   = " -bf 0 "
	twoB  = " -bf 2 "
	aac   = " -c:a aac -b:a 64k "
	onlyV = " -map 0:v -c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p "
	onlyA = " -map 1:a "
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
		{"hls, tracks in files of their own", x264 + noB + aac + "-f hls -hls_time 1 -hls_list_size 0 -hls_segment_type fmp4 " +
			"-var_stream_map v:0,agroup:a|a:0,agroup:a -hls_segment_filename %v-%d.m4s -hls_fmp4_init_filename init-%v.mp4 %v.m3u8",
			[]string{"init-0.mp4", "0-*.m4s"}, nil},
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

func TestTransportStreamOfFFmpegKeepsItsTimeAndItsSamples(t *testing.T) {
	const h265 = " -map 0:v -map 1:a -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25 -pix_fmt yuv420p "
	const hls = " -f hls -hls_time 1 -hls_list_size 0 -hls_flags independent_segments i.m3u8"
	for _, c := range []struct {
		name, args         string
		video, audio       string // codecs
		audioScale, pieces int
	}{
		{"h264 without B-frames and aac", x264 + noB + aac + hls, "avc1.42c00b", "mp4a.40.2", 48000, 3},
		{"h264 with B-frames and ac-3", x264 + twoB + "-c:a ac3 -b:a 96k" + hls, "avc1.4d400b", "ac-3", 48000, 3},
		{"hevc and e-ac-3", h265 + "-c:a eac3 -b:a 96k" + hls, "hvc1.1.6.L30.90", "ec-3", 48000, 3},
		{"ac-3 at 44.1 kHz", x264 + noB + "-ar 44100 -ac 2 -c:a ac3 -b:a 128k" + hls, "avc1.42c00b", "ac-3", 44100, 3},
		{"aac at 44.1 kHz stereo", x264 + noB + "-ar 44100 -ac 2 -c:a aac -metadata:s:a:0 language=deu" + hls, "avc1.42c00b", "mp4a.40.2", 44100, 3},
		{"dvb signalling of ac-3", x264 + noB + "-c:a ac3 -mpegts_flags system_b -f mpegts i0.ts", "avc1.42c00b", "ac-3", 48000, 1},
		{"clock about to wrap", x264 + twoB + aac + "-output_ts_offset 95441 -f mpegts i0.ts", "avc1.4d400b", "mp4a.40.2", 48000, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := encode(t, c.args)
			files, err := filepath.Glob(filepath.Join(dir, "*.ts"))
			require.NoError(t, err)
			require.Len(t, files, c.pieces)
			sort.Strings(files)
			ends := map[media.Kind]int64{}
			configs := map[media.Kind]string{}
			for i, f := range files {
				body, err := os.ReadFile(f)
				require.NoError(t, err)
				got, err := ReadTS(bytes.NewReader(body), DefaultLimits)
				require.NoError(t, err)
				require.Len(t, got, 2)
				want := probe(t, body)
				for _, f := range got {
					w := want[f.Track.Kind]
					require.Zero(t, f.Lost)
					require.True(t, f.Clock33)
					require.Len(t, f.Samples, w.packets)
					first := w.firstPTS
					if first < -1 { // ffprobe counts a clock that is about to wrap as negative
						first += float64(clockPeriod) / clockRate
					}
					require.InDelta(t, first, float64(f.PTS)/clockRate, 0.00002)
					require.InDelta(t, first, float64(f.Time)/float64(f.Track.Timescale), 0.0001)
					require.Zero(t, f.Samples[0].CompositionOffset)
					require.True(t, f.Samples[0].Sync)
					b, err := io.ReadAll(f.Body)
					require.NoError(t, err)
					var sum int
					for _, s := range f.Samples {
						sum += int(s.Size)
					}
					require.Len(t, b, sum)
					if i > 0 {
						require.InDelta(t, ends[f.Track.Kind], f.Time, 2)
						require.Equal(t, configs[f.Track.Kind], f.Track.Config.ID)
					}
					ends[f.Track.Kind], configs[f.Track.Kind] = f.Time+f.Duration(), f.Track.Config.ID
					if f.Track.Kind == media.Video {
						require.Equal(t, c.video, f.Track.Config.Codec)
						require.Equal(t, media.Ratio{Num: 25, Den: 1}, f.Track.Config.FrameRate)
						require.Equal(t, 160, f.Track.Config.Width)
					} else {
						require.Equal(t, c.audio, f.Track.Config.Codec)
						require.EqualValues(t, c.audioScale, f.Track.Timescale)
					}
				}
			}
		})
	}
}

// hashes decodes body and returns the MD5 of every decoded frame of the streams of a kind ("v" or "a").
func hashes(t *testing.T, body []byte, kind string) []string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "decode")
	require.NoError(t, os.WriteFile(f, body, 0o600))
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", f, "-map", "0:"+kind, "-vsync", "passthrough", "-f", "framemd5", "-").Output()
	require.NoError(t, err)
	var sums []string
	for _, l := range strings.Split(string(out), "\n") {
		if l != "" && l[0] != '#' {
			fields := strings.Split(l, ",")
			sums = append(sums, strings.TrimSpace(fields[len(fields)-1]))
		}
	}
	return sums
}

func TestWhatComesOutDecodesToWhatWentIn(t *testing.T) {
	stored := func(t *testing.T, list []*Fragment, kind media.Kind) []byte {
		var out []byte
		for _, f := range list {
			if f.Track.Kind != kind {
				continue
			}
			if out == nil {
				out = append(out, f.Track.Config.Header...)
			}
			var err error
			out, err = cmaf.AppendHeader(out, cmaf.Fragment{Sequence: 1, DecodeTime: f.Time + 1<<40, Samples: f.Samples}, kind)
			require.NoError(t, err)
			data, err := io.ReadAll(f.Body)
			require.NoError(t, err)
			out = append(out, data...)
		}
		return out
	}
	const h265 = " -map 0:v -map 1:a -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25 -pix_fmt yuv420p "
	for _, c := range []struct{ name, args, file string }{
		{"mpeg-ts, h264 and aac", x264 + twoB + aac + "-f mpegts o.ts", "o.ts"},
		{"mpeg-ts, hevc and e-ac-3", h265 + "-c:a eac3 -f mpegts o.ts", "o.ts"},
		{"mpeg-ts, ac-3", x264 + "-ac 2 -ar 44100 -c:a ac3 -f mpegts o.ts", "o.ts"},
		{"mp4, h264 and aac", x264 + twoB + aac + "-f mp4 -movflags frag_keyframe+empty_moov o.mp4", "o.mp4"},
		{"mp4, hevc and e-ac-3", h265 + "-tag:v hev1 -c:a eac3 -f mp4 -movflags frag_keyframe+delay_moov o.mp4", "o.mp4"},
		{"ismv", x264 + noB + aac + "-f ismv -movflags frag_keyframe+isml o.ismv", "o.ismv"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := read(t, encode(t, c.args), c.file)
			var list []*Fragment
			if strings.HasSuffix(c.file, ".ts") {
				got, err := ReadTS(bytes.NewReader(body), DefaultLimits)
				require.NoError(t, err)
				for i := range got {
					list = append(list, &got[i])
				}
			} else {
				r := NewMP4Reader(bytes.NewReader(body), nil, DefaultLimits)
				for {
					ev, err := r.Next()
					if err == io.EOF {
						break
					}
					require.NoError(t, err)
					if ev.Fragment != nil {
						data, err := io.ReadAll(ev.Fragment.Body)
						require.NoError(t, err)
						ev.Fragment.Body = bytes.NewReader(data)
						list = append(list, ev.Fragment)
					}
				}
			}
			require.Len(t, hashes(t, body, "v"), 75)
			require.Equal(t, hashes(t, body, "v"), hashes(t, stored(t, list, media.Video), "v"))
			require.Equal(t, hashes(t, body, "a"), hashes(t, stored(t, list, media.Audio), "a"))
		})
	}
}
