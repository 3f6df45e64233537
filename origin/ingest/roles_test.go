package ingest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/ingest/manifest"
	"headwater/packager/media"
)

// described returns what is known of the tracks, the order that of manifests.
func (g *rig) described() (all []string) {
	for _, tr := range g.tl.State().Tracks {
		all = append(all, strings.Join(strings.Fields(fmt.Sprintf("%s %s %q %s %t %t", tr.ID, tr.Language, tr.Name, tr.Roles, tr.Default, tr.Manual)), " "))
	}
	return all
}

func TestManifestsTellNamesAndRoles(t *testing.T) {
	const entry = `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",LANGUAGE="%s",NAME="%s",%s,URI="%d/seg.m3u8"` + "\n"
	const set = `<AdaptationSet contentType="audio" lang="%s"><Label>%s</Label>%s<SegmentTemplate initialization="$RepresentationID$/init.mp4" ` +
		`media="$RepresentationID$/seg$Number$.m4s"/><Representation id="%d"/></AdaptationSet>`
	const role, purpose = `<Role schemeIdUri="urn:mpeg:dash:role:2011" value="%s"/>`,
		`<Accessibility schemeIdUri="urn:tva:metadata:cs:AudioPurposeCS:2007" value="1"/>`
	for name, manifest := range map[string]string{
		"live.m3u8": "#EXTM3U\n" + fmt.Sprintf(entry, "de", "Audiodeskription", `AUTOSELECT=YES,CHARACTERISTICS="public.accessibility.describes-video,com.example"`, 0) +
			fmt.Sprintf(entry, "en", "audio_1", `DEFAULT=NO,AUTOSELECT=NO`, 1) + fmt.Sprintf(entry, "de", "Deutsch", `DEFAULT=YES`, 2) +
			"#EXT-X-STREAM-INF:BANDWIDTH=1000000,AUDIO=\"a\"\nv/seg.m3u8\n",
		"live.mpd": `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic"><Period>` +
			fmt.Sprintf(set, "deu", " Audiodeskription ", fmt.Sprintf(role, "alternate")+purpose, 0) +
			fmt.Sprintf(set, "en", "", fmt.Sprintf(role, "dub"), 1) + fmt.Sprintf(set, "de", "Deutsch", fmt.Sprintf(role, "main"), 2) + `</Period></MPD>`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				put := func(n int) {
					time.Sleep(2 * time.Second)
					for _, v := range []string{"0", "1", "2"} {
						g.accept(fmt.Sprintf("%s/seg%d.m4s", v, n), audio().seconds(float64(2*n), float64(2*n+2)))
					}
				}
				for _, v := range []string{"0", "1", "2"} {
					g.accept(v+"/init.mp4", audio().init(t))
					if name == "live.m3u8" {
						g.accept(v+"/seg.m3u8", listing(time.Time{}, "init.mp4", "seg0.m4s", "seg1.m4s", "seg2.m4s"))
					}
				}
				g.accept(name, []byte(manifest))
				put(0)
				want := []string{`2-seg de "Deutsch" true false`, `1-seg en "" false true`, `0-seg de "Audiodeskription" description false false`}
				if name == "live.mpd" {
					want = []string{`2-seg de "Deutsch" true false`, `1-seg en "" dub false false`,
						`0-seg de "Audiodeskription" alternate description false false`}
				}
				for i := range want {
					want[i] = strings.Replace(want[i], "-seg", "", 1)
				}
				require.Equal(t, want, g.described())
				g.restart()
				put(1)
				require.Equal(t, want, g.described(), "what was said is not forgotten")
			})
		})
	}
}

func TestTheNamesOfRenditionsCanStandInAnyManifest(t *testing.T) {
	for said, want := range map[string]string{" English (5.1) ": "English (5.1)", "audio_0": "", "a\x00\nb": "ab", "\xff": "",
		strings.Repeat("ä", 500): strings.Repeat("ä", maxLabel/2), "": ""} {
		require.Equal(t, want, label(said))
	}
}

func TestCharacteristicsAreRoles(t *testing.T) {
	r := ofPlaylist(&manifest.Rendition{Characteristics: []string{"public.accessibility.describes-video", " public.accessibility.enhances-speech-intelligibility", "x"}})
	require.Equal(t, media.RoleDescription|media.RoleEnhancedSpeech, r.roles)
}
