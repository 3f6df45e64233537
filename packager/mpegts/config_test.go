package mpegts

import (
	"testing"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/cmaf"
	"headwater/packager/media"
)

func TestReorderingFollowsFromTheSequenceParameterSet(t *testing.T) {
	restricted := &avc.VUIParameters{BitstreamRestrictionFlag: true, MaxNumReorderFrames: 2}
	tests := []struct {
		name string
		sps  avc.SPS
		want uint
	}{
		{"declared in the VUI", avc.SPS{Profile: 100, Level: 40, Width: 1920, Height: 1088, VUI: restricted}, 2},
		{"inferred from level 4 at 1080p", avc.SPS{Profile: 100, Level: 40, Width: 1920, Height: 1080}, 4},
		{"inferred from level 5.1 at 180p, at most 16", avc.SPS{Profile: 77, Level: 51, Width: 320, Height: 180}, 16},
		{"none in output order", avc.SPS{Profile: 100, Level: 40, Width: 1920, Height: 1080, PicOrderCntType: 2}, 0},
		{"none in Baseline", avc.SPS{Profile: 66, Level: 30, Width: 640, Height: 360}, 0},
		{"none in an intra profile", avc.SPS{Profile: 122, ProfileCompatibility: 0x10, Level: 41, Width: 1920, Height: 1080}, 0},
		{"a guess without a size", avc.SPS{Profile: 100, Level: 40}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, reorderFrames(&tt.sps)) })
	}
	require.Equal(t, int64(2*3754), reorderTicks(2, media.Ratio{Num: 24000, Den: 1001}), "rounded up from 7507.5")
	require.Equal(t, int64(7200), reorderTicks(2, media.Ratio{}))
	require.Equal(t, int64(10*clock), reorderTicks(16, media.Ratio{Num: 1, Den: 1000}))
}

func TestEveryCodecIsReadFromItsHeader(t *testing.T) {
	for name, want := range map[string]codec{
		"avc": {streamType: typeH264}, "hevc": {streamType: typeHEVC, registration: "HEVC"},
		"aac":  {streamType: typeAAC, adts: [7]byte{0xff, 0xf1, 0x4c, 0x80, 0, 0x1f, 0xfc}},
		"ac-3": {streamType: typeAC3, registration: "AC-3"}, "ec-3": {streamType: typeEAC3, registration: "EAC3"},
	} {
		config, _ := configOf(t, name)
		c, err := readConfig(config)
		require.NoError(t, err, name)
		if c.isVideo() {
			require.NotEmpty(t, c.parameters)
			require.Equal(t, int64(2*3600), c.reorder, "x264 and x265 reorder two frames with three B-frames")
		}
		c.parameters, c.reorder = nil, 0
		require.Equal(t, want, c)
	}
}

func TestTheClockTicksAlsoWhenPicturesAreRare(t *testing.T) {
	config, track := configOf(t, "avc")
	config.FrameRate = media.Ratio{Num: 1, Den: 1}
	r := receive(t)
	for n := range int64(3) {
		slow := picture(true, 5000)
		slow.Duration = 90000
		f := cmaf.Fragment{DecodeTime: (1795608000 + 2*n) * 90000, Samples: []cmaf.Sample{slow, slow}}
		b, err := Segment([]packager.Piece{{Track: track, Data: stored(t, media.Video, f),
			Segment: media.Segment{Number: 7 + n, Config: config}}})
		require.NoError(t, err)
		r.segment(b)
	}
	require.Len(t, r.finish(), 6)
	requireClock(t, r.pcrs)
}

func TestDecodeTimesStayBeforePresentationTimesWhenTheConfigurationPromisesTooLittle(t *testing.T) {
	config, track := configOf(t, "avc")
	var f cmaf.Fragment
	f.DecodeTime = 1795608000 * 90000
	for i, offset := range []int32{0, 4, 1, -1, -4, 0} {
		s := picture(i == 0, 500)
		s.CompositionOffset = offset * 3600
		f.Samples = append(f.Samples, s)
	}
	b, err := Segment([]packager.Piece{{Track: track, Data: stored(t, media.Video, f), Segment: media.Segment{Config: config}}})
	require.NoError(t, err)
	r := receive(t)
	r.segment(b)
	last := int64(0)
	for _, p := range r.finish() {
		require.LessOrEqual(t, p.dts, p.pts)
		require.Greater(t, p.dts, last)
		last = p.dts
	}
}
