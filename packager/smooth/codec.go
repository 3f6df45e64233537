package smooth

import (
	"encoding/hex"
	"strings"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"

	"headwater/packager/media"
)

// codec is what a QualityLevel says of a Config.
type codec struct {
	fourCC  string
	private string // CodecPrivateData
	rate    int    // audio: SamplingRate, Hz, as coded
}

// readCodec returns what c's header says; ok is false when Smooth Streaming cannot carry c.
func readCodec(kind media.Kind, c *media.Config) (out codec, ok bool) {
	family, object, _ := strings.Cut(c.Codec, ".")
	isVideo := kind == media.Video && (family == "avc1" || family == "avc3")
	isAudio := kind == media.Audio && family == "mp4a"
	if !isVideo && !isAudio {
		return out, false
	}
	f, err := mp4.DecodeFileSR(bits.NewFixedSliceReader(c.Header))
	if err != nil || f.Moov == nil || f.Moov.Trak == nil || f.Moov.Trak.Mdia == nil || f.Moov.Trak.Mdia.Minf == nil ||
		f.Moov.Trak.Mdia.Minf.Stbl == nil || f.Moov.Trak.Mdia.Minf.Stbl.Stsd == nil {
		return out, false
	}
	stsd := f.Moov.Trak.Mdia.Minf.Stbl.Stsd
	if isVideo {
		return readAVC(stsd)
	}
	out.rate = c.SampleRate
	switch object {
	case "40.2":
		out.fourCC = "AACL"
	case "40.5":
		out.fourCC, out.rate = "AACH", c.SampleRate/2
	case "40.29":
		out.fourCC, out.rate = "AACP", c.SampleRate/2
	default:
		return out, false
	}
	if stsd.Mp4a == nil || stsd.Mp4a.Esds == nil || stsd.Mp4a.Esds.DecConfigDescriptor == nil ||
		stsd.Mp4a.Esds.DecConfigDescriptor.DecSpecificInfo == nil {
		return out, false
	}
	out.private = hex.EncodeToString(stsd.Mp4a.Esds.DecConfigDescriptor.DecSpecificInfo.DecConfig)
	return out, out.private != ""
}

// readAVC writes the parameter sets behind 4-byte start codes, as [MS-SSTR] 2.2.2.5 wants the CodecPrivateData of H264.
func readAVC(stsd *mp4.StsdBox) (out codec, ok bool) {
	if stsd.AvcX == nil || stsd.AvcX.AvcC == nil {
		return out, false
	}
	var b []byte
	for _, nalus := range [2][][]byte{stsd.AvcX.AvcC.SPSnalus, stsd.AvcX.AvcC.PPSnalus} {
		if len(nalus) == 0 {
			return out, false
		}
		for _, n := range nalus {
			b = append(append(b, 0, 0, 0, 1), n...)
		}
	}
	return codec{fourCC: "H264", private: hex.EncodeToString(b)}, true
}
