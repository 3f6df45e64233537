package demux

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/hevc"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// avcEntry describes an H.264 stream by its AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1). Where the record
// carries the parameter sets the sample entry is avc1, which is what players of HLS want, else avc3.
func avcEntry(sps, pps [][]byte, record []byte) (entry, error) {
	if len(record) < 7 {
		return entry{}, fmt.Errorf("%w: avcC of %d bytes", ErrMalformed, len(record))
	}
	if record[4]&3 != 3 {
		return entry{}, fmt.Errorf("%w: NAL unit lengths of %d bytes", ErrUnsupported, record[4]&3+1)
	}
	e := entry{name: "avc1", kind: media.Video, boxes: wrapBox("avcC", record), reorder: cmaf.UsualReorder}
	if len(sps) == 0 || len(pps) == 0 {
		e.name, e.inBand = "avc3", true
	}
	e.codec = fmt.Sprintf("%s.%02x%02x%02x", e.name, record[1], record[2], record[3])
	if len(sps) > 0 {
		if err := e.avcPicture(sps[0]); err != nil {
			return entry{}, err
		}
	}
	return e, nil
}

func (e *entry) avcPicture(nalu []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: H.264 sequence parameter set: %v", ErrMalformed, p)
		}
	}()
	if err := checkHRD(nalu); err != nil {
		return err
	}
	sps, err := avc.ParseSPSNALUnit(nalu, true)
	if err != nil {
		return fmt.Errorf("%w: H.264 sequence parameter set: %w", ErrMalformed, err)
	}
	if err := e.picture(uint64(sps.Width), uint64(sps.Height)); err != nil {
		return err
	}
	var declared bool
	if e.reorder, declared = cmaf.ReorderAVC(sps); !declared {
		e.reorder = min(e.reorder, cmaf.UsualReorder) // what can be inferred is the most that the level allows
	}
	if vui := sps.VUI; vui != nil {
		if vui.TimingInfoPresentFlag { // a tick is a field (ITU-T H.264 E.2.1)
			e.frameRate = frameRate(uint64(vui.TimeScale), 2*uint64(vui.NumUnitsInTick))
		}
		e.sar = ratio(uint64(vui.SampleAspectRatioWidth), uint64(vui.SampleAspectRatioHeight))
	}
	return nil
}

// hevcEntry describes an HEVC stream by its HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1): hvc1 where the
// record carries the parameter sets, else hev1.
func hevcEntry(rec *hevc.DecConfRec, record []byte) (entry, error) {
	if len(record) < 23 {
		return entry{}, fmt.Errorf("%w: hvcC of %d bytes", ErrMalformed, len(record))
	}
	if record[21]&3 != 3 {
		return entry{}, fmt.Errorf("%w: NAL unit lengths of %d bytes", ErrUnsupported, record[21]&3+1)
	}
	e := entry{name: "hvc1", kind: media.Video, boxes: wrapBox("hvcC", record), reorder: cmaf.UsualReorder}
	sps := rec.GetNalusForType(hevc.NALU_SPS)
	if len(sps) == 0 || len(rec.GetNalusForType(hevc.NALU_PPS)) == 0 || len(rec.GetNalusForType(hevc.NALU_VPS)) == 0 {
		e.name, e.inBand = "hev1", true
	}
	e.codec = hevcCodec(e.name, record)
	if len(sps) > 0 {
		if err := e.hevcPicture(sps[0]); err != nil {
			return entry{}, err
		}
	}
	return e, nil
}

func (e *entry) hevcPicture(nalu []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: HEVC sequence parameter set: %v", ErrMalformed, p)
		}
	}()
	sps, err := hevc.ParseSPSNALUnit(nalu)
	if err != nil {
		return fmt.Errorf("%w: HEVC sequence parameter set: %w", ErrMalformed, err)
	}
	w, h := sps.ImageSize()
	if err := e.picture(uint64(w), uint64(h)); err != nil {
		return err
	}
	e.reorder = cmaf.ReorderHEVC(sps)
	if vui := sps.VUI; vui != nil {
		if vui.TimingInfoPresentFlag {
			e.frameRate = frameRate(uint64(vui.TimeScale), uint64(vui.NumUnitsInTick))
		}
		e.sar = ratio(uint64(vui.SampleAspectRatioWidth), uint64(vui.SampleAspectRatioHeight))
	}
	return nil
}

// hevcCodec returns the codecs parameter of ISO/IEC 14496-15 annex E.3 for a decoder configuration record.
func hevcCodec(name string, record []byte) string {
	var b strings.Builder
	b.WriteString(name + ".")
	if space := record[1] >> 6; space > 0 {
		b.WriteByte('A' + space - 1)
	}
	b.WriteString(strconv.Itoa(int(record[1] & 0x1f)))
	compat := uint32(record[2])<<24 | uint32(record[3])<<16 | uint32(record[4])<<8 | uint32(record[5])
	fmt.Fprintf(&b, ".%X.", bits.Reverse32(compat))
	if record[1]&0x20 != 0 {
		b.WriteByte('H')
	} else {
		b.WriteByte('L')
	}
	b.WriteString(strconv.Itoa(int(record[12])))
	constraints := record[6:12]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, c := range constraints {
		fmt.Fprintf(&b, ".%X", c)
	}
	return b.String()
}

func (e *entry) picture(w, h uint64) error {
	if w == 0 || h == 0 || w > math.MaxUint16 || h > math.MaxUint16 {
		return fmt.Errorf("%w: picture of %d x %d", ErrMalformed, w, h)
	}
	e.width, e.height = int(w), int(h)
	return nil
}

// maxFrameRate is the highest frame rate believed from parameter sets, frames per second.
const maxFrameRate = 480

func frameRate(num, den uint64) media.Ratio {
	if r := ratio(num, den); r.Den != 0 && uint64(r.Num) <= maxFrameRate*uint64(r.Den) && r.Num >= r.Den {
		return r
	}
	return media.Ratio{}
}

// ratio reduces num/den; it is the zero Ratio when either is 0 or does not fit 32 bits.
func ratio(num, den uint64) media.Ratio {
	a, b := num, den
	for b != 0 {
		a, b = b, a%b
	}
	if num == 0 || den == 0 || num/a > math.MaxUint32 || den/a > math.MaxUint32 {
		return media.Ratio{}
	}
	return media.Ratio{Num: uint32(num / a), Den: uint32(den / a)}
}

func wrapBox(name string, body []byte) []byte {
	var w boxWriter
	w.box(name, func() { w.b = append(w.b, body...) })
	return w.b
}
