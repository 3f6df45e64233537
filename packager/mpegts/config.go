package mpegts

import (
	"bytes"
	"fmt"

	"github.com/Eyevinn/mp4ff/aac"
	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/hevc"
	"github.com/Eyevinn/mp4ff/mp4"

	"headwater/packager/media"
)

// Stream types (ISO/IEC 13818-1 table 2-34; AC-3 and E-AC-3 as ATSC A/52 and HLS number them).
const (
	typeAAC  = 0x0f
	typeH264 = 0x1b
	typeHEVC = 0x24
	typeAC3  = 0x81
	typeEAC3 = 0x87
)

// codec is what a configuration says about an elementary stream.
type codec struct {
	streamType   uint8
	registration string   // format_identifier of a registration descriptor, or ""
	parameters   [][]byte // video: VPS, SPS and PPS in the order in which they precede a key picture
	reorder      int64    // video: decode times precede presentation times by this at a key picture, 90 kHz
	adts         [7]byte  // AAC: header of a frame with length 0
}

func (c *codec) isVideo() bool { return c.streamType == typeH264 || c.streamType == typeHEVC }

// readConfig reads the CMAF header of a configuration.
func readConfig(c *media.Config) (codec, error) {
	stsd, err := sampleDescription(c.Header)
	if err != nil {
		return codec{}, err
	}
	switch {
	case stsd.AvcX != nil && stsd.AvcX.AvcC != nil:
		return readAVC(stsd.AvcX.AvcC, c.FrameRate), nil
	case stsd.HvcX != nil && stsd.HvcX.HvcC != nil:
		return readHEVC(stsd.HvcX.HvcC, c.FrameRate), nil
	case stsd.Mp4a != nil && stsd.Mp4a.Esds != nil:
		return readAAC(stsd.Mp4a.Esds)
	case stsd.AC3 != nil:
		return codec{streamType: typeAC3, registration: "AC-3"}, nil
	case stsd.EC3 != nil:
		return codec{streamType: typeEAC3, registration: "EAC3"}, nil
	}
	return codec{}, fmt.Errorf("%w: %s", ErrCodec, c.Codec)
}

func sampleDescription(header []byte) (*mp4.StsdBox, error) {
	file, err := mp4.DecodeFileSR(bits.NewFixedSliceReader(header))
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrCodec, err)
	}
	// mp4ff accepts headers in which any of these boxes is missing.
	if file.Moov != nil && file.Moov.Trak != nil && file.Moov.Trak.Mdia != nil && file.Moov.Trak.Mdia.Minf != nil &&
		file.Moov.Trak.Mdia.Minf.Stbl != nil && file.Moov.Trak.Mdia.Minf.Stbl.Stsd != nil {
		return file.Moov.Trak.Mdia.Minf.Stbl.Stsd, nil
	}
	return nil, fmt.Errorf("%w: header without sample description", ErrCodec)
}

func readAVC(box *mp4.AvcCBox, rate media.Ratio) codec {
	c := codec{streamType: typeH264}
	for _, sets := range [][][]byte{box.SPSnalus, box.PPSnalus} {
		c.parameters = append(c.parameters, sets...)
	}
	frames := uint(2) // of most encoders, when the SPS cannot be read
	if len(box.SPSnalus) > 0 {
		if sps, err := avc.ParseSPSNALUnit(box.SPSnalus[0], true); err == nil {
			frames = reorderFrames(sps)
		}
	}
	c.reorder = reorderTicks(int64(frames), rate)
	return c
}

// reorderFrames returns max_num_reorder_frames, or what it is inferred to be (ITU-T H.264 E.2.1).
func reorderFrames(sps *avc.SPS) uint {
	const baseline, constraintSet3 = 66, 0x10
	switch {
	case sps.PicOrderCntType == 2, sps.Profile == baseline:
		return 0 // output order is decode order (8.2.1.3), and Baseline has no B slices
	case sps.VUI != nil && sps.VUI.BitstreamRestrictionFlag:
		return min(sps.VUI.MaxNumReorderFrames, 16)
	}
	switch sps.Profile {
	case 44, 86, 100, 110, 122, 244:
		if sps.ProfileCompatibility&constraintSet3 != 0 {
			return 0 // intra only
		}
	}
	macroblocks := ((sps.Width + 15) / 16) * ((sps.Height + 15) / 16)
	if macroblocks == 0 {
		return 2
	}
	return min(maxDpbMbs(sps.Level)/macroblocks, 16)
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

func readHEVC(box *mp4.HvcCBox, rate media.Ratio) codec {
	c := codec{streamType: typeHEVC, registration: "HEVC"}
	for _, kind := range []hevc.NaluType{hevc.NALU_VPS, hevc.NALU_SPS, hevc.NALU_PPS} {
		c.parameters = append(c.parameters, box.GetNalusForType(kind)...)
	}
	frames := int64(2)
	if sets := box.GetNalusForType(hevc.NALU_SPS); len(sets) > 0 {
		if sps, err := hevc.ParseSPSNALUnit(sets[0]); err == nil && len(sps.SubLayeringOrderingInfos) > 0 {
			frames = int64(sps.SubLayeringOrderingInfos[len(sps.SubLayeringOrderingInfos)-1].MaxNumReorderPics)
		}
	}
	c.reorder = reorderTicks(min(frames, 16), rate)
	return c
}

// reorderTicks returns the duration of frames at 90 kHz, rounded up, 25 frames per second when the rate is unknown.
func reorderTicks(frames int64, rate media.Ratio) int64 {
	if rate.Num == 0 || rate.Den == 0 {
		rate = media.Ratio{Num: 25, Den: 1}
	}
	ticks := (frames*clock*int64(rate.Den) + int64(rate.Num) - 1) / int64(rate.Num)
	return min(ticks, 10*clock)
}

// readAAC makes the ADTS header (ISO/IEC 14496-3 1.A.2.2) of an AudioSpecificConfig. HE-AAC is announced as AAC-LC at
// the core's sample rate: decoders find the extension in the stream.
func readAAC(box *mp4.EsdsBox) (codec, error) {
	d := box.DecConfigDescriptor
	if d == nil || d.DecSpecificInfo == nil || (d.ObjectType != 0x40 && d.ObjectType != 0x67) {
		return codec{}, fmt.Errorf("%w: mp4a without an AAC configuration", ErrCodec)
	}
	h, err := aac.DecodeAudioSpecificConfigHeader(bytes.NewReader(d.DecSpecificInfo.DecConfig))
	if err != nil {
		return codec{}, fmt.Errorf("%w: %w", ErrCodec, err)
	}
	object := h.ObjectType
	if object == aac.HEAACv1 || object == aac.HEAACv2 {
		object = aac.AAClc
	}
	frequency, ok := aac.ReverseFrequencies[h.SamplingFrequency]
	if !ok || object < 1 || object > 4 || h.ChannelConfiguration < 1 || h.ChannelConfiguration > 7 {
		return codec{}, fmt.Errorf("%w: AAC object type %d, %d Hz, channel configuration %d in ADTS",
			ErrCodec, h.ObjectType, h.SamplingFrequency, h.ChannelConfiguration)
	}
	return codec{streamType: typeAAC, adts: [7]byte{
		0xff, 0xf1, // syncword, MPEG-4, layer 0, no CRC
		(object-1)<<6 | frequency<<2 | h.ChannelConfiguration>>2,
		h.ChannelConfiguration << 6, // frame length, 13 bits, from the lowest two on
		0,
		0x1f, 0xfc, // buffer fullness 0x7ff, one raw data block
	}}, nil
}
