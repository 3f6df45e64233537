package cmaf_test

import (
	"bytes"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// stored writes fragments as one stored segment.
func stored(t require.TestingT, kind media.Kind, fragments ...cmaf.Fragment) []byte {
	b := cmaf.AppendSegmentType(nil)
	for _, f := range fragments {
		var err error
		b, err = cmaf.AppendHeader(b, f, kind)
		require.NoError(t, err)
		for _, s := range f.Samples {
			b = append(b, s.Data...)
		}
	}
	return b
}

func sample(duration, size int, offset int32, sync bool) cmaf.Sample {
	return cmaf.Sample{Duration: uint32(duration), Size: uint32(size), CompositionOffset: offset, Sync: sync,
		Data: bytes.Repeat([]byte{byte(size)}, size)}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]media.Kind{media.Video, media.Audio}).Draw(t, "kind")
		at := rapid.Int64Range(0, 1<<53).Draw(t, "start")
		var want []cmaf.Fragment
		for i := range rapid.IntRange(1, 4).Draw(t, "fragments") {
			f := cmaf.Fragment{Sequence: uint32(i + 1), DecodeTime: at}
			for j := range rapid.IntRange(1, 8).Draw(t, "samples") {
				offset, sync := int32(0), true
				if kind == media.Video {
					sync = i == 0 && j == 0
					if !sync {
						offset = rapid.Int32Range(-5000, 5000).Draw(t, "offset")
					}
				}
				s := sample(rapid.IntRange(1, 4000).Draw(t, "duration"), rapid.IntRange(0, 300).Draw(t, "size"), offset, sync)
				f.Samples = append(f.Samples, s)
				at += int64(s.Duration)
			}
			want = append(want, f)
		}
		got, err := cmaf.ReadSegment(stored(t, kind, want...))
		require.NoError(t, err)
		require.Equal(t, len(want), len(got))
		for i := range want {
			require.Equal(t, want[i].DecodeTime, got[i].DecodeTime)
			require.Equal(t, want[i].Duration(), got[i].Duration())
			for j := range want[i].Samples {
				w, g := want[i].Samples[j], got[i].Samples[j]
				require.True(t, bytes.Equal(w.Data, g.Data))
				w.Data, g.Data = nil, nil
				require.Equal(t, w, g)
			}
		}
	})
}

func TestTheDelayOfReorderingIsTakenOutOfEachStoredSegment(t *testing.T) {
	first := cmaf.Fragment{DecodeTime: 1000 - 80, Samples: []cmaf.Sample{sample(40, 9, 80, true), sample(40, 5, 160, false), sample(40, 3, 40, false)}}
	second := cmaf.Fragment{DecodeTime: 1120 - 80, Samples: []cmaf.Sample{sample(40, 4, 80, false)}}
	next := cmaf.Fragment{DecodeTime: 1160, Samples: []cmaf.Sample{sample(40, 9, 0, true)}}
	got, err := cmaf.ReadSegment(append(stored(t, media.Video, first, second), stored(t, media.Video, next)...))
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Equal(t, []int64{1000, 1120, 1160}, []int64{got[0].DecodeTime, got[1].DecodeTime, got[2].DecodeTime})
	var offsets []int32
	for _, f := range got {
		for _, s := range f.Samples {
			offsets = append(offsets, s.CompositionOffset)
		}
	}
	require.Equal(t, []int32{0, 80, -40, 0, 0}, offsets)
}

func TestAnIndependentParserUnderstandsStoredSegments(t *testing.T) {
	f := cmaf.Fragment{Sequence: 7, DecodeTime: 161590800527220, Samples: []cmaf.Sample{sample(3600, 900, 7200, true), sample(3600, 100, 3600, false)}}
	file, err := mp4.DecodeFile(bytes.NewReader(stored(t, media.Video, f)))
	require.NoError(t, err)
	require.Len(t, file.Segments, 1)
	require.Equal(t, "cmfs", file.Segments[0].Styp.MajorBrand())
	moof := file.Segments[0].Fragments[0].Moof
	require.Equal(t, uint32(7), moof.Mfhd.SequenceNumber)
	require.Equal(t, uint64(f.DecodeTime), moof.Traf.Tfdt.BaseMediaDecodeTime())
	samples, err := file.Segments[0].Fragments[0].GetFullSamples(nil)
	require.NoError(t, err)
	require.Len(t, samples, 2)
	require.True(t, samples[0].IsSync())
	require.False(t, samples[1].IsSync())
	require.Equal(t, int32(7200), samples[0].CompositionTimeOffset)
	require.Equal(t, f.Samples[1].Data, samples[1].Data)
}

func TestWhatCannotBeWritten(t *testing.T) {
	_, err := cmaf.AppendHeader(nil, cmaf.Fragment{}, media.Video)
	require.Error(t, err, "no samples")
	_, err = cmaf.AppendHeader(nil, cmaf.Fragment{DecodeTime: -1, Samples: []cmaf.Sample{sample(1, 1, 0, true)}}, media.Audio)
	require.Error(t, err, "before the epoch")
	_, err = cmaf.AppendHeader(nil, cmaf.Fragment{Samples: []cmaf.Sample{{Size: 1<<32 - 1}, {Size: 1<<32 - 1}}}, media.Video)
	require.Error(t, err, "beyond 32 bits of size")
}

func TestMalformedSegmentsAreRefused(t *testing.T) {
	good := stored(t, media.Video, cmaf.Fragment{Samples: []cmaf.Sample{sample(40, 9, 0, true)}})
	for name, b := range map[string][]byte{
		"cut in a header":     good[:20],
		"cut in the samples":  good[:len(good)-1],
		"samples without box": good[len(good)-20:],
		"size 0":              append([]byte{0, 0, 0, 0}, good[4:]...),
		"size 4":              append([]byte{0, 0, 0, 4}, good[4:]...),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := cmaf.ReadSegment(b)
			require.ErrorIs(t, err, cmaf.ErrMalformed)
		})
	}
}

func FuzzReadSegment(f *testing.F) {
	f.Add(stored(f, media.Video, cmaf.Fragment{Samples: []cmaf.Sample{sample(40, 9, 0, true), sample(40, 2, -40, false)}}))
	f.Add(stored(f, media.Audio, cmaf.Fragment{Samples: []cmaf.Sample{sample(1024, 9, 0, true)}}))
	f.Add([]byte{0, 0, 0, 8, 'm', 'd', 'a', 't'})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := cmaf.ReadSegment(b)
		if err != nil {
			return
		}
		for _, fr := range got {
			require.NotEmpty(t, fr.Samples)
			for _, s := range fr.Samples {
				require.Len(t, s.Data, int(s.Size))
			}
		}
	})
}
