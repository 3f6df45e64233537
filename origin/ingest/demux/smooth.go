package demux

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
)

// This file is what Smooth Streaming's live ingest ([MS-SSTR] 2.2.7) puts beside the boxes of ISO/IEC 14496-12.

const uuidBox = "uuid"

// userType identifies a uuid box (ISO/IEC 14496-12 4.2.2).
type userType [16]byte

// The user types that mean something here ([MS-SSTR] 2.2.7.3, 2.2.4.4; PIFF 1.1, 5.3.2 and 5.3.3).
var (
	uuidManifest = userType{0xa5, 0xd4, 0x0b, 0x30, 0xe8, 0x14, 0x11, 0xdd, 0xba, 0x2f, 0x08, 0x00, 0x20, 0x0c, 0x9a, 0x66}
	uuidTfxd     = userType{0x6d, 0x1d, 0x9b, 0x05, 0x42, 0xd5, 0x44, 0xe6, 0x80, 0xe2, 0x14, 0x1d, 0xaf, 0xf7, 0x57, 0xb2}
	uuidSenc     = userType{0xa2, 0x39, 0x4f, 0x52, 0x5a, 0x9b, 0x4f, 0x14, 0xa2, 0x44, 0x6c, 0x42, 0x7c, 0x64, 0x8d, 0xf4}
)

// is reports whether b is a uuid box of a user type.
func (b box) is(t userType) bool { return b.name == uuidBox && bytes.HasPrefix(b.body, t[:]) }

// tfxdTime returns the time that a tfxd box gives the first sample of its fragment, in ticks of the track ([MS-SSTR] 2.2.4.4).
// Version 1 has 64 bits, which encoders fill with negative times too; versions after it begin as it does.
func (b box) tfxdTime() (int64, error) {
	p := b.body[len(userType{}):]
	switch {
	case len(p) >= 4+16 && p[0] > 0:
		return int64(binary.BigEndian.Uint64(p[4:])), nil
	case len(p) >= 4+8 && p[0] == 0:
		return int64(binary.BigEndian.Uint32(p[4:])), nil
	}
	return 0, b.malformed("tfxd too short")
}

// liveManifest is what a LiveServerManifest box says of the tracks of the moov that follows it, by track_ID.
type liveManifest map[uint32]liveTrack

// liveTrack is what an encoder declares of a track beside its moov. It is advisory: what the moov says goes before it.
type liveTrack struct {
	bitrate  int    // bit/s, 0 when not given
	language string // of three letters or BCP 47, "" when not given
	private  []byte // CodecPrivateData: parameter sets with start codes (ITU-T H.264 annex B), or an AudioSpecificConfig
}

// Bounds of a LiveServerManifest. Real ones have 1 to 3 KiB.
const (
	maxLiveManifest = 256 << 10 // bytes
	maxLiveTracks   = 256
)

// parseLiveManifest reads the SMIL document of a LiveServerManifest box. What cannot be read ends it: encoders need none.
func parseLiveManifest(b box) liveManifest {
	const fields = len(userType{}) + 4 // version and flags
	if len(b.body) < fields || len(b.body) > maxLiveManifest {
		return nil
	}
	dec := xml.NewDecoder(strings.NewReader(plainText(b.body[fields:])))
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is UTF-8 by now
	out := liveManifest{}
	var id uint32
	var t liveTrack
	for {
		token, err := dec.Token()
		if err != nil {
			return out
		}
		switch el := token.(type) {
		case xml.StartElement:
			switch strings.ToLower(el.Name.Local) {
			case "video", "audio", "textstream":
				id, t = 0, liveTrack{}
				for _, a := range el.Attr {
					t.declare(a.Name.Local, a.Value, &id)
				}
			case "param":
				t.declare(attribute(el, "name"), attribute(el, "value"), &id)
			}
		case xml.EndElement:
			switch strings.ToLower(el.Name.Local) {
			case "video", "audio", "textstream":
				if id != 0 && len(out) < maxLiveTracks {
					out[id] = t
				}
			}
		}
	}
}

// declare takes in a param of a track. The case of names varies.
func (t *liveTrack) declare(name, value string, id *uint32) {
	value = strings.TrimSpace(value)
	switch strings.ToLower(name) {
	case "trackid":
		n, _ := strconv.ParseUint(value, 10, 32)
		*id = uint32(n)
	case "systembitrate":
		n, _ := strconv.ParseUint(value, 10, 31)
		t.bitrate = cmp.Or(int(n), t.bitrate)
	case "systemlanguage":
		t.language = value
	case "codecprivatedata":
		t.private, _ = hex.DecodeString(value)
	}
}

func attribute(el xml.StartElement, name string) string {
	for _, a := range el.Attr {
		if strings.EqualFold(a.Name.Local, name) {
			return a.Value
		}
	}
	return ""
}

// plainText returns the text of b, UTF-8 or UTF-16 with a byte order mark, as UTF-8.
func plainText(b []byte) string {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	case !bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		return string(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))
	}
	b = b[2:]
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// visualEntry describes a stream by CodecPrivateData, for sample entries that lack the codec's own box. ok is false when there
// is none.
func (t liveTrack) visualEntry(c codec) (e entry, ok bool, err error) {
	var sets parameterSets
	splitAnnexB(t.private, func(nal []byte) {
		switch class := c.classify(nal); class {
		case nalVPS, nalSPS, nalPPS:
			sets.take(class, nal)
		}
	})
	if len(sets.sps) == 0 {
		return e, false, nil
	}
	e, err = sets.entry(c)
	return e, true, err
}
