package mpegts

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// Parameter sets that ffmpeg's libx264 and libx265 write for a picture of 320x180 at 25 frames per second with B-frames.
const (
	spsH264 = "6764000cacd941419f9f011000000300100000030320f1429960"
	ppsH264 = "68ebe3cb22c0"
	vpsHEVC = "40010c01ffff01600000030090000003000003003c959409"
	spsHEVC = "42010101600000030090000003000003003ca00a080b9f796565924caf016808000003000800000300c840"
	ppsHEVC = "4401c172b46240"
)

func unhex(t testing.TB, s string) [][]byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return [][]byte{b}
}

// configOf makes the header of a codec: "avc", "hevc", "aac", "ac-3" or "ec-3".
func configOf(t testing.TB, codec string) (*media.Config, media.Track) {
	t.Helper()
	init := mp4.CreateEmptyInit()
	track := media.Track{ID: "t1", Kind: media.Audio, Timescale: 48000}
	var err error
	switch codec {
	case "avc", "hevc":
		track.Kind, track.Timescale = media.Video, 90000
		trak := init.AddEmptyTrack(track.Timescale, "video", "und")
		if codec == "avc" {
			err = trak.SetAVCDescriptor("avc1", unhex(t, spsH264), unhex(t, ppsH264), true)
		} else {
			err = trak.SetHEVCDescriptor("hvc1", unhex(t, vpsHEVC), unhex(t, spsHEVC), unhex(t, ppsHEVC), nil, true)
		}
	case "aac":
		err = init.AddEmptyTrack(track.Timescale, "audio", "und").SetAACDescriptor(2, 48000)
	case "ac-3":
		err = init.AddEmptyTrack(track.Timescale, "audio", "und").SetAC3Descriptor(&mp4.Dac3Box{ACMod: 2})
	case "ec-3":
		err = init.AddEmptyTrack(track.Timescale, "audio", "und").SetEC3Descriptor(
			&mp4.Dec3Box{EC3Subs: []mp4.EC3Sub{{ACMod: 2}}})
	}
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, init.Encode(&b))
	return &media.Config{ID: "00000000", Header: b.Bytes(), Codec: codec, FrameRate: media.Ratio{Num: 25, Den: 1}}, track
}

// picture returns a video sample of one NAL unit of size bytes.
func picture(key bool, size int) cmaf.Sample {
	data := make([]byte, 4+size)
	data[2], data[3] = byte(size>>8), byte(size)
	data[1] = byte(size >> 16)
	for i := range data[4:] {
		data[4+i] = byte(i*7) | 1
	}
	data[4] = 0x41
	if key {
		data[4] = 0x65
	}
	return cmaf.Sample{Duration: 3600, Size: uint32(len(data)), Sync: key, Data: data}
}

func FuzzSegment(f *testing.F) {
	pictures := cmaf.Fragment{DecodeTime: 1795608000 * 90000, Samples: []cmaf.Sample{picture(true, 1000), picture(false, 100)}}
	frame := cmaf.Sample{Duration: 1024, Size: 100, Sync: true, Data: make([]byte, 100)}
	frames := cmaf.Fragment{DecodeTime: 1795608000 * 48000, Samples: []cmaf.Sample{frame, frame, frame}}
	seeds := [][2][]byte{
		{nil, nil},
		{stored(f, media.Video, pictures), stored(f, media.Audio, frames)},
		{stored(f, media.Video, pictures, pictures), stored(f, media.Audio, frames, frames)},
		{stored(f, media.Video, pictures)[:60], []byte("\x00\x00\x00\x00moof")},
		{[]byte("\xff\xff\xff\xffmdat"), []byte("\x00\x00\x00\x08mdat")},
	}
	codecs := []string{"avc", "hevc", "aac", "ac-3", "ec-3"}
	configs := map[string]*media.Config{}
	tracks := map[string]media.Track{}
	for _, c := range codecs {
		configs[c], tracks[c] = configOf(f, c)
	}
	for i, s := range seeds {
		f.Add(s[0], s[1], uint8(i), uint32(90000), []byte(nil))
		f.Add(s[0], s[1], uint8(i+1), uint32(0), configs["avc"].Header)
	}
	f.Fuzz(func(t *testing.T, video, audio []byte, choice uint8, scale uint32, header []byte) {
		v, a := codecs[choice%2], codecs[2+choice/2%3]
		pieces := []packager.Piece{
			{Track: tracks[v], Segment: media.Segment{Number: int64(choice), Config: configs[v]}, Data: video},
			{Track: tracks[a], Segment: media.Segment{Number: int64(choice), Config: configs[a]}, Data: audio},
		}
		if len(header) > 0 {
			pieces[0].Segment.Config = &media.Config{Header: header, FrameRate: media.Ratio{Num: scale, Den: 1}}
		}
		pieces[1].Track.Timescale = scale
		b, err := Segment(pieces)
		if err != nil {
			return
		}
		r := receive(t)
		r.segment(b) // whatever came in, what goes out is a well-formed stream
		for pid, counter := range r.counters {
			if pid != pidPAT && pid != pidPMT {
				require.Equal(t, byte(15), counter)
			}
		}
	})
}

// typical is a 2 s segment of 1.24 MB: 50 pictures and 94 AAC frames.
func typical(t testing.TB) []packager.Piece {
	var pictures, frames cmaf.Fragment
	pictures.DecodeTime, frames.DecodeTime = 1795608000*90000, 1795608000*48000
	for i := range 50 {
		s := picture(i == 0, 22_000)
		if i == 0 {
			s = picture(true, 120_000)
		}
		pictures.Samples = append(pictures.Samples, s)
	}
	for range 94 {
		frames.Samples = append(frames.Samples, cmaf.Sample{Duration: 1024, Size: 340, Sync: true, Data: make([]byte, 340)})
	}
	videoConfig, videoTrack := configOf(t, "avc")
	audioConfig, audioTrack := configOf(t, "aac")
	return []packager.Piece{
		{Track: videoTrack, Segment: media.Segment{Number: 897804000, Config: videoConfig}, Data: stored(t, media.Video, pictures)},
		{Track: audioTrack, Segment: media.Segment{Number: 897804000, Config: audioConfig}, Data: stored(t, media.Audio, frames)},
	}
}

func TestTheOverheadOfATypicalSegmentIsSmall(t *testing.T) {
	for name, n := range map[string]int{"video and audio": 2, "video": 1} {
		pieces := typical(t)[:n]
		stored := 0
		for _, p := range pieces {
			stored += len(p.Data)
		}
		b, err := Segment(pieces)
		require.NoError(t, err)
		require.Less(t, len(b), stored*104/100, name)
	}
	// Audio alone costs most. packager/hls announces 8 % and 12 kbit/s more than the stored media.
	pieces := typical(t)[1:]
	b, err := Segment(pieces)
	require.NoError(t, err)
	require.Less(t, len(b), len(pieces[0].Data)*108/100+12_000/8*segmentSeconds)
}
