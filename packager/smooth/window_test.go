package smooth_test

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// epoch is when the windows of these tests begin: 2027-01-15T08:00:00Z, number 900,000,000 of 2 s.
const epoch = 1_800_000_000

// Parameter sets of x264 for 320x180 at 25 frames a second.
const (
	spsHex = "6764000dacb40a0cfcf808800000030080000019078a1550"
	ppsHex = "68ef3cb0"
)

func avcConfig(t testing.TB, id string, pps string) *media.Config {
	sps, err := hex.DecodeString(spsHex)
	require.NoError(t, err)
	p, err := hex.DecodeString(pps)
	require.NoError(t, err)
	init := mp4.CreateEmptyInit()
	trak := init.AddEmptyTrack(90000, "video", "und")
	require.NoError(t, trak.SetAVCDescriptor("avc1", [][]byte{sps}, [][]byte{p}, true))
	return &media.Config{ID: id, Header: encode(t, init), Codec: "avc1.64000d", Width: 320, Height: 180,
		FrameRate: media.Ratio{Num: 25, Den: 1}}
}

func aacConfig(t testing.TB) *media.Config {
	init := mp4.CreateEmptyInit()
	trak := init.AddEmptyTrack(48000, "audio", "en")
	require.NoError(t, trak.SetAACDescriptor(2, 48000))
	return &media.Config{ID: "aac0", Header: encode(t, init), Codec: "mp4a.40.2", SampleRate: 48000, Channels: 2}
}

func encode(t testing.TB, init *mp4.InitSegment) []byte {
	var b bytes.Buffer
	require.NoError(t, init.Encode(&b))
	return b.Bytes()
}

// videoTrack returns a track of n segments of 2 s from the epoch.
func videoTrack(c *media.Config, id string, bitrate, n int) packager.TrackWindow {
	t := packager.TrackWindow{Track: media.Track{ID: id, Kind: media.Video, Timescale: 90000, Bitrate: bitrate}}
	for i := range int64(n) {
		number := int64(epoch/2) + i
		t.Segments = append(t.Segments, media.Segment{Number: number, Start: number * 180000, Duration: 180000, Config: c})
	}
	return t
}

// audioTrack returns the same of AAC at 48 kHz, cut at whole frames.
func audioTrack(c *media.Config, id, lang string, bitrate, n int) packager.TrackWindow {
	t := packager.TrackWindow{
		Track: media.Track{ID: id, Kind: media.Audio, Timescale: 48000, Bitrate: bitrate, Language: lang},
	}
	frame := func(number int64) int64 { return (number*96000 + 1023) / 1024 }
	for i := range int64(n) {
		number := int64(epoch/2) + i
		start, end := frame(number)*1024, frame(number+1)*1024
		t.Segments = append(t.Segments, media.Segment{Number: number, Start: start, Duration: end - start, Config: c})
	}
	return t
}

func window(tracks ...packager.TrackWindow) *packager.Window {
	return &packager.Window{Tracks: tracks, Live: true, TargetDuration: 2 * time.Second, Depth: time.Minute}
}

// without returns t without the i-th segment.
func without(t packager.TrackWindow, i int) packager.TrackWindow {
	t.Segments = append(append([]media.Segment(nil), t.Segments[:i]...), t.Segments[i+1:]...)
	return t
}

// stored returns the bytes of a segment of the given chunks of samples, with payload that tells the samples apart.
func stored(t testing.TB, kind media.Kind, start int64, chunks ...[]cmaf.Sample) []byte {
	b := cmaf.AppendSegmentType(nil)
	n := byte(0)
	for _, c := range chunks {
		f := cmaf.Fragment{DecodeTime: start, Samples: c}
		var err error
		b, err = cmaf.AppendHeader(b, f, kind)
		require.NoError(t, err)
		for _, s := range c {
			b = append(b, bytes.Repeat([]byte{n}, int(s.Size))...)
			n++
		}
		start += f.Duration()
	}
	return b
}

// frames returns n video frames of the given duration, the first one a sync sample, with two B-frames between others.
func frames(n int, duration uint32, size uint32) []cmaf.Sample {
	out := make([]cmaf.Sample, n)
	for i := range out {
		out[i] = cmaf.Sample{Duration: duration, Size: size, Sync: i == 0}
		switch i % 3 {
		case 1:
			out[i].CompositionOffset = int32(2 * duration)
		case 2:
			out[i].CompositionOffset = -int32(duration)
		}
	}
	return out
}
