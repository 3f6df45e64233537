package packager_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/media"
)

func TestTracksThatHoldTheSameSound(t *testing.T) {
	w := &packager.Window{}
	for _, id := range []string{"hi-v", "lo-v", "x-a-v"} {
		w.Tracks = append(w.Tracks, packager.TrackWindow{Track: media.Track{ID: id, Kind: media.Video}})
	}
	audio := func(id string, bitrate int) media.Track {
		return media.Track{ID: id, Kind: media.Audio, Bitrate: bitrate}
	}
	for name, c := range map[string]struct {
		a, b                     media.Track
		interchangeable, repeats bool
	}{
		"muxed under two renditions":             {audio("hi-a", 128000), audio("lo-a", 127000), true, true},
		"the second audio of two renditions":     {audio("hi-a2", 128000), audio("lo-a2", 127000), true, true},
		"muxed, at another bitrate":              {audio("hi-a", 128000), audio("lo-a", 64000), true, false},
		"two audios of one rendition":            {audio("hi-a", 128000), audio("hi-a2", 64000), false, false},
		"first and second of two renditions":     {audio("hi-a", 128000), audio("lo-a2", 64000), false, false},
		"pushed alone at one bitrate":            {audio("main", 128000), audio("described", 127000), false, false},
		"pushed alone, named as muxed ones":      {audio("de-a", 128000), audio("en-a", 127000), false, false},
		"pushed alone, a ladder":                 {audio("main", 128000), audio("main-lo", 64000), true, false},
		"one muxed, one alone":                   {audio("hi-a", 128000), audio("described", 128001), false, false},
		"one muxed, one alone and a rung lower":  {audio("hi-a", 128000), audio("small", 48000), true, false},
		"a rendition whose name looks like this": {audio("x-a-a", 128000), audio("hi-a", 128000), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.interchangeable, w.Interchangeable(c.a, c.b))
			require.Equal(t, c.interchangeable, w.Interchangeable(c.b, c.a))
			require.Equal(t, c.repeats, w.Repeats(c.a, c.b))
			require.Equal(t, c.repeats, w.Repeats(c.b, c.a))
		})
	}
	require.Equal(t, []string{"a", "a2", "a", "main", "de-a", "hi-a1", "hi-ax", "-a"}, []string{w.Sound("hi-a"), w.Sound("lo-a2"),
		w.Sound("x-a-a"), w.Sound("main"), w.Sound("de-a"), w.Sound("hi-a1"), w.Sound("hi-ax"), w.Sound("-a")})
}
