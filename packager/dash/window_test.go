package dash_test

import (
	"time"

	"headwater/packager"
	"headwater/packager/media"
)

// epoch is when the windows of these tests begin: 2027-01-15T08:00:00Z, number 900,000,000 of 2 s.
const epoch = 1_800_000_000

var (
	videoConfig = &media.Config{
		ID: "1a2b3c4d", Codec: "avc1.64001f", Width: 1280, Height: 720, FrameRate: media.Ratio{Num: 25, Den: 1},
	}
	otherConfig = &media.Config{
		ID: "5e6f7a8b", Codec: "avc1.640028", Width: 1920, Height: 1080, FrameRate: media.Ratio{Num: 30000, Den: 1001},
	}
	audioConfig = &media.Config{ID: "9c0d1e2f", Codec: "mp4a.40.2", SampleRate: 48000, Channels: 2}
)

// videoTrack returns a track of n segments of 2 s from the epoch.
func videoTrack(id string, bitrate, n int) packager.TrackWindow {
	t := packager.TrackWindow{Track: media.Track{ID: id, Kind: media.Video, Timescale: 90000, Bitrate: bitrate}}
	for i := range int64(n) {
		number := int64(epoch/2) + i
		t.Segments = append(t.Segments, media.Segment{
			Number: number, Start: number * 180000, Duration: 180000, Config: videoConfig,
			Arrived: (number+1)*2000 + 400,
		})
	}
	return t
}

// audioTrack returns the same of AAC at 48 kHz, cut at whole frames.
func audioTrack(id, lang string, n int) packager.TrackWindow {
	t := packager.TrackWindow{
		Track: media.Track{ID: id, Kind: media.Audio, Timescale: 48000, Bitrate: 128000, Language: lang},
	}
	frame := func(number int64) int64 { return (number*96000 + 1023) / 1024 }
	for i := range int64(n) {
		number := int64(epoch/2) + i
		start, end := frame(number)*1024, frame(number+1)*1024
		t.Segments = append(t.Segments, media.Segment{
			Number: number, Start: start, Duration: end - start, Config: audioConfig, Arrived: (number+1)*2000 + 400,
		})
	}
	return t
}

// window returns a live window of tracks, all in part 0.
func window(tracks ...packager.TrackWindow) *packager.Window {
	return &packager.Window{
		Tracks: tracks, Parts: []media.Part{{Ordinal: 0, Start: media.At(epoch*90000, 90000)}},
		Live: true, TargetDuration: 2 * time.Second, SegmentDuration: 2 * time.Second, Depth: time.Minute,
		Updated: time.Unix(epoch+60, 400e6),
	}
}

// without returns t without the i-th segment.
func without(t packager.TrackWindow, i int) packager.TrackWindow {
	t.Segments = append(append([]media.Segment(nil), t.Segments[:i]...), t.Segments[i+1:]...)
	return t
}

// restarted returns t with its segments from the i-th on in part 1, offset by ticks, numbered on.
func restarted(t packager.TrackWindow, i int, ticks int64, c *media.Config) packager.TrackWindow {
	t.Segments = append([]media.Segment(nil), t.Segments...)
	for j := i; j < len(t.Segments); j++ {
		t.Segments[j].Start += ticks
		t.Segments[j].Part = 1
		t.Segments[j].Config = c
	}
	return t
}
