package hls

import (
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/media"
)

func TestParseReadsEveryNameThatPlaylistsUse(t *testing.T) {
	tests := []struct {
		format Format
		name   string
		want   packager.Resource
	}{
		{CMAF, "index.m3u8", manifest("index")},
		{TS, "my-list.m3u8", manifest("my-list")},
		{CMAF, "index_v1.m3u8", child("index", "v1")},
		{TS, "index_v1.m3u8", child("index", "v1")},
		{TS, "index_v1.a1.m3u8", child("index", "v1", "a1")},
		{CMAF, "segment_v1_7.mp4", packager.Resource{Kind: packager.MediaSegment, Tracks: []string{"v1"}, Number: 7}},
		{TS, "segment_v1.a1_7.ts", packager.Resource{Kind: packager.MediaSegment, Tracks: []string{"v1", "a1"}, Number: 7}},
		{TS, "segment_a1_7.ts", packager.Resource{Kind: packager.MediaSegment, Tracks: []string{"a1"}, Number: 7}},
		{CMAF, "segment_v1_0a1b_init.mp4", packager.Resource{Kind: packager.Init, Tracks: []string{"v1"}, Config: "0a1b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, ok := tt.format.Parse(tt.name)
			require.True(t, ok)
			require.Equal(t, tt.want, r)
		})
	}
}

func TestParseRefusesOtherNames(t *testing.T) {
	tests := map[Format][]string{
		CMAF: {
			"", ".m3u8", "_.m3u8", "index_.m3u8", "_v1.m3u8", "index_v1_2.m3u8", "index_v1.a1.m3u8", "a/index.m3u8",
			"index.mpd", "segment_v1_7.ts", "segment_v1.a1_7.mp4", "segment_v1_t7.mp4", "segment_v1_07.mp4", "index.m3u8x",
			"in dex.m3u8", "segment_v1_init.mp4",
		},
		TS: {"segment_v1_7.mp4", "segment_v1_0a1b_init.ts", "index_v1.a1.a2.m3u8", "index_v1..m3u8", "segment_a.b.c_1.ts"},
	}
	for format, names := range tests {
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				_, ok := format.Parse(name)
				require.False(t, ok)
			})
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"index.m3u8", "index_v1.a1.m3u8", "segment_v1_7.mp4", "segment_v1.a1_7.ts", "_._.m3u8", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, format := range []Format{CMAF, TS} {
			r, ok := format.Parse(name)
			if !ok {
				continue
			}
			// A resource has one name, so that caches hold it once.
			switch r.Kind {
			case packager.Manifest:
				require.Equal(t, name, r.Manifest+playlistExt)
			case packager.ChildManifest:
				require.Equal(t, name, playlistName(packager.View{}, r.Manifest, r.Tracks...))
			case packager.MediaSegment:
				require.Equal(t, name, packager.SegmentName(r.Number, format.ext(), r.Tracks...))
			case packager.Init:
				require.Equal(t, name, packager.InitName(r.Tracks[0], r.Config))
			default:
				t.Fatalf("kind %d", r.Kind)
			}
		}
	})
}

func TestContentTypeTellsPlaylistsAndSegmentsApart(t *testing.T) {
	segment := packager.Resource{Kind: packager.MediaSegment}
	require.Equal(t, "application/vnd.apple.mpegurl", CMAF.ContentType(manifest("index")))
	require.Equal(t, "application/vnd.apple.mpegurl", TS.ContentType(child("index", "v")))
	require.Equal(t, "video/mp2t", TS.ContentType(segment))
	require.Equal(t, "video/mp4", CMAF.ContentType(segment))
	segment.Type = media.Audio
	require.Equal(t, "audio/mp4", CMAF.ContentType(segment))
}

func TestNewChoosesTheFormatOfTheEndpoint(t *testing.T) {
	require.Equal(t, CMAF, New(packager.Options{}))
	require.Equal(t, TS, New(packager.Options{MPEGTS: true}))
}

func TestRenderRefusesWhatIsNoPlaylist(t *testing.T) {
	_, err := CMAF.Render(live(video("v1", 720, 3_000_000, 1)), packager.Resource{Kind: packager.MediaSegment})
	require.Error(t, err)
}
