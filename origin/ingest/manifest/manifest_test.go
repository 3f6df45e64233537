package manifest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// encode runs ffmpeg on three seconds of a test picture and a tone in an empty directory and returns it.
func encode(t *testing.T, args string) string {
	t.Helper()
	dir := t.TempDir()
	in := "-v error -f lavfi -i testsrc2=size=160x90:rate=25:duration=3 -f lavfi -i sine=frequency=440:sample_rate=48000:duration=3 " +
		"-c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac "
	words := strings.Fields(in + args)
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, "|", " ") // a bar stands for a space inside an argument
	}
	cmd := exec.Command("ffmpeg", words...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

func file(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return b
}

func TestPlaylistsOfFFmpegAreUnderstood(t *testing.T) {
	dir := encode(t, "-map 0:v -map 0:v -map 1:a -f hls -hls_time 1 -hls_list_size 2 -hls_segment_type fmp4 "+
		"-hls_flags independent_segments+program_date_time -master_pl_name master.m3u8 "+
		"-var_stream_map v:0,agroup:aud,name:hi|v:1,agroup:aud,name:lo|a:0,agroup:aud,language:eng,name:aud "+
		"-b:v:0 600k -b:v:1 200k -b:a 64k -hls_segment_filename %v/seg%05d.m4s -hls_fmp4_init_filename init_%v.mp4 %v/index.m3u8")
	t.Run("a media playlist", func(t *testing.T) {
		p, err := ParsePlaylist(file(t, dir, "hi/index.m3u8"))
		require.NoError(t, err)
		require.False(t, p.Multivariant)
		require.True(t, p.Ended)
		require.EqualValues(t, 1, p.MediaSequence)
		require.Len(t, p.Segments, 2)
		require.Equal(t, "seg00001.m4s", p.Segments[0].URI)
		require.Equal(t, "init_hi.mp4", p.Segments[1].Map)
		require.Equal(t, time.Second, p.Segments[0].Duration)
		require.WithinDuration(t, time.Now(), p.Segments[0].ProgramDateTime, time.Minute)
		require.Equal(t, time.Second, p.Segments[1].ProgramDateTime.Sub(p.Segments[0].ProgramDateTime).Round(100*time.Millisecond))
	})
	t.Run("a media playlist of byte ranges", func(t *testing.T) {
		p, err := ParsePlaylist([]byte("#EXTM3U\n#EXTINF:1,\n#EXT-X-BYTERANGE:188@0\na.ts\n#EXT-X-BYTERANGE:376\n#EXTINF:1,\na.ts\n#EXTINF:2,\nb.ts\n"))
		require.NoError(t, err)
		require.Len(t, p.Segments, 3)
		require.True(t, p.Segments[0].Ranged)
		require.True(t, p.Segments[1].Ranged)
		require.False(t, p.Segments[2].Ranged)
	})
	t.Run("a multivariant playlist", func(t *testing.T) {
		p, err := ParsePlaylist(file(t, dir, "master.m3u8"))
		require.NoError(t, err)
		require.True(t, p.Multivariant)
		require.Equal(t, "hi/index.m3u8", p.Variants[0].URI)
		require.Equal(t, "group_aud", p.Variants[0].AudioGroup)
		require.Contains(t, p.Variants[0].Codecs, "avc1.")
		require.Greater(t, p.Variants[0].Bandwidth, p.Variants[1].Bandwidth)
		require.Equal(t, []Rendition{{URI: "aud/index.m3u8", Type: "AUDIO", Group: "group_aud", Name: "audio_2", Language: "eng", Default: true}}, p.Renditions)
	})
}

func TestMPDsOfFFmpegAreUnderstood(t *testing.T) {
	for _, c := range []struct{ name, args, init, media, other string }{
		{"with a timeline", "", "init-stream0.m4s", "chunk-stream0-00001.m4s", "chunk-stream1-00001.m4s"},
		{"with a number template", "-use_timeline 0", "init-stream0.m4s", "chunk-stream0-00001.m4s", "chunk-stream0-1.m4s"},
		{"with times in names", "-media_seg_name c-$RepresentationID$-$Time$.m4s", "init-stream0.m4s", "c-0-0.m4s", "c-1-0.m4s"},
		{"with a list", "-use_template 0 -use_timeline 0", "init-stream0.m4s", "chunk-stream0-00001.m4s", "chunk-stream0-00009.m4s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := encode(t, "-map 0:v -map 1:a -b:v 300k -metadata:s:a:0 language=deu -f dash -seg_duration 1 "+
				"-adaptation_sets id=0,streams=v|id=1,streams=a "+c.args+" x.mpd")
			m, err := ParseMPD(file(t, dir, "x.mpd"))
			require.NoError(t, err)
			require.True(t, m.Static)
			require.Len(t, m.Representations, 2)
			v, a := &m.Representations[0], &m.Representations[1]
			require.Equal(t, []string{"0", "0", Video, c.init}, []string{v.ID, v.AdaptationSet, v.Kind, v.Init})
			require.Equal(t, []string{"1", "1", Audio, "deu"}, []string{a.ID, a.AdaptationSet, a.Kind, a.Language})
			require.Equal(t, 300_000, v.Bandwidth)
			require.Contains(t, v.Codecs, "avc1.")
			require.True(t, v.Media(c.media))
			require.False(t, v.Media(c.other))
			require.False(t, v.Media(c.init))
		})
	}
}

func TestPlaylistForms(t *testing.T) {
	t.Run("a later map, a discontinuity and a date hold for what follows", func(t *testing.T) {
		p, err := ParsePlaylist([]byte("\xef\xbb\xbf#EXTM3U\r\n#EXT-X-VERSION:7\r\n\r\n#EXT-X-DISCONTINUITY-SEQUENCE:4\r\n#EXT-X-MEDIA-SEQUENCE:7\r\n" +
			"#EXT-X-MAP:URI=\"a.mp4\"\r\n#EXTINF:2.002,title\r\n#EXT-X-PROGRAM-DATE-TIME:2026-11-23T16:00:00.123+0000\r\na7.m4s\r\n#EXTINF:2,\r\na8.m4s?x=1\r\n" +
			"#EXT-X-DISCONTINUITY\r\n#EXT-X-MAP:URI=\"b.mp4\"\r\n#EXTINF:1.5,\r\nb9.m4s\r\n#EXTINF:1.5,\r\nb10.m4s"))
		require.NoError(t, err)
		at := time.Date(2026, 11, 23, 16, 0, 0, 123e6, time.UTC)
		require.True(t, at.Equal(p.Segments[0].ProgramDateTime))
		p.Segments[0].ProgramDateTime = time.Time{}
		require.Equal(t, &Playlist{MediaSequence: 7, Segments: []Segment{
			{URI: "a7.m4s", Map: "a.mp4", Duration: 2002 * time.Millisecond},
			{URI: "a8.m4s?x=1", Map: "a.mp4", Duration: 2 * time.Second},
			{URI: "b9.m4s", Map: "b.mp4", Duration: 1500 * time.Millisecond, Discontinuity: true},
			{URI: "b10.m4s", Map: "b.mp4", Duration: 1500 * time.Millisecond},
		}}, p)
	})
	t.Run("encryption is told", func(t *testing.T) {
		p, err := ParsePlaylist([]byte("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n\n#EXTINF:1,\na.ts\n"))
		require.NoError(t, err)
		require.True(t, p.Encrypted)
		require.Len(t, p.Segments, 1)
	})
	t.Run("a rendition of no variant is kept", func(t *testing.T) {
		p, err := ParsePlaylist([]byte("#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"n\",LANGUAGE=\"en\"\n" +
			"#EXT-X-STREAM-INF:BANDWIDTH=1000,CODECS=\"avc1.64001f,mp4a.40.2\"\nv.m3u8\n"))
		require.NoError(t, err)
		require.Equal(t, []Rendition{{Type: "AUDIO", Group: "g", Name: "n", Language: "en"}}, p.Renditions)
		require.Equal(t, []Variant{{URI: "v.m3u8", Bandwidth: 1000, Codecs: "avc1.64001f,mp4a.40.2"}}, p.Variants)
	})
	t.Run("what stands after the last segment belongs to the next, not to it", func(t *testing.T) {
		p, err := ParsePlaylist([]byte("#EXTM3U\n#EXT-X-MAP:URI=\"a.mp4\"\n#EXTINF:1,\na.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"b.mp4\"\n"))
		require.NoError(t, err)
		require.Equal(t, []Segment{{URI: "a.m4s", Map: "a.mp4", Duration: time.Second}}, p.Segments)
	})
	t.Run("an empty list is a list", func(t *testing.T) {
		p, err := ParsePlaylist([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n"))
		require.NoError(t, err)
		require.Empty(t, p.Segments)
	})
	for name, body := range map[string]string{
		"no header":             "a.ts\n",
		"markup":                "<html></html>",
		"a segment without URI": "#EXTM3U\n#EXTINF:1,\n#EXTINF:1,\na.ts\n",
		"a cut playlist":        "#EXTM3U\n#EXTINF:1,\na.ts\n#EXTINF:1",
		"a duration of NaN":     "#EXTM3U\n#EXTINF:nan,\na.ts\n",
		"a negative duration":   "#EXTM3U\n#EXTINF:-1,\na.ts\n",
		"a variant without URI": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n",
	} {
		t.Run(name+" is malformed", func(t *testing.T) {
			_, err := ParsePlaylist([]byte(body))
			require.ErrorIs(t, err, ErrMalformed)
		})
	}
	t.Run("too many variants are refused", func(t *testing.T) {
		_, err := ParsePlaylist([]byte("#EXTM3U\n" + strings.Repeat("#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n", 501)))
		require.ErrorIs(t, err, ErrTooLarge)
		_, err = ParsePlaylist(make([]byte, MaxSize+1))
		require.ErrorIs(t, err, ErrTooLarge)
	})
}

func TestMPDForms(t *testing.T) {
	mpd := func(inner string) []byte {
		return []byte(`<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z">` +
			inner + `</MPD>`)
	}
	t.Run("attributes and base URLs are inherited", func(t *testing.T) {
		m, err := ParseMPD(mpd(`<BaseURL>live/</BaseURL><Period><SegmentTemplate initialization="$RepresentationID$/init.cmfv"/>` +
			`<AdaptationSet mimeType="audio/mp4" lang="fr"><BaseURL>./x/</BaseURL><SegmentTemplate media="$RepresentationID$/$Number%05d$-$Bandwidth$-$$.cmfa"/>` +
			`<Representation id="a.1" bandwidth="64000" codecs="mp4a.40.2"/></AdaptationSet></Period>`))
		require.NoError(t, err)
		require.False(t, m.Static)
		require.True(t, m.AvailabilityStart.Equal(time.Unix(0, 0)))
		r := &m.Representations[0]
		require.Equal(t, []string{"a.1", "0", Audio, "fr", "live/x/a.1/init.cmfv"}, []string{r.ID, r.AdaptationSet, r.Kind, r.Language, r.Init})
		require.True(t, r.Media("live/x/a.1/00012-64000-$.cmfa"))
		require.True(t, r.Media("live/x/a.1/123456-64000-$.cmfa"), "numbers may outgrow the width")
		require.False(t, r.Media("live/x/a.1/0012-64000-$.cmfa"))
		require.False(t, r.Media("live/x/a01/00012-64000-$.cmfa"), "the id is no pattern")
	})
	t.Run("a base URL on another host says nothing", func(t *testing.T) {
		m, err := ParseMPD(mpd(`<BaseURL>http://cdn.example/live/</BaseURL><Period><AdaptationSet contentType="video">` +
			`<Representation id="v"><SegmentTemplate media="v-$Time$.m4s" initialization="v.mp4"/></Representation></AdaptationSet></Period>`))
		require.NoError(t, err)
		require.Equal(t, "v.mp4", m.Representations[0].Init)
		require.True(t, m.Representations[0].Media("v-21760000000000.m4s"))
	})
	rep := func(template string) string {
		return `<Period><AdaptationSet><Representation id="v">` + template + `</Representation></AdaptationSet></Period>`
	}
	for name, body := range map[string][]byte{
		"no XML":                   []byte("#EXTM3U"),
		"another root":             []byte("<Patch/>"),
		"a cut document":           mpd("")[:60],
		"an open identifier":       mpd(rep(`<SegmentTemplate media="a-$Number.m4s"/>`)),
		"an unknown identifier":    mpd(rep(`<SegmentTemplate media="a-$Foo$.m4s"/>`)),
		"a huge width":             mpd(rep(`<SegmentTemplate media="a-$Number%0999d$.m4s"/>`)),
		"a number in the header":   mpd(rep(`<SegmentTemplate initialization="a-$Number$.mp4"/>`)),
		"a long template":          mpd(rep(`<SegmentTemplate media="` + strings.Repeat("a", 4000) + `"/>`)),
		"a template of numbers":    mpd(rep(`<SegmentTemplate media="` + strings.Repeat("$Number$", 20) + `"/>`)),
		"a bandwidth of words":     mpd(`<Period><AdaptationSet><Representation id="v" bandwidth="many"/></AdaptationSet></Period>`),
		"a start that is no date":  []byte(`<MPD availabilityStartTime="yesterday"/>`),
		"a bandwidth out of range": mpd(`<Period><AdaptationSet><Representation id="v" bandwidth="99999999999"/></AdaptationSet></Period>`),
	} {
		t.Run(name+" is malformed", func(t *testing.T) {
			_, err := ParseMPD(body)
			require.ErrorIs(t, err, ErrMalformed)
		})
	}
	t.Run("too many representations are refused", func(t *testing.T) {
		_, err := ParseMPD(mpd(`<Period><AdaptationSet>` + strings.Repeat(`<Representation/>`, 501) + `</AdaptationSet></Period>`))
		require.ErrorIs(t, err, ErrTooLarge)
	})
}

func TestTemplatesMatchWhatTheyMake(t *testing.T) {
	open := map[string]string{"$Number$": "[0-9]{1,20}", "$Number%03d$": "[0-9]{3,20}", "$Time$": "-?[0-9]{1,20}"}
	pieces := []string{"$Number$", "$Number%03d$", "$Time$", "a", "-", "7", "77.m4s"}
	rapid.Check(t, func(t *rapid.T) {
		picked := rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 6).Draw(t, "template")
		numbers, pattern := 0, "^"
		for _, p := range picked {
			if re, ok := open[p]; ok {
				numbers++
				pattern += re
			} else {
				pattern += regexp.QuoteMeta(p)
			}
		}
		r := Representation{ID: "v"}
		p, err := r.expand(strings.Join(picked, ""), true)
		if numbers > maxNumbers {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.NoError(t, err)
		name := rapid.StringMatching("[-a0-9]{0,12}(77.m4s)?|"+pattern[1:]).Draw(t, "name")
		require.Equal(t, regexp.MustCompile(pattern+"$").MatchString(name), p.match(name), "%s of %v", name, picked)
	})
	t.Run("in a time that does not grow with the ways to match", func(t *testing.T) {
		r := Representation{}
		p, err := r.expand("$Time$$Time$$Time$$Time$x", true)
		require.NoError(t, err)
		require.False(t, p.match(strings.Repeat("1", 600)))
		require.True(t, p.match(strings.Repeat("1", 80)+"x"))
		require.False(t, p.match(strings.Repeat("1", 81)+"x"))
	})
}

func TestAnMPDIsBoundedInMemory(t *testing.T) {
	list := strings.Repeat(`<SegmentURL media="old.m4s"/>`, 1000) + `<SegmentURL media="new.m4s"/>`
	m, err := ParseMPD([]byte(`<MPD><Period><AdaptationSet><Representation id="v"><SegmentList>` + list + `</SegmentList></Representation></AdaptationSet></Period></MPD>`))
	require.NoError(t, err)
	r := &m.Representations[0]
	require.True(t, r.Media("new.m4s"))
	require.LessOrEqual(t, r.Size(), 64*40+512)
	_, err = ParseMPD([]byte(`<MPD><Period><AdaptationSet><Representation id="` + strings.Repeat("v", 2000) +
		`"><SegmentTemplate media="$RepresentationID$.m4s"/></Representation></AdaptationSet></Period></MPD>`))
	require.ErrorIs(t, err, ErrMalformed)
}

func FuzzParsePlaylist(f *testing.F) {
	for _, s := range []string{
		"", "#EXTM3U", "#EXTM3U\n#EXT-X-KEY:METHOD=NONE\n\n#EXT-X-MAP:URI=\"m\"\n\n#EXTINF:1,\n\na\n", "#EXTM3U\n#EXT-X-MAP:URI=\"m\"\na\n",
		"#EXTM3U\r\n#EXT-X-STREAM-INF:BANDWIDTH=1\r\n\r\nv\r\n", "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\"\n#EXT-X-STREAM-INF:AUDIO=\"g\"\nv\n#WV-CYPHER-VERSION",
		"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n#EXTINF:1e308,\na\n#EXT-X-ENDLIST\n",
		"#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:\n#EXT-X-DISCONTINUITY\n#EXT-X-BYTERANGE:1@2\n#EXTINF:1\na\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePlaylist(b)
		if err != nil {
			require.Nil(t, p)
			return
		}
		for _, s := range p.Segments {
			require.NotEmpty(t, s.URI)
			require.GreaterOrEqual(t, s.Duration, time.Duration(0))
		}
	})
}

func FuzzParseMPD(f *testing.F) {
	for _, s := range []string{
		"", "<MPD/>", `<MPD type="dynamic"><Period><AdaptationSet><SegmentTemplate media="$Number%05d$" initialization="$RepresentationID$"/>` +
			`<Representation id="1" bandwidth="1"/></AdaptationSet></Period></MPD>`, "<MPD>" + strings.Repeat("<a>", 2000),
		`<MPD><BaseURL>../../x</BaseURL><Period><AdaptationSet><Representation><SegmentList><SegmentURL media="%zz"/></SegmentList></Representation></AdaptationSet></Period></MPD>`,
		`<!DOCTYPE a [<!ENTITY b "c">]><MPD type="&b;"/>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMPD(b)
		if err != nil {
			require.Nil(t, m)
			return
		}
		for i := range m.Representations {
			m.Representations[i].Media("chunk-1.m4s")
			require.False(t, strings.HasPrefix(m.Representations[i].Init, "/"))
		}
	})
}
