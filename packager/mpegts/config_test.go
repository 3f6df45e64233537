package mpegts

import (
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/cmaf"
	"headwater/packager/media"
)

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
