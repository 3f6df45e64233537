package hls

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/media"
)

// renditionLines returns the EXT-X-MEDIA lines without their group, type and URI.
func renditionLines(text string) (all []string) {
	for _, m := range regexp.MustCompile(`#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="[^"]*",(.*),CHANNELS=.*`).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestRenditionsHaveTheNamesAndCharacteristicsOfTheirTracks(t *testing.T) {
	named := func(id, language, name string, roles media.Roles) packager.TrackWindow {
		tw := audio(id, "mp4a.40.2", language, 2, 128_000, 3)
		tw.Name, tw.Roles = name, roles
		return tw
	}
	manual := named("a4", "fr", "Français", 0)
	manual.Manual = true
	text, _ := renderMultivariant(t, CMAF, live(video("v1", 720, 3_000_000, 3), named("a1", "en", "English", 0),
		named("a2", "en", "English (described)", media.RoleDescription), named("a3", "en", "Speech", media.RoleEnhancedSpeech|media.RoleDescription),
		manual, named("a5", "de", "", 0), named("a6", "en", "English", media.RoleCommentary)))
	require.Equal(t, []string{
		`NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES`,
		`NAME="English (described)",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,CHARACTERISTICS="public.accessibility.describes-video"`,
		`NAME="Speech",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,CHARACTERISTICS="public.accessibility.describes-video,public.accessibility.enhances-speech-intelligibility"`,
		`NAME="Français",LANGUAGE="fr",DEFAULT=NO,AUTOSELECT=NO`,
		`NAME="de",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES`,
		`NAME="English 2",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=NO`,
	}, renditionLines(text))
}

func TestADescribedProgrammeIsNoRungOfTheMainOne(t *testing.T) {
	described := audio("a2", "mp4a.40.2", "en", 2, 64_000, 3)
	described.Roles = media.RoleDescription
	text, _ := renderMultivariant(t, TS, live(video("v1", 720, 3_000_000, 3), audio("a1", "mp4a.40.2", "en", 2, 128_000, 3), described))
	require.Len(t, renditionLines(text), 2, "it is not dropped for one that is muxed")
}

func TestARenditionThatStoppedIsNotOfferedWhileOthersGoOn(t *testing.T) {
	short := func(tw packager.TrackWindow, n int) packager.TrackWindow {
		tw.Segments = tw.Segments[:n]
		return tw
	}
	for name, c := range map[string]struct {
		video, audio int // segments of the second of each, of 10
		fixed, over  bool
		want         []string
	}{
		"none":                      {10, 10, false, false, []string{"hi", "lo", "en", "de"}},
		"late by three":             {7, 7, false, false, []string{"hi", "lo", "en", "de"}},
		"a video":                   {6, 10, false, false, []string{"hi", "en", "de"}},
		"a language":                {10, 6, false, false, []string{"hi", "lo", "en"}},
		"and is to be watched late": {6, 6, true, false, []string{"hi", "en"}},
		"of a recording":            {6, 6, false, true, []string{"hi", "lo", "en", "de"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := live(video("hi", 1080, 5_000_000, 10), short(video("lo", 360, 800_000, 10), c.video),
				audio("en", "mp4a.40.2", "en", 2, 128_000, 10), short(audio("de", "mp4a.40.2", "de", 2, 128_000, 10), c.audio))
			v.Live, v.Fixed = !c.over, c.fixed
			text, _ := renderMultivariant(t, CMAF, v)
			var got []string
			for _, id := range []string{"hi", "lo", "en", "de"} {
				if regexp.MustCompile(`index_` + id + `\.m3u8`).MatchString(text) {
					got = append(got, id)
				}
			}
			require.Equal(t, c.want, got)
			_, err := CMAF.Render(v, child("index", "lo"))
			require.NoError(t, err, "who has it may read on")
		})
	}
	t.Run("the last of its kind stays", func(t *testing.T) {
		text, _ := renderMultivariant(t, CMAF, live(short(video("hi", 1080, 5_000_000, 10), 3), audio("en", "mp4a.40.2", "en", 2, 128_000, 10)))
		require.Contains(t, text, "index_hi.m3u8")
	})
}

func TestSegmentsAreNotSaidToBeIndependentWhereOneIsNot(t *testing.T) {
	const tag = "#EXT-X-INDEPENDENT-SEGMENTS\n"
	v := live(video("hi", 1080, 5_000_000, 5), video("lo", 360, 800_000, 5), audio("en", "mp4a.40.2", "en", 2, 128_000, 5))
	read := func(r packager.Resource) string {
		b, err := CMAF.Render(v, r)
		require.NoError(t, err)
		return string(b)
	}
	for _, r := range []packager.Resource{manifest("index"), child("index", "hi"), child("index", "lo"), child("index", "en")} {
		require.Contains(t, read(r), tag)
	}
	v.Tracks[1].Segments[2].Dependent = true
	require.NotContains(t, read(manifest("index")), tag, "it speaks of all its playlists")
	require.NotContains(t, read(child("index", "lo")), tag)
	require.Contains(t, read(child("index", "hi")), tag)
	text, p := renderMultivariant(t, CMAF, v)
	require.Len(t, p.Variants, 2)
	require.Len(t, renditionLines(text), 1)
	text, p = renderMultivariant(t, TS, live(v.Tracks[1]))
	require.Len(t, p.Variants, 1)
	require.NotContains(t, text, tag)
}
