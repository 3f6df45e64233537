package hls

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/media"
)

func ladder() packager.View {
	return live(
		video("v1080", 1080, 5_000_000, 3), video("v720", 720, 3_000_000, 3),
		audio("a1", "mp4a.40.2", "en", 2, 128_000, 3), audio("a2", "mp4a.40.2", "de", 2, 128_001, 3),
		audio("a3", "ec-3", "en", 6, 384_000, 3),
	)
}

func TestMultivariantListsEveryVideoWithEveryAudioGroup(t *testing.T) {
	v := ladder()
	v.ManifestQuery = "end=2&start=1"
	text, p := renderMultivariant(t, CMAF, v)
	golden(t, "multivariant-cmaf.m3u8", text)
	require.Len(t, p.Variants, 4)
	require.Equal(t, "index_v1080.m3u8?end=2&start=1", p.Variants[0].URI)
	require.Equal(t, uint32(5_500_000+140_801), p.Variants[0].Bandwidth)
	require.Equal(t, uint32(5_000_000+128_001), p.Variants[0].AverageBandwidth)
	require.Equal(t, uint32(5_500_000+422_400), p.Variants[1].Bandwidth)
}

func TestMultivariantOfMuxedTSPairsEachVideoWithItsAudio(t *testing.T) {
	text, p := renderMultivariant(t, TS, live(video("v1080", 1080, 5_000_000, 3), video("v720", 720, 3_000_000, 3),
		audio("a1", "mp4a.40.2", "en", 2, 128_000, 3)))
	golden(t, "multivariant-ts.m3u8", text)
	require.Len(t, p.Variants, 2)
	require.Equal(t, "index_v1080.a1.m3u8", p.Variants[0].URI)
	require.Greater(t, p.Variants[0].Bandwidth, uint32((5_500_000+140_800)*108/100))
}

func TestMultivariantOfTSMuxesOneSoundAlone(t *testing.T) {
	muxed, apart := `index_v1\.a1\.m3u8`, `AUDIO="mp4a\.40\.2-2"`
	for name, c := range map[string]struct {
		second packager.TrackWindow
		want   string
	}{
		"another language":                    {audio("a2", "mp4a.40.2", "de", 2, 128_000, 3), apart},
		"another layout":                      {audio("a2", "mp4a.40.2", "en", 6, 384_000, 3), apart},
		"another programme":                   {audio("a2", "mp4a.40.2", "en", 2, 127_000, 3), apart},
		"a rung of its ladder":                {audio("a2", "mp4a.40.2", "en", 2, 64_000, 3), muxed},
		"one that segments of TS cannot hold": {audio("a2", "opus", "en", 2, 128_000, 3), muxed},
	} {
		t.Run(name, func(t *testing.T) {
			text, _ := renderMultivariant(t, TS, live(video("v1", 720, 3_000_000, 3), audio("a1", "mp4a.40.2", "en", 2, 128_000, 3), c.second))
			require.Regexp(t, c.want, text)
			require.Equal(t, c.want == apart, strings.Contains(text, "index_a2.m3u8"), text)
		})
	}
}

func TestMultivariantOfTSWithAudioGroupsListsRenditions(t *testing.T) {
	v := ladder()
	v.AudioGroups = true
	text, p := renderMultivariant(t, TS, v)
	golden(t, "multivariant-ts-groups.m3u8", text)
	require.Len(t, p.Variants, 4)
}

func TestMultivariantOfAudioAloneListsEveryTrackAsAVariant(t *testing.T) {
	for _, f := range []Format{CMAF, TS} {
		text, p := renderMultivariant(t, f, live(
			audio("a1", "mp4a.40.2", "", 2, 128_000, 3), audio("a2", "mp4a.40.2", "", 2, 64_000, 3)))
		require.Len(t, p.Variants, 2)
		require.Equal(t, "index_a1.m3u8", p.Variants[0].URI)
		require.NotContains(t, text, "RESOLUTION")
		require.NotContains(t, text, "EXT-X-MEDIA")
	}
}

func TestMultivariantOfVideoAloneNamesNoAudio(t *testing.T) {
	for _, f := range []Format{CMAF, TS} {
		text, p := renderMultivariant(t, f, live(video("v1", 720, 3_000_000, 3)))
		require.Len(t, p.Variants, 1)
		require.Equal(t, "index_v1.m3u8", p.Variants[0].URI)
		require.Equal(t, "avc1.640028", p.Variants[0].Codecs)
		require.NotContains(t, text, "AUDIO")
	}
}

func TestMultivariantListsAudioThatCameUnderEveryRenditionOnce(t *testing.T) {
	v := live(video("hi-v", 720, 3_000_000, 3), video("lo-v", 360, 1_000_000, 3),
		audio("hi-a", "mp4a.40.2", "en", 2, 128_000, 3), audio("hi-a2", "mp4a.40.2", "fr", 2, 127_500, 3),
		audio("lo-a", "mp4a.40.2", "en", 2, 127_100, 3), audio("lo-a2", "mp4a.40.2", "fr", 2, 127_000, 3))
	text, _ := renderMultivariant(t, CMAF, v)
	require.Contains(t, text, "index_hi-a.m3u8")
	require.NotContains(t, text, "index_lo-a.m3u8")
	require.Contains(t, text, "index_hi-a2.m3u8", "another language is another rendition")
	require.Equal(t, []string{`NAME="en"`, `NAME="fr"`}, regexp.MustCompile(`NAME="[^"]*"`).FindAllString(text, -1))
	require.Equal(t, 1, strings.Count(text, "DEFAULT=YES"))
	v.Tracks = slices.DeleteFunc(v.Tracks, func(t packager.TrackWindow) bool { return t.Language == "fr" })
	text, _ = renderMultivariant(t, TS, v)
	require.Contains(t, text, "index_lo-v.hi-a.m3u8")
	require.NotContains(t, text, "EXT-X-MEDIA")
}

func TestMultivariantListsEveryAudioThatWasPushedByItself(t *testing.T) {
	for _, language := range []string{"en", ""} {
		text, _ := renderMultivariant(t, CMAF, live(video("v1", 720, 3_000_000, 3),
			audio("described", "mp4a.40.2", language, 2, 127_100, 3), audio("low", "mp4a.40.2", language, 2, 64_000, 3),
			audio("main", "mp4a.40.2", language, 2, 128_000, 3), audio("odd", "mp4a.40.2", cmp.Or(language, "audio")+" 2", 2, 128_001, 3)))
		for _, uri := range []string{"index_described.m3u8", "index_low.m3u8", "index_main.m3u8"} {
			require.Contains(t, text, uri)
		}
		name := cmp.Or(language, "audio")
		require.Equal(t, []string{`NAME="` + name + `"`, `NAME="` + name + ` 2"`, `NAME="` + name + ` 3"`, `NAME="` + name + ` 2 2"`},
			regexp.MustCompile(`NAME="[^"]*"`).FindAllString(text, -1), "unique in the group")
		require.Equal(t, 1, strings.Count(text, "DEFAULT=YES"))
	}
}

// Captions are in the video or not: a playlist that says there are none makes players ignore them.
func TestMultivariantSaysNothingOfCaptions(t *testing.T) {
	text, _ := renderMultivariant(t, CMAF, ladder())
	require.NotContains(t, text, "CLOSED-CAPTIONS")
}

func TestMultivariantLeavesOutWhatTSCannotCarry(t *testing.T) {
	av1 := video("v1", 720, 3_000_000, 3)
	av1.Segments[2].Config = &media.Config{ID: "00", Codec: "av01.0.08M.08"}
	_, p := renderMultivariant(t, TS, live(av1, video("v2", 720, 2_000_000, 3), audio("a1", "opus", "", 2, 96_000, 3)))
	require.Len(t, p.Variants, 1)
	require.Equal(t, "index_v2.m3u8", p.Variants[0].URI)

	_, err := TS.Render(live(av1), manifest("index"))
	require.ErrorIs(t, err, packager.ErrNoTrack)
	_, err = TS.Render(live(av1), child("index", "v1"))
	require.ErrorIs(t, err, packager.ErrNoTrack)
}

func TestMultivariantWithoutMediaIsErrNoMedia(t *testing.T) {
	_, err := CMAF.Render(live(), manifest("index"))
	require.ErrorIs(t, err, packager.ErrNoMedia)
	empty := video("v1", 720, 3_000_000, 0)
	_, err = CMAF.Render(live(empty), manifest("index"))
	require.ErrorIs(t, err, packager.ErrNoMedia)
}

func TestMultivariantUsesTheNominalBitrateUntilOneIsMeasured(t *testing.T) {
	v1 := video("v1", 720, 3_000_000, 1)
	v1.Peak, v1.Average = 0, 0
	_, p := renderMultivariant(t, CMAF, live(v1))
	require.Equal(t, uint32(3_000_000), p.Variants[0].Bandwidth)
	require.Equal(t, uint32(3_000_000), p.Variants[0].AverageBandwidth)
}

func TestMultivariantQuotesNothingThatWouldBreakTheLine(t *testing.T) {
	text, _ := renderMultivariant(t, CMAF, live(video("v1", 720, 3_000_000, 1), audio("a1", "mp4a.40.2", "e\"n\n#X", 2, 128_000, 1)))
	require.Contains(t, text, `LANGUAGE="en#X"`)
}
