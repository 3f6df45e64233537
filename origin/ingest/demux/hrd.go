package demux

import (
	"bytes"
	"fmt"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/bits"
)

// maxCPB is the highest cpb_cnt_minus1 (ITU-T H.264 E.2.2).
const maxCPB = 31

// checkHRD refuses an H.264 sequence parameter set that claims more coded picture buffers than there can be: the parser makes
// an entry for each, of which a few bytes can claim 2^32. What is wrong otherwise is for the parser to find.
func checkHRD(nalu []byte) error {
	r := bits.NewEBSPReader(bytes.NewReader(nalu))
	r.Read(8)
	profile := r.Read(8)
	r.Read(16)
	r.ReadExpGolomb()
	skipChroma(r, profile)
	skipPicture(r)
	if !r.ReadFlag() || !skipToTiming(r) { // vui_parameters_present_flag
		return nil
	}
	if r.ReadFlag() { // timing_info_present_flag
		r.Read(32)
		r.Read(33)
	}
	for range 2 { // of NAL units, of VCL
		if !r.ReadFlag() {
			continue
		}
		count := r.ReadExpGolomb()
		if count > maxCPB {
			return fmt.Errorf("%w: H.264 sequence parameter set with cpb_cnt_minus1 %d", ErrMalformed, count)
		}
		r.Read(8)
		for range count + 1 {
			r.ReadExpGolomb()
			r.ReadExpGolomb()
			r.Read(1)
		}
		r.Read(20)
	}
	return nil
}

// skipChroma skips what the high profiles add to an SPS (ITU-T H.264 7.3.2.1.1).
func skipChroma(r *bits.EBSPReader, profile uint) {
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
	default:
		return
	}
	lists := 8
	if byte(r.ReadExpGolomb()) == 3 { // as wide as the parser takes it
		r.Read(1)
		lists = 12
	}
	r.ReadExpGolomb()
	r.ReadExpGolomb()
	r.Read(1)
	if !r.ReadFlag() {
		return
	}
	for i := range lists {
		if !r.ReadFlag() {
			continue
		}
		size, last, next := 16, 8, 8
		if i >= 6 {
			size = 64
		}
		for range size {
			if next != 0 {
				next = (last + r.ReadSignedGolomb() + 256) % 256
			}
			if next != 0 {
				last = next
			}
		}
	}
}

// skipPicture skips the order, the number and the size of pictures.
func skipPicture(r *bits.EBSPReader) {
	r.ReadExpGolomb()
	switch r.ReadExpGolomb() { // pic_order_cnt_type
	case 0:
		r.ReadExpGolomb()
	case 1:
		r.Read(1)
		r.ReadExpGolomb()
		r.ReadExpGolomb()
		for range min(r.ReadExpGolomb(), 256) {
			r.ReadExpGolomb()
		}
	}
	r.ReadExpGolomb()
	r.Read(1)
	r.ReadExpGolomb()
	r.ReadExpGolomb()
	if !r.ReadFlag() { // frame_mbs_only_flag
		r.Read(1)
	}
	r.Read(1)
	if r.ReadFlag() { // frame_cropping_flag
		for range 4 {
			r.ReadExpGolomb()
		}
	}
}

// skipToTiming skips the VUI before its timing; false when the parser does not go on either (ITU-T H.264 E.1.1).
func skipToTiming(r *bits.EBSPReader) bool {
	if r.ReadFlag() { // aspect_ratio_info_present_flag
		switch idc := r.Read(8); {
		case idc == avc.ExtendedSAR:
			r.Read(32)
		case idc > 16:
			return false
		}
	}
	if r.ReadFlag() { // overscan_info_present_flag
		r.Read(1)
	}
	if r.ReadFlag() { // video_signal_type_present_flag
		r.Read(4)
		if r.ReadFlag() {
			r.Read(24)
		}
	}
	if r.ReadFlag() { // chroma_loc_info_present_flag
		r.ReadExpGolomb()
		r.ReadExpGolomb()
	}
	return true
}
