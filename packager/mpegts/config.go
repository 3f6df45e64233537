package mpegts

import (
	"bytes"
	"fmt"

	"github.com/Eyevinn/mp4ff/aac"
	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/hevc"
	"github.com/Eyevinn/mp4ff/mp4"

	"headwater/packager/cmaf"
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
	pictures := cmaf.UsualReorder
	if len(box.SPSnalus) > 0 {
		if sps, err := avc.ParseSPSNALUnit(box.SPSnalus[0], true); err == nil {
			pictures, _ = cmaf.ReorderAVC(sps)
		}
	}
	c.reorder = cmaf.ReorderTicks(pictures, rate, clock)
	return c
}

func readHEVC(box *mp4.HvcCBox, rate media.Ratio) codec {
	c := codec{streamType: typeHEVC, registration: "HEVC"}
	for _, kind := range []hevc.NaluType{hevc.NALU_VPS, hevc.NALU_SPS, hevc.NALU_PPS} {
		c.parameters = append(c.parameters, box.GetNalusForType(kind)...)
	}
	pictures := cmaf.UsualReorder
	if sets := box.GetNalusForType(hevc.NALU_SPS); len(sets) > 0 {
		if sps, err := hevc.ParseSPSNALUnit(sets[0]); err == nil {
			pictures = cmaf.ReorderHEVC(sps)
		}
	}
	c.reorder = cmaf.ReorderTicks(pictures, rate, clock)
	return c
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
