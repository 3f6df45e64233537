package smooth_test

import (
	"bytes"
	"testing"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/packager"
	"headwater/packager/cmaf"
	"headwater/packager/media"
	"headwater/packager/smooth"
)

var video = media.Track{ID: "v1", Kind: media.Video, Timescale: 90000, Bitrate: 3e6}

// piece returns a segment of 2 s of video at 25 frames a second, stored in the given number of chunks.
func piece(t testing.TB, chunks int, size uint32) packager.Piece {
	all := frames(50, 3600, size)
	var parts [][]cmaf.Sample
	for i := range chunks {
		parts = append(parts, all[i*len(all)/chunks:(i+1)*len(all)/chunks])
	}
	s := media.Segment{Number: epoch / 2, Start: epoch * 90000, Duration: 180000}
	return packager.Piece{Track: video, Segment: s, Data: stored(t, media.Video, s.Start, parts...)}
}

// following returns n segments that follow s.
func following(s media.Segment, n int) (out []media.Segment) {
	for range n {
		s.Number, s.Start = s.Number+1, s.End()
		out = append(out, s)
	}
	return out
}

func decode(t require.TestingT, b []byte) (*mp4.MoofBox, *mp4.MdatBox) {
	sr := bits.NewFixedSliceReader(b)
	moof, err := mp4.DecodeBoxSR(0, sr)
	require.NoError(t, err)
	mdat, err := mp4.DecodeBoxSR(moof.Size(), sr)
	require.NoError(t, err)
	require.Equal(t, uint64(len(b)), moof.Size()+mdat.Size())
	return moof.(*mp4.MoofBox), mdat.(*mp4.MdatBox)
}

func TestChunksBecomeOneFragment(t *testing.T) {
	p := piece(t, 4, 10)
	b, err := smooth.Fragment(p, following(p.Segment, 2))
	require.NoError(t, err)
	moof, mdat := decode(t, b)
	require.Len(t, moof.Trafs, 1)
	traf := moof.Traf
	require.Nil(t, traf.Tfdt, "clients that rebase times would contradict it")
	require.Len(t, traf.Truns, 1)
	require.Equal(t, uint32(0x01010000), traf.Tfhd.DefaultSampleFlags)
	first, present := traf.Trun.FirstSampleFlags()
	require.True(t, present)
	require.Equal(t, uint32(0x02000000), first)
	require.Equal(t, int32(moof.Size()+8), traf.Trun.DataOffset)
	var want []byte
	read, err := cmaf.ReadSegment(p.Data)
	require.NoError(t, err)
	for _, f := range read {
		for _, s := range f.Samples {
			want = append(want, s.Data...)
		}
	}
	require.Equal(t, want, mdat.Data)
	require.Len(t, traf.Trun.Samples, 50)
	for i, s := range traf.Trun.Samples {
		require.Equal(t, uint32(40_000), s.Dur)
		require.Equal(t, []int32{0, 80_000, -40_000}[i%3], s.CompositionTimeOffset)
	}
}

func TestAFragmentTellsItsTimeAndThoseOfTheNext(t *testing.T) {
	p := piece(t, 1, 10)
	b, err := smooth.Fragment(p, following(p.Segment, 2))
	require.NoError(t, err)
	tfxd, tfrf := told(t, b)
	require.Equal(t, byte(1), tfxd.Version)
	require.Equal(t, uint64(epoch*smooth.TimeScale), tfxd.FragmentAbsoluteTime)
	require.Equal(t, uint64(2*smooth.TimeScale), tfxd.FragmentAbsoluteDuration)
	require.Equal(t, byte(1), tfrf.Version)
	require.Equal(t, []uint64{(epoch + 2) * smooth.TimeScale, (epoch + 4) * smooth.TimeScale}, tfrf.FragmentAbsoluteTimes)
	require.Equal(t, []uint64{2 * smooth.TimeScale, 2 * smooth.TimeScale}, tfrf.FragmentAbsoluteDurations)
}

// told returns what a fragment says of its time and of the next ones.
func told(t *testing.T, fragment []byte) (tfxd *mp4.TfxdData, tfrf *mp4.TfrfData) {
	moof, _ := decode(t, fragment)
	for _, c := range moof.Traf.Children {
		if u, ok := c.(*mp4.UUIDBox); ok && u.Tfxd != nil {
			tfxd = u.Tfxd
		} else if ok && u.Tfrf != nil {
			tfrf = u.Tfrf
		}
	}
	return tfxd, tfrf
}

// dash.js gives up at a live fragment that has no tfrf box.
func TestTheLastFragmentAnnouncesNoneInSoManyWords(t *testing.T) {
	p := piece(t, 1, 10)
	b, err := smooth.Fragment(p, nil)
	require.NoError(t, err)
	_, tfrf := told(t, b)
	require.NotNil(t, tfrf)
	require.Empty(t, tfrf.FragmentAbsoluteTimes)
}

func TestFragmentInfoIsTheMoof(t *testing.T) {
	p := piece(t, 3, 10)
	next := following(p.Segment, 2)
	whole, err := smooth.Fragment(p, next)
	require.NoError(t, err)
	info, err := smooth.FragmentInfo(p, next)
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(whole, info))
	require.Equal(t, "mdat", string(whole[len(info)+4:len(info)+8]))
}

func TestSamplesThatAreNotPlainHaveFlags(t *testing.T) {
	p := piece(t, 1, 10)
	samples := frames(6, 3600, 10)
	samples[3].Sync = true
	p.Data = stored(t, media.Video, p.Segment.Start, samples)
	b, err := smooth.Fragment(p, nil)
	require.NoError(t, err)
	moof, _ := decode(t, b)
	for i, s := range moof.Traf.Trun.Samples {
		require.Equal(t, i%3 == 0, s.IsSync())
	}
}

// Durations are differences of rounded absolute times, so that samples of any timescale end where the next segment begins.
func TestTimesDoNotDrift(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		scale := rapid.SampledFrom([]uint32{1000, 12800, 15360, 24000, 30000, 44100, 48000, 90000}).Draw(rt, "scale")
		start := rapid.Int64Range(0, 1<<31).Draw(rt, "second")*int64(scale) + int64(rapid.IntRange(0, 999).Draw(rt, "tick"))
		lengths := rapid.SliceOfN(rapid.Uint32Range(1, 2*scale), 1, 60).Draw(rt, "durations")
		samples := make([]cmaf.Sample, len(lengths))
		for i, d := range lengths {
			samples[i] = cmaf.Sample{Duration: d, Size: 1, Sync: true}
		}
		f := cmaf.Fragment{DecodeTime: start, Samples: samples}
		s := media.Segment{Start: start, Duration: f.Duration()}
		p := packager.Piece{Track: media.Track{Kind: media.Audio, Timescale: scale}, Segment: s}
		p.Data = stored(t, media.Audio, start, samples)
		b, err := smooth.Fragment(p, nil)
		require.NoError(rt, err)
		moof, _ := decode(rt, b)
		at := smooth.Time(start, scale)
		for _, x := range moof.Traf.Trun.Samples {
			at += int64(x.Dur)
		}
		require.Equal(rt, smooth.Time(s.End(), scale), at)
	})
}

func TestMalformedSegmentsAreRefused(t *testing.T) {
	good := piece(t, 1, 10).Data
	for name, data := range map[string][]byte{
		"nothing":          nil,
		"no samples":       cmaf.AppendSegmentType(nil),
		"a cut end":        good[:len(good)-1],
		"moof only":        good[:len(good)-8-500],
		"a negative time":  bytes.Replace(good, []byte("tfdt\x01\x00\x00\x00\x00"), []byte("tfdt\x01\x00\x00\x00\xff"), 1),
		"a time far ahead": bytes.Replace(good, []byte("tfdt\x01\x00\x00\x00\x00"), []byte("tfdt\x01\x00\x00\x00\x7f"), 1),
	} {
		t.Run(name, func(t *testing.T) {
			p := piece(t, 1, 10)
			p.Data = data
			_, err := smooth.Fragment(p, nil)
			require.ErrorIs(t, err, cmaf.ErrMalformed)
		})
	}
}

func FuzzFragment(f *testing.F) {
	p := piece(f, 2, 3)
	f.Add(p.Data, uint32(90000))
	f.Add([]byte{}, uint32(0))
	f.Add(p.Data[:30], uint32(1))
	f.Add([]byte("\x00\x00\x00\x00moof"), uint32(1))
	f.Add([]byte("\xff\xff\xff\xffmdat"), uint32(1<<32-1))
	f.Fuzz(func(t *testing.T, data []byte, scale uint32) {
		q := p
		q.Data, q.Track.Timescale = data, scale
		b, err := smooth.Fragment(q, following(q.Segment, 2))
		if err != nil {
			require.ErrorIs(t, err, cmaf.ErrMalformed)
			return
		}
		moof, _ := decode(t, b)
		info, err := smooth.FragmentInfo(q, following(q.Segment, 2))
		require.NoError(t, err)
		require.Equal(t, moof.Size(), uint64(len(info)))
	})
}

func BenchmarkFragment(b *testing.B) {
	p := piece(b, 4, 24800)
	next := following(p.Segment, 2)
	b.SetBytes(int64(len(p.Data)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := smooth.Fragment(p, next)
		require.NoError(b, err)
	}
}
