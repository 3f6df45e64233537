package hls

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/media"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// firstNumber is a 2 s segment of 2026-11-25T12:00:00Z.
const firstNumber = 1795608000 / 2

// segmentsOf returns n contiguous segments of 2 s from firstNumber on; audio ones end at whole frames of 1024 samples.
func segmentsOf(kind media.Kind, config *media.Config, n int) []media.Segment {
	var out []media.Segment
	for i := range int64(n) {
		number := firstNumber + i
		s := media.Segment{Number: number, Config: config}
		if kind == media.Video {
			s.Start, s.Duration = number*2*90000, 2*90000
		} else {
			frame := func(n int64) int64 { return (n*2*48000 + 512) / 1024 * 1024 }
			s.Start, s.Duration = frame(number), frame(number+1)-frame(number)
		}
		out = append(out, s)
	}
	return out
}

func video(id string, height, rate, n int) packager.TrackWindow {
	config := &media.Config{
		ID: "0a1b2c" + id, Codec: "avc1.640028", Width: height * 16 / 9, Height: height,
		FrameRate: media.Ratio{Num: 30000, Den: 1001},
	}
	return packager.TrackWindow{
		Track: media.Track{ID: id, Kind: media.Video, Timescale: 90000, Bitrate: rate},
		Peak:  rate * 11 / 10, Average: rate, Segments: segmentsOf(media.Video, config, n),
	}
}

func audio(id, codec, language string, channels, rate, n int) packager.TrackWindow {
	config := &media.Config{ID: "f0e1d2" + id, Codec: codec, SampleRate: 48000, Channels: channels}
	return packager.TrackWindow{
		Track: media.Track{ID: id, Kind: media.Audio, Timescale: 48000, Language: language, Bitrate: rate},
		Peak:  rate * 11 / 10, Average: rate, Segments: segmentsOf(media.Audio, config, n),
	}
}

func live(tracks ...packager.TrackWindow) packager.View {
	return packager.View{Window: &packager.Window{Tracks: tracks, Live: true, TargetDuration: 2 * time.Second}}
}

func manifest(name string) packager.Resource {
	return packager.Resource{Kind: packager.Manifest, Manifest: name}
}

func child(name string, tracks ...string) packager.Resource {
	return packager.Resource{Kind: packager.ChildManifest, Manifest: name, Tracks: tracks}
}

// renderMultivariant renders and lets a strict parser of other authors read the result.
func renderMultivariant(t require.TestingT, f Format, v packager.View) (string, *m3u8.MasterPlaylist) {
	b, err := f.Render(v, manifest("index"))
	require.NoError(t, err)
	p, kind, err := m3u8.DecodeFrom(bytes.NewReader(b), true)
	require.NoError(t, err, "%s", b)
	require.Equal(t, m3u8.MASTER, kind)
	return string(b), p.(*m3u8.MasterPlaylist)
}

// renderMedia is renderMultivariant for media playlists.
func renderMedia(t require.TestingT, f Format, v packager.View, tracks ...string) (string, *m3u8.MediaPlaylist) {
	b, err := f.Render(v, child("index", tracks...))
	require.NoError(t, err)
	p, kind, err := m3u8.DecodeFrom(bytes.NewReader(b), true)
	require.NoError(t, err, "%s", b)
	require.Equal(t, m3u8.MEDIA, kind)
	return string(b), p.(*m3u8.MediaPlaylist)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
