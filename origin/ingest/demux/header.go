package demux

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// entry describes one elementary stream: what a sample entry says, wherever it came from.
type entry struct {
	name   string // four-character code of the sample entry
	kind   media.Kind
	boxes  []byte // the boxes inside the sample entry
	codec  string // RFC 6381
	inBand bool   // parameter sets stand only in the samples

	width, height int
	frameRate     media.Ratio
	sar           media.Ratio // sample aspect ratio, zero when unknown
	reorder       int         // pictures by which decoding runs ahead of presentation

	sampleRate, channels int // of the decoder's output
	coreRate             int // audio: for the sample entry
	bitrate              int // bit/s declared, 0 when not
}

// header is what the CMAF header of a track needs beside its sample entry.
type header struct {
	timescale uint32
	language  uint16 // as packed in mdhd
	elng      string // BCP 47, when the three letters of mdhd do not say it
}

// undetermined is the packed language code "und".
const undetermined = 0x55c4

// config returns the configuration with a CMAF header (ISO/IEC 23000-19 7.3) that says nothing but what decoding needs:
// one track, no edit list, no durations, no dates. Equal streams give equal bytes.
func (h header) config(e entry) *media.Config {
	var w boxWriter
	w.box("ftyp", func() {
		w.text("cmfc")
		w.u32(0)
		w.text("iso6cmfc")
	})
	w.box("moov", func() {
		w.full("mvhd", 0, func() {
			w.u32(0, 0, h.timescale, 0, 0x10000) // dates, timescale, duration, rate
			w.u16(0x100, 0)
			w.u32(0, 0)
			w.matrix()
			w.u32(0, 0, 0, 0, 0, 0, cmaf.TrackID+1)
		})
		w.box("trak", func() { h.trak(&w, e) })
		w.box("mvex", func() {
			w.full("trex", 0, func() { w.u32(cmaf.TrackID, 1, 0, 0, 0) })
		})
	})
	sum := sha256.Sum256(w.b)
	return &media.Config{
		ID: hex.EncodeToString(sum[:4]), Header: w.b, Codec: e.codec,
		Width: e.width, Height: e.height, FrameRate: e.frameRate,
		SampleRate: e.sampleRate, Channels: e.channels,
	}
}

func (h header) trak(w *boxWriter, e entry) {
	video, sound := e.kind == media.Video, e.kind == media.Audio
	w.full("tkhd", 7, func() { // enabled, in movie, in preview
		w.u32(0, 0, cmaf.TrackID, 0, 0, 0, 0)
		if !sound {
			w.u16(0, 0, 0, 0)
		} else {
			w.u16(0, 1, 0x100, 0) // alternate group 1, volume 1
		}
		w.matrix()
		w.u32(uint32(e.width)<<16, uint32(e.height)<<16)
	})
	w.box("mdia", func() {
		w.full("mdhd", 0, func() {
			w.u32(0, 0, h.timescale, 0)
			w.u16(h.language, 0)
		})
		w.full("hdlr", 0, func() {
			w.u32(0)
			w.text(handlers[e.kind])
			w.u32(0, 0, 0)
			w.text(e.kind.String() + "\x00")
		})
		if h.elng != "" {
			w.full("elng", 0, func() { w.text(h.elng + "\x00") })
		}
		w.box("minf", func() {
			switch {
			case video:
				w.full("vmhd", 1, func() { w.u32(0, 0) })
			case sound:
				w.full("smhd", 0, func() { w.u32(0) })
			default:
				w.full("nmhd", 0, func() {})
			}
			w.box("dinf", func() {
				w.full("dref", 0, func() {
					w.u32(1)
					w.full("url ", 1, func() {})
				})
			})
			w.box("stbl", func() {
				w.full("stsd", 0, func() {
					w.u32(1)
					w.box(e.name, func() { e.sampleEntry(w) })
				})
				w.full("stts", 0, func() { w.u32(0) })
				w.full("stsc", 0, func() { w.u32(0) })
				w.full("stsz", 0, func() { w.u32(0, 0) })
				w.full("stco", 0, func() { w.u32(0) })
			})
		})
	})
}

// handlers are the handler types of hdlr by kind.
var handlers = map[media.Kind]string{media.Video: "vide", media.Audio: "soun", media.Metadata: "meta"}

// sampleEntry writes the body of a VisualSampleEntry, an AudioSampleEntry or another (ISO/IEC 14496-12 12.1.3, 12.2.3).
func (e entry) sampleEntry(w *boxWriter) {
	w.u16(0, 0, 0, 1) // data_reference_index
	switch e.kind {
	case media.Video:
		w.u32(0, 0, 0, 0)
		w.u16(uint16(e.width), uint16(e.height))
		w.u32(0x480000, 0x480000, 0) // 72 dpi
		w.u16(1)
		w.b = append(w.b, make([]byte, 32)...) // compressorname
		w.u16(0x18, math.MaxUint16)
	case media.Audio:
		rate := e.coreRate
		if rate > math.MaxUint16 {
			rate = 0 // does not fit 16.16; the codec's own box says it
		}
		w.u32(0, 0)
		w.u16(uint16(e.channels), 16, 0, 0)
		w.u32(uint32(rate) << 16)
	}
	w.b = append(w.b, e.boxes...)
}

// boxWriter appends boxes to b.
type boxWriter struct{ b []byte }

func (w *boxWriter) box(name string, body func()) {
	at := len(w.b)
	w.b = append(w.b, 0, 0, 0, 0)
	w.b = append(w.b, name...)
	body()
	binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-at))
}

func (w *boxWriter) full(name string, flags uint32, body func()) {
	w.box(name, func() {
		w.u32(flags)
		body()
	})
}

func (w *boxWriter) text(s string) { w.b = append(w.b, s...) }

func (w *boxWriter) u16(v ...uint16) {
	for _, n := range v {
		w.b = binary.BigEndian.AppendUint16(w.b, n)
	}
}

func (w *boxWriter) u32(v ...uint32) {
	for _, n := range v {
		w.b = binary.BigEndian.AppendUint32(w.b, n)
	}
}

func (w *boxWriter) matrix() { w.u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000) }
