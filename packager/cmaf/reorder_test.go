package cmaf

import (
	"testing"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/hevc"
	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

func TestReorderingFollowsFromTheSequenceParameterSet(t *testing.T) {
	restricted := &avc.VUIParameters{BitstreamRestrictionFlag: true, MaxNumReorderFrames: 2}
	tests := []struct {
		name string
		sps  avc.SPS
		want int
	}{
		{"declared in the VUI", avc.SPS{Profile: 100, Level: 40, Width: 1920, Height: 1088, VUI: restricted}, 2},
		{"inferred from level 4 at 1080p", avc.SPS{Profile: 100, Level: 40, Width: 1920, Height: 1080}, 4},
		{"inferred from level 5.1 at 180p, at most 16", avc.SPS{Profile: 77, Level: 51, Width: 320, Height: 180}, 16},
		{"none in output order", avc.SPS{Profile: 100, Level: 40, Width: 1920, Height: 1080, PicOrderCntType: 2}, 0},
		{"none in Baseline", avc.SPS{Profile: 66, Level: 30, Width: 640, Height: 360}, 0},
		{"none in an intra profile", avc.SPS{Profile: 122, ProfileCompatibility: 0x10, Level: 41, Width: 1920, Height: 1080}, 0},
		{"a guess without a size", avc.SPS{Profile: 100, Level: 40}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, declared := ReorderAVC(&tt.sps)
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.want == 0 || tt.sps.VUI != nil, declared)
		})
	}
	layers := hevc.SPS{SubLayeringOrderingInfos: []hevc.SubLayerOrderingInfo{{MaxNumReorderPics: 1}, {MaxNumReorderPics: 3}}}
	require.Equal(t, 3, ReorderHEVC(&layers), "of the highest layer")
	require.Equal(t, 2, ReorderHEVC(&hevc.SPS{}))
	require.Equal(t, int64(2*3754), ReorderTicks(2, media.Ratio{Num: 24000, Den: 1001}, 90000), "rounded up from 7507.5")
	require.Equal(t, int64(7200), ReorderTicks(2, media.Ratio{}, 90000))
	require.Equal(t, int64(900_000), ReorderTicks(16, media.Ratio{Num: 1, Den: 1000}, 90000))
}
