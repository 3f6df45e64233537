package demux

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/Eyevinn/mp4ff/mp4"

	"headwater/packager/media"
)

// Sizes of the fixed fields of sample entries (ISO/IEC 14496-12 12.1.3, 12.2.3).
const (
	visualFields = 78
	audioFields  = 28
	entryFields  = 8 // of any
)

// kept are the boxes of a sample entry that a CMAF header keeps beside the codec's own: colour, shape of the pixel, HDR
// levels and Dolby Vision.
var kept = [...]string{"colr", "pasp", "clli", "mdcv", "dvcC", "dvvC", "SA3D"}

// sampleEntry reads the first sample entry of a track. mdia is the box that holds list, live what is declared beside it.
func sampleEntry(mdia box, list []box, kind media.Kind, live liveTrack) (entry, error) {
	stsd := box{}
	for _, name := range []string{"minf", "stbl", "stsd"} {
		b, ok := find(list, name)
		if !ok {
			return entry{}, mdia.malformed("without " + name)
		}
		stsd = b
		if name == "stsd" {
			break
		}
		var err error
		if list, err = b.children(0); err != nil {
			return entry{}, err
		}
	}
	list, err := stsd.children(8)
	if err != nil {
		return entry{}, err
	}
	if len(list) == 0 {
		return entry{}, stsd.malformed("no sample entry")
	}
	b := list[0]
	switch b.name {
	case "encv", "enca":
		return entry{}, fmt.Errorf("%w: encrypted (sample entry %q)", ErrUnsupported, b.name)
	case "avc1", "avc3", "hvc1", "hev1", "dvh1", "dvhe":
		if kind == media.Video {
			return visualEntry(b, live)
		}
	case "mp4a", "ac-3", "ec-3":
		if kind == media.Audio {
			return audioEntry(b, live)
		}
	case "evte", "urim", "mett", "metx":
		if kind == media.Metadata {
			return metadataEntry(b)
		}
	case "scte": // of Smooth Streaming, whose fragments have no duration
		return entry{}, ignored{why: "sample entry " + strconv.Quote(b.name), known: true}
	}
	return entry{}, ignored{why: fmt.Sprintf("sample entry %q of a %s track", b.name, kind)}
}

// metadataEntry keeps the entry of timed metadata as it is: of events ("evte", ISO/IEC 23001-18), or with a URI, a media type or
// an XML namespace that says what its samples are (ISO/IEC 14496-12 12.3.3). A box of bit rates is read, where it has one.
func metadataEntry(b box) (entry, error) {
	if len(b.body) < entryFields {
		return entry{}, b.malformed("too short")
	}
	e := entry{name: b.name, kind: media.Metadata, codec: b.name, boxes: b.body[entryFields:]}
	if list, err := splitBoxes(e.boxes, b.pos); err == nil && b.name == "evte" {
		if btrt, ok := find(list, "btrt"); ok {
			parsed, err := decode[*mp4.BtrtBox](btrt)
			if err != nil {
				return entry{}, err
			}
			e.bitrate = int(parsed.AvgBitrate)
		}
	}
	return e, nil
}

func visualEntry(b box, live liveTrack) (entry, error) {
	list, err := b.children(visualFields)
	if err != nil {
		return entry{}, err
	}
	var e entry
	switch b.name {
	case "avc1", "avc3":
		avcC, ok := find(list, "avcC")
		if !ok {
			if e, ok, err = live.visualEntry(h264); err != nil || !ok {
				return entry{}, cmp.Or(err, b.malformed("without avcC"))
			}
			break
		}
		parsed, err := decode[*mp4.AvcCBox](avcC)
		if err != nil {
			return entry{}, err
		}
		if e, err = avcEntry(parsed.SPSnalus, parsed.PPSnalus, avcC.body); err != nil {
			return entry{}, fmt.Errorf("%w, at %d", err, avcC.pos)
		}
	default:
		hvcC, ok := find(list, "hvcC")
		if !ok {
			if e, ok, err = live.visualEntry(h265); err != nil || !ok {
				return entry{}, cmp.Or(err, b.malformed("without hvcC"))
			}
			break
		}
		parsed, err := decode[*mp4.HvcCBox](hvcC)
		if err != nil {
			return entry{}, err
		}
		if e, err = hevcEntry(&parsed.DecConfRec, hvcC.body); err != nil {
			return entry{}, fmt.Errorf("%w, at %d", err, hvcC.pos)
		}
	}
	if e.width == 0 || e.height == 0 {
		e.width = int(binary.BigEndian.Uint16(b.body[24:]))
		e.height = int(binary.BigEndian.Uint16(b.body[26:]))
	}
	return e.with(list)
}

func audioEntry(b box, live liveTrack) (entry, error) {
	skip := audioFields
	if len(b.body) >= 10 { // QuickTime's versions 1 and 2 of the sound description are longer
		skip += [4]int{0, 16, 36, 0}[binary.BigEndian.Uint16(b.body[8:])&3]
	}
	list, err := b.children(skip)
	if err != nil {
		return entry{}, err
	}
	var e entry
	switch b.name {
	case "mp4a":
		esds, ok := find(list, "esds")
		if !ok {
			if e, err = aacEntry(live.private); err != nil {
				return entry{}, b.malformed("without esds")
			}
			break
		}
		parsed, err := decode[*mp4.EsdsBox](esds)
		if err != nil {
			return entry{}, err
		}
		dec := parsed.DecConfigDescriptor
		if dec == nil || dec.DecSpecificInfo == nil {
			return entry{}, esds.malformed("without decoder configuration")
		}
		if dec.ObjectType != objectTypeAAC {
			return entry{}, ignored{why: fmt.Sprintf("audio object type %#x", dec.ObjectType)}
		}
		if e, err = aacEntry(dec.DecSpecificInfo.DecConfig); err != nil {
			return entry{}, fmt.Errorf("%w, at %d", err, esds.pos)
		}
		if e.bitrate = int(dec.AvgBitrate); e.bitrate == 0 {
			e.bitrate = int(dec.MaxBitrate)
		}
	case "ac-3":
		dac3, ok := find(list, "dac3")
		if !ok {
			return entry{}, b.malformed("without dac3")
		}
		if e, err = ac3Entry(dac3.body); err != nil {
			return entry{}, fmt.Errorf("%w, at %d", err, dac3.pos)
		}
	case "ec-3":
		dec3, ok := find(list, "dec3")
		if !ok {
			return entry{}, b.malformed("without dec3")
		}
		if e, err = eac3Entry(dec3.body); err != nil {
			return entry{}, fmt.Errorf("%w, at %d", err, dec3.pos)
		}
	}
	if e.channels == 0 {
		e.channels = int(binary.BigEndian.Uint16(b.body[16:]))
	}
	return e.with(list)
}

// with takes over what stands beside the codec's box in the sample entry.
func (e entry) with(list []box) (entry, error) {
	pasp := false
	for _, name := range kept {
		if b, ok := find(list, name); ok {
			e.boxes = append(e.boxes, b.raw...)
			pasp = pasp || name == "pasp"
		}
	}
	if !pasp {
		e.boxes = append(e.boxes, e.pasp()...)
	}
	if b, ok := find(list, "btrt"); ok {
		btrt, err := decode[*mp4.BtrtBox](b)
		if err != nil {
			return entry{}, err
		}
		if btrt.AvgBitrate != 0 {
			e.bitrate = int(btrt.AvgBitrate)
		} else if btrt.MaxBitrate != 0 {
			e.bitrate = int(btrt.MaxBitrate)
		}
	}
	return e, nil
}

// pasp returns the pixel aspect ratio box that the parameter sets call for, empty for square or unknown.
func (e entry) pasp() []byte {
	if e.sar.Num == e.sar.Den || e.sar.Num == 0 || e.sar.Den == 0 {
		return nil
	}
	var w boxWriter
	w.box("pasp", func() { w.u32(e.sar.Num, e.sar.Den) })
	return w.b
}
