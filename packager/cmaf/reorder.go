package cmaf

import (
	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/hevc"

	"headwater/packager/media"
)

// UsualReorder is by how many pictures most encoders reorder, for streams whose parameter sets cannot be read.
const UsualReorder = 2

// maxReorder is the most that either standard allows (ITU-T H.264 A.3.1, H.265 A.4.1).
const maxReorder = 16

// ReorderAVC returns by how many pictures decoding runs ahead of presentation in an H.264 stream: max_num_reorder_frames.
// Where it is not declared it is inferred (ITU-T H.264 E.2.1), mostly far too high.
func ReorderAVC(sps *avc.SPS) (pictures int, declared bool) {
	const baseline, constraintSet3 = 66, 0x10
	switch {
	case sps.PicOrderCntType == 2, sps.Profile == baseline:
		return 0, true // output order is decode order (8.2.1.3), and Baseline has no B slices
	case sps.VUI != nil && sps.VUI.BitstreamRestrictionFlag:
		return int(min(sps.VUI.MaxNumReorderFrames, maxReorder)), true
	}
	switch sps.Profile {
	case 44, 86, 100, 110, 122, 244:
		if sps.ProfileCompatibility&constraintSet3 != 0 {
			return 0, true // intra only
		}
	}
	macroblocks := ((sps.Width + 15) / 16) * ((sps.Height + 15) / 16)
	if macroblocks == 0 {
		return UsualReorder, false
	}
	return int(min(maxDpbMbs(sps.Level)/macroblocks, maxReorder)), false
}

// maxDpbMbs returns MaxDpbMbs of a level (ITU-T H.264 table A-1).
func maxDpbMbs(level uint32) uint {
	switch {
	case level <= 10:
		return 396
	case level <= 11:
		return 900
	case level <= 20:
		return 2376
	case level <= 21:
		return 4752
	case level <= 30:
		return 8100
	case level <= 31:
		return 18000
	case level <= 32:
		return 20480
	case level <= 41:
		return 32768
	case level <= 42:
		return 34816
	case level <= 50:
		return 110400
	case level <= 52:
		return 184320
	}
	return 696320
}

// ReorderHEVC returns by how many pictures decoding runs ahead of presentation in an HEVC stream.
func ReorderHEVC(sps *hevc.SPS) int {
	n := len(sps.SubLayeringOrderingInfos)
	if n == 0 {
		return UsualReorder
	}
	return int(min(sps.SubLayeringOrderingInfos[n-1].MaxNumReorderPics, maxReorder))
}

// ReorderTicks returns the duration of pictures in ticks of scale, rounded up, 25 pictures per second when the rate is
// unknown, and at most 10 s.
func ReorderTicks(pictures int, rate media.Ratio, scale uint32) int64 {
	if rate.Num == 0 || rate.Den == 0 {
		rate = media.Ratio{Num: 25, Den: 1}
	}
	up := -media.At(-int64(pictures)*int64(rate.Den), rate.Num).Floor(scale)
	return min(up, 10*int64(scale))
}
