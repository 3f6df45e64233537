package demux

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// presented returns the presentation times of the pictures of body in the order of decoding, in seconds.
func presented(t *testing.T, body []byte) (out []float64) {
	t.Helper()
	f := filepath.Join(t.TempDir(), "probe")
	require.NoError(t, os.WriteFile(f, body, 0o600))
	b, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v", "-show_packets", "-of", "json", f).Output()
	require.NoError(t, err)
	var doc struct {
		Packets []struct {
			PTS string `json:"pts_time"`
		}
	}
	require.NoError(t, json.Unmarshal(b, &doc))
	for _, p := range doc.Packets {
		s, err := strconv.ParseFloat(p.PTS, 64)
		require.NoError(t, err)
		out = append(out, s)
	}
	return out
}

func TestPicturesThatComeOneByOneAreDecodedAsFarAheadAsTheyWillBeReordered(t *testing.T) {
	const h265 = " -map 0:v -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:bframes=3:b-adapt=0:b-pyramid=1 -pix_fmt yuv420p "
	const mp4 = "-f mp4 -movflags cmaf+empty_moov+default_base_moof+"
	for _, c := range []struct {
		name, args string
		files      []string
		ahead      int64 // pictures
	}{
		{"h264, a fragment per picture", onlyV + twoB + mp4 + "frag_every_frame o.mp4", []string{"o.mp4"}, 2},
		{"h264, a fragment per GOP", onlyV + twoB + mp4 + "frag_keyframe o.mp4", []string{"o.mp4"}, 2},
		{"h264, in dash", onlyV + twoB + "-f dash -seg_duration 1 -streaming 1 -format_options movflags=cmaf x.mpd",
			[]string{"init-stream0.m4s", "chunk-stream0*"}, 2},
		{"h264 without B-frames", onlyV + noB + mp4 + "frag_every_frame o.mp4", []string{"o.mp4"}, 0},
		{"h264 with decode times that run ahead", onlyV + twoB + "-f mp4 -movflags empty_moov+default_base_moof+frag_every_frame o.mp4",
			[]string{"o.mp4"}, 2},
		{"hevc, a fragment per picture", h265 + mp4 + "frag_every_frame o.mp4", []string{"o.mp4"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := NewMP4Reader(bytes.NewReader(read(t, encode(t, c.args), c.files...)), nil, DefaultLimits)
			var stored []byte
			var want []float64
			for {
				ev, err := r.Next()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				f := ev.Fragment
				if f == nil {
					continue
				}
				picture := int64(f.Track.Timescale) / 25
				require.Equal(t, c.ahead*picture, f.Reorder)
				if stored == nil {
					stored = append(stored, f.Track.Config.Header...)
				}
				at := f.Time
				for i := range f.Samples {
					s := &f.Samples[i]
					want = append(want, float64(at+int64(s.CompositionOffset))/float64(f.Track.Timescale))
					at += int64(s.Duration)
					s.CompositionOffset += int32(f.Reorder)
					require.GreaterOrEqual(t, s.CompositionOffset, int32(0))
				}
				const epoch = 1 << 30 // ticks, so that no time is negative
				stored, err = cmaf.AppendHeader(stored, cmaf.Fragment{DecodeTime: epoch + f.Time - f.Reorder, Samples: f.Samples}, media.Video)
				require.NoError(t, err)
				data, err := io.ReadAll(f.Body)
				require.NoError(t, err)
				stored = append(stored, data...)
			}
			got := presented(t, stored)
			require.Len(t, got, len(want))
			for i := range got {
				require.InDelta(t, want[i]-want[0], got[i]-got[0], 0.0005, "picture %d", i)
			}
			sort.Float64s(got)
			for i := 1; i < len(got); i++ {
				require.InDelta(t, 0.04, got[i]-got[i-1], 0.0005, "pictures are presented one after another")
			}
		})
	}
}

func TestHowFarDecodingRunsAhead(t *testing.T) {
	sample := func(d uint32, offsets ...int32) (out []cmaf.Sample) {
		for _, o := range offsets {
			out = append(out, cmaf.Sample{Duration: d, CompositionOffset: o})
		}
		return out
	}
	tr := func(pictures int, rate media.Ratio) *Track {
		return &Track{Timescale: 1000, reorder: pictures, Config: &media.Config{FrameRate: rate}}
	}
	pal, unknown := media.Ratio{Num: 25, Den: 1}, media.Ratio{}
	for _, c := range []struct {
		name    string
		track   *Track
		shift   int32
		samples []cmaf.Sample
		want    int64
	}{
		{"as the source does it", tr(2, pal), 40, sample(40, 0, 80, -40), 40},
		{"as the parameter sets say", tr(2, pal), 0, sample(40, 0), 80},
		{"by the duration of a picture where no rate is declared", tr(2, unknown), 0, sample(20, 0), 40},
		{"by the slower of the two", tr(2, media.Ratio{Num: 50, Den: 1}), 0, sample(40, 0), 80},
		{"by 25 pictures a second where nothing says", tr(2, unknown), 0, sample(0, 0), 80},
		{"by no more than a tenth of a second for a still picture", tr(2, pal), 0, sample(2000, 0), 200},
		{"not where nothing is reordered", tr(0, pal), 0, sample(40, 0), 0},
		{"by what is needed where the parameter sets promise less", tr(1, pal), 0, sample(40, 0, 80, -80), 80},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := &trackState{shift: c.shift}
			require.Equal(t, c.want, st.reorder(&Fragment{Track: c.track, Samples: c.samples}))
			require.Equal(t, c.want, st.reorder(&Fragment{Track: c.track, Samples: sample(1, 0)}), "and never by less later")
		})
	}
}

func TestAStreamJoinedInTheMiddleOfAGOPTakesItsCompositionFromTheFirstSyncSample(t *testing.T) {
	picture := func(time, offset int32, sync bool) []byte {
		b, err := cmaf.AppendHeader(nil, cmaf.Fragment{DecodeTime: int64(time), Samples: []cmaf.Sample{
			{Duration: 1, Size: 1, CompositionOffset: offset, Sync: sync}}}, media.Video)
		require.NoError(t, err)
		return append(b, 'x')
	}
	in := &Init{timing: map[uint32]timing{}, Tracks: []*Track{{Source: 1, Kind: media.Video, Timescale: 25}}}
	frags, _, err := drain(cat(picture(100, 5, false), picture(101, 2, true), picture(102, 4, false)), in, DefaultLimits)
	require.ErrorIs(t, err, io.EOF)
	require.EqualValues(t, 103, frags[1].Time)
	require.Zero(t, frags[1].Samples[0].CompositionOffset)
	require.EqualValues(t, 2, frags[2].Samples[0].CompositionOffset)
	require.EqualValues(t, 104, frags[2].Time)
}
