package demux

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

func TestKindBoxesTellTheRolesOfATrack(t *testing.T) {
	kind := func(scheme, value string) []byte { return boxOf("kind", "\x00\x00\x00\x00"+scheme+"\x00"+value+"\x00") }
	for name, c := range map[string]struct {
		udta []byte
		want string
	}{
		"none":                     {nil, ""},
		"of DASH":                  {cat(kind(media.RoleScheme, "description"), kind(media.RoleScheme, "dub")), "dub description"},
		"of TV-Anytime":            {cat(kind(audioPurpose, "1"), kind(audioPurpose, "6")), "main description"},
		"as MediaLive writes them": {cat(kind(media.RoleScheme, "main"), kind(audioPurpose, "6")), "main"},
		"of another scheme":        {kind("urn:example", "description"), ""},
		"unknown":                  {kind(media.RoleScheme, "director"), ""},
		"cut off":                  {boxOf("kind", "\x00\x00"), ""},
		"without end":              {boxOf("kind", "\x00\x00\x00\x00"+media.RoleScheme+"\x00sign"), "sign"},
		"beside other boxes":       {cat(boxOf("name", "x"), kind(media.RoleScheme, "commentary")), "commentary"},
		"in a broken box":          {[]byte("\x00\x00\x00\xffkind"), ""},
		"more than anybody needs":  {cat(bytes.Repeat(boxOf("kind", ""), maxKinds), kind(media.RoleScheme, "sign")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, kinds([]box{{name: "tkhd"}, {name: "udta", body: c.udta}}).String())
		})
	}
}

func TestDispositionsOfFFmpegAreRoles(t *testing.T) {
	const two = " -map 0:v -map 1:a -map 1:a -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac -disposition:a:0 default " +
		"-disposition:a:1 visual_impaired -metadata:s:a:1 language=deu "
	t.Run("in MPEG-TS", func(t *testing.T) {
		frags, err := ReadTS(bytes.NewReader(read(t, encode(t, two+"-f mpegts a.ts"), "a.ts")), DefaultLimits)
		require.NoError(t, err)
		require.Len(t, frags, 3)
		require.Zero(t, frags[1].Track.Roles)
		require.Equal(t, media.RoleDescription, frags[2].Track.Roles)
		require.Equal(t, "de", frags[2].Track.Language)
		flows, err := streamed(t, bytes.NewReader(read(t, encode(t, two+"-f mpegts a.ts"), "a.ts")), DefaultLimits)
		require.Error(t, err)
		for _, f := range flows {
			require.Equal(t, f.track.Index == 1, f.track.Roles == media.RoleDescription)
		}
	})
	t.Run("in MP4", func(t *testing.T) {
		in, err := ParseInit(read(t, encode(t, two+"-f mp4 -movflags empty_moov+frag_keyframe a.mp4"), "a.mp4"))
		require.NoError(t, err)
		require.Len(t, in.Tracks, 3)
		require.Zero(t, in.Tracks[1].Roles)
		require.Equal(t, media.RoleDescription, in.Tracks[2].Roles)
	})
}
