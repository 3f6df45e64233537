package ingest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/ingest/manifest"
)

// audioMPD is an MPD as ffmpeg's -f dash writes it, of one audio; each of languages is a period.
func audioMPD(languages ...string) []byte {
	mpd := `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic">`
	for _, l := range languages {
		mpd += fmt.Sprintf(`<Period><AdaptationSet contentType="audio" lang="%s"><SegmentTemplate initialization="init-stream$RepresentationID$.m4s" `+
			`media="chunk-stream$RepresentationID$-$Number%%05d$.m4s"/><Representation id="1"/></AdaptationSet></Period>`, l)
	}
	return []byte(mpd + "</MPD>")
}

// dash puts the next segment of an audio and returns the language that its track has then.
func (g *rig) dash(n int) string {
	time.Sleep(2 * time.Second)
	g.accept(fmt.Sprintf("chunk-stream1-%05d.m4s", n+1), audio().seconds(float64(2*n), float64(2*n+2)))
	return g.tl.State().Tracks[0].Language
}

func TestALanguageIsTakenOnceItIsToldAndBadOnesChangeNothing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.accept("init-stream1.m4s", audio().init(t))
		require.Empty(t, g.dash(0), "the header says und")
		n := 1
		for _, c := range []struct{ told, want string }{
			{"", ""}, {"und", ""}, {"eng", "en"}, {"und", "en"}, {"", "en"}, {"english", "en"}, {"e n", "en"}, {"x", "en"},
			{"UND-Latn", "en"}, {"1a", "en"}, {"ger", "de"}, {"DE-AT", "de-AT"}, {"deu-AT", "de-AT"}, {"gsw", "gsw"},
		} {
			g.accept("live.mpd", audioMPD(c.told))
			require.Equal(t, c.want, g.dash(n), "%q", c.told)
			n++
		}
		g.restart()
		require.Equal(t, "gsw", g.dash(n), "before the MPD came again")
	})
}

func TestOfManifestsThatDifferTheSameOneIsBelieved(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.accept("init-stream1.m4s", audio().init(t))
		first := ""
		for n := range 20 {
			g.accept("b.mpd", audioMPD("de"))
			g.accept("a.mpd", audioMPD("en"))
			said := g.dash(n)
			if n == 0 {
				first = said
			}
			require.Equal(t, first, said, "segment %d", n)
		}
	})
}

func TestTheLastPeriodOfAnMPDTellsTheLanguage(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.accept("init-stream1.m4s", audio().init(t))
		g.accept("live.mpd", audioMPD("en", "de"))
		require.Equal(t, "de", g.dash(0))
	})
}

func TestARenditionWithoutAPlaylistIsInThoseOfItsVariants(t *testing.T) {
	n := newNames()
	master, err := manifest.ParsePlaylist([]byte("#EXTM3U\n" +
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",LANGUAGE=\"eng\",DEFAULT=YES\n" +
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"y\",LANGUAGE=\"fra\",URI=\"fr.m3u8\"\n" +
		"#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"z\",LANGUAGE=\"deu\",DEFAULT=YES,URI=\"lo.m3u8\"\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=1000,AUDIO=\"a\"\nhi.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=500\nlo.m3u8\n"))
	require.NoError(t, err)
	n.setMaster("live/master.m3u8", master)
	for variant, want := range map[string]rendition{"live-hi": {language: "en", standard: true, name: "x"}, "live-fr": {language: "fr", name: "y"}} {
		got, known := n.rendition(variant, "")
		require.True(t, known)
		require.Equal(t, want, got)
	}
	_, known := n.rendition("live-lo", "")
	require.False(t, known, "subtitles are no audio")
}
