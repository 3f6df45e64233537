package playback

import (
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/packager"
	"headwater/packager/media"
)

// watched returns a window of one track whose segments have 1000 and 3000 bytes a second.
func watched(live bool, peak int) *packager.Window {
	return &packager.Window{Live: live, Tracks: []packager.TrackWindow{{Track: media.Track{ID: "v1", Timescale: 1000}, Peak: peak, Average: peak / 2,
		Segments: []media.Segment{{Number: 1, Duration: 2000, Size: 2000}, {Number: 2, Start: 2000, Duration: 1000, Size: 3000},
			{Number: 3, Start: 3000, Duration: 199, Size: 5000}}}}}
}

func TestAManifestIsAnotherOneOnlyByWhatItShows(t *testing.T) {
	for name, c := range map[string]struct {
		kind    packager.ResourceKind
		format  channel.ManifestType
		live    bool
		another bool
	}{
		"a live multivariant playlist shows bitrates": {packager.Manifest, channel.HLS, true, true},
		"a live MPD does":                        {packager.Manifest, channel.DASH, true, true},
		"those of a finished window are its own": {packager.Manifest, channel.HLS, false, false},
		"a media playlist shows none":            {packager.ChildManifest, channel.HLS, true, false},
		"a finished one neither":                 {packager.ChildManifest, channel.HLS, false, false},
		"a Smooth manifest shows nominal ones":   {packager.Manifest, channel.MSS, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			q := &request{resource: packager.Resource{Kind: c.kind}, manifest: channel.Manifest{Type: c.format}}
			a, b := watched(c.live, 1000), watched(c.live, 2000)
			q.rate(a)
			q.rate(b)
			require.Equal(t, c.another, identity(a) != identity(b))
		})
	}
}

func TestAManifestIsAnotherOneWhenTheDefaultIs(t *testing.T) {
	a, b := watched(true, 1000), watched(true, 1000)
	b.Tracks[0].Default = true // the roles of an MPD hang on it
	require.NotEqual(t, identity(a), identity(b))
}

func TestTheBitratesOfAFinishedWindowAreThoseOfItsSegments(t *testing.T) {
	q := &request{resource: packager.Resource{Kind: packager.Manifest}, manifest: channel.Manifest{Type: channel.HLS}}
	w := watched(false, 1)
	q.rate(w)
	require.Equal(t, 24_000, w.Tracks[0].Peak, "a stretch under a fifth of a second says nothing")
	require.Equal(t, 10_000*8*1000/3199, w.Tracks[0].Average)
}
