package hls

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/grafov/m3u8"

	"headwater/packager/media"
)

// This file alone uses grafov/m3u8: it writes the frame of a playlist, and what it has no words for goes in through one
// composite custom tag (docs/adr/0001-hls-writer.md).

// mediaVersion is the EXT-X-VERSION of media playlists: EXT-X-MAP outside of I-frame playlists needs 6.
const mediaVersion = 6

// multivariantVersion is the EXT-X-VERSION of multivariant playlists: the same, so that a client refuses both or none.
const multivariantVersion = 6

const independentSegments = "#EXT-X-INDEPENDENT-SEGMENTS"

// mediaHeader is what precedes the first segment of a media playlist.
type mediaHeader struct {
	target        int64 // seconds
	sequence      int64
	discontinuity uint32
	playlistType  string // "EVENT", "VOD" or ""
	independent   bool   // every segment can be decoded by itself
}

// rendition is one EXT-X-MEDIA line of TYPE=AUDIO.
type rendition struct {
	group, name, language string
	isDefault, autoselect bool
	characteristics       string
	channels              int
	uri                   string
}

// variant is one EXT-X-STREAM-INF entry.
type variant struct {
	uri                string
	bandwidth, average int // bit/s
	codecs             string
	width, height      int
	frameRate          media.Ratio
	audio              string // group
}

// composite is a custom tag that holds several complete lines: grafov keeps custom tags in a map, so that only one of
// them has a defined place.
type composite []byte

func (composite) TagName() string         { return independentSegments }
func (c composite) Encode() *bytes.Buffer { return bytes.NewBuffer(c) }
func (c composite) String() string        { return string(c) }

// appendMediaHeader appends the head of a media playlist, up to the first segment.
func appendMediaHeader(b []byte, h mediaHeader) ([]byte, error) {
	p, err := m3u8.NewMediaPlaylist(0, 1)
	if err != nil {
		return nil, fmt.Errorf("hls: new media playlist: %w", err)
	}
	var lines composite
	if h.independent {
		lines = append(lines, independentSegments+"\n"...)
	}
	if h.playlistType != "" {
		lines = append(lines, "#EXT-X-PLAYLIST-TYPE:"+h.playlistType+"\n"...)
	}
	lines = append(lines, "#EXT-X-DISCONTINUITY-SEQUENCE:"...)
	lines = strconv.AppendUint(lines, uint64(h.discontinuity), 10)
	p.SetVersion(mediaVersion)
	p.SetCustomTag(lines)
	p.SeqNo = uint64(h.sequence)
	p.TargetDuration = float64(h.target)
	return append(b, p.Encode().Bytes()...), nil
}

// encodeMultivariant returns a multivariant playlist. independent says that of every segment of its playlists.
func encodeMultivariant(independent bool, renditions []rendition, variants []variant) []byte {
	p := m3u8.NewMasterPlaylist()
	p.SetVersion(multivariantVersion)
	var lines composite
	if independent {
		lines = append(lines, independentSegments...)
	}
	for i, r := range renditions {
		if i > 0 || independent {
			lines = append(lines, '\n')
		}
		lines = fmt.Appendf(lines, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=%s,NAME=%s", quote(r.group), quote(r.name))
		if r.language != "" {
			lines = append(lines, ",LANGUAGE="+quote(r.language)...)
		}
		lines = append(lines, ",DEFAULT="+yesNo(r.isDefault)+",AUTOSELECT="+yesNo(r.autoselect)...)
		if r.characteristics != "" {
			lines = append(lines, ",CHARACTERISTICS="+quote(r.characteristics)...)
		}
		if r.channels > 0 {
			lines = append(lines, ",CHANNELS="+quote(strconv.Itoa(r.channels))...)
		}
		lines = append(lines, ",URI="+quote(r.uri)...)
	}
	if len(lines) > 0 {
		p.SetCustomTag(lines)
	}
	for _, v := range variants {
		params := m3u8.VariantParams{
			Bandwidth:        uint32(v.bandwidth),
			AverageBandwidth: uint32(v.average),
			Codecs:           unquoted(v.codecs),
			Audio:            unquoted(v.audio),
		}
		if v.width > 0 && v.height > 0 {
			params.Resolution = strconv.Itoa(v.width) + "x" + strconv.Itoa(v.height)
		}
		if v.frameRate.Den != 0 {
			params.FrameRate = float64(v.frameRate.Num) / float64(v.frameRate.Den)
		}
		p.Append(v.uri, nil, params)
	}
	// PROGRAM-ID was removed from the protocol in version 6.
	return bytes.ReplaceAll(p.Encode().Bytes(), []byte("#EXT-X-STREAM-INF:PROGRAM-ID=0,"), []byte("#EXT-X-STREAM-INF:"))
}

func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

func quote(s string) string { return `"` + unquoted(s) + `"` }

// unquoted drops what a quoted-string cannot hold (RFC 8216 4.2): line feeds, carriage returns and quotes.
func unquoted(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '"' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, s)
}
