// Package media holds the nouns of a live presentation (track, configuration, segment) and exact time.
//
// It knows nothing of formats, files or HTTP, reads no clock and does no I/O.
package media

import "fmt"

// Kind is the media type of a track.
type Kind uint8

// The media types that Headwater stores. Video and audio are packaged. Timed metadata (events such as SCTE-35, which describe
// the others) stands beside them: no window and no manifest has it.
const (
	Video Kind = iota + 1
	Audio
	Metadata
)

// String returns "video", "audio", as in DASH @contentType and Smooth StreamIndex@Type, or "metadata".
func (k Kind) String() string {
	switch k {
	case Video:
		return "video"
	case Audio:
		return "audio"
	case Metadata:
		return "metadata"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Ratio is an exact quotient, such as a frame rate of 30000/1001. A zero Den means unknown.
type Ratio struct{ Num, Den uint32 }

// Track is one rendition of one media type with a constant timescale. A track keeps its ID over encoder restarts and
// configuration changes. Tracks are immutable.
type Track struct {
	ID        string // unique in the channel; letters, digits and '-' only, so that it can stand in file names beside '_' and '.'
	Kind      Kind
	Timescale uint32 // ticks per second of every Start and Duration of the track's segments
	Language  string // BCP 47, empty when unknown
	Default   bool   // of several audio tracks the one that the encoder has played to viewers who choose none
	Name      string // for people, as the encoder's manifest has it; empty when unknown
	Roles     Roles  // what it is for, none when unknown; of audio without RoleMain, which is Default
	Manual    bool   // players are not to choose it by themselves (AUTOSELECT=NO)
	Bitrate   int    // bit/s, nominal: fixed when the track first appears and unique among the channel's tracks of its Kind
}

// Config is one configuration of a track: what its init segment says. Configs are immutable and shared by pointer.
type Config struct {
	ID     string // names the init segment: the first 8 hex digits of the SHA-256 of Header
	Header []byte // complete CMAF header (ISO/IEC 23000-19 7.3.1): ftyp and moov
	Codec  string // RFC 6381, such as "avc1.64001f", "hvc1.1.6.L93.B0", "mp4a.40.2", "ac-3", "ec-3"; the sample entry's name of metadata, such as "evte"

	Width, Height int   // video: coded picture size after cropping, pixels
	FrameRate     Ratio // video: frames per second, Den 0 when unknown

	SampleRate int // audio: Hz, of the decoder's output
	Channels   int // audio
}

// Segment is an addressable time range of a track. It can be decoded by itself unless it says that it cannot. As stored it is one object; as output it may
// be several stored segments joined, with Start, Duration and Size covering all of them.
type Segment struct {
	Number   int64  // strictly increasing in a track; a jump of more than one is a gap
	Start    int64  // ticks since the UTC epoch: earliest presentation time
	Duration int64  // ticks; the segment covers [Start, Start+Duration)
	Size     int64  // bytes
	Hash     uint64 // first 8 bytes of the SHA-256 of the stored bytes; of joined segments, mixed from theirs
	Arrived  int64  // Unix milliseconds at which the segment became available
	Part     uint32 // which Part of the timeline it belongs to; a change between neighbours is a discontinuity
	// Dependent is set where decoding needs the segment before: the first picture of video is no key frame, or that of an open
	// group of pictures.
	Dependent bool
	Config    *Config // never nil
}

// End returns Start+Duration in ticks.
func (s Segment) End() int64 { return s.Start + s.Duration }

// Chunk is the smallest piece of a segment that is received and forwarded by itself: a moof+mdat pair (CMAF chunk, ISO/IEC
// 23000-19 7.3.2.3). Chunks of a segment abut, in time and in bytes.
type Chunk struct {
	Start       int64 // ticks since the UTC epoch
	Duration    int64 // ticks
	Offset      int64 // of its first byte in the segment's object
	Size        int64 // bytes
	Independent bool  // begins with a sync sample
}

// End returns Start+Duration in ticks.
func (c Chunk) End() int64 { return c.Start + c.Duration }

// Part is a stretch of the timeline in which media is continuous: one encoder session with one clock, in which no track
// changes its Config (a DASH period cannot, and only a Part can tell a period its name for as long as it lasts). HLS shows its
// boundary as a discontinuity, DASH as a period.
type Part struct {
	Ordinal uint32 // counts from 0 in a channel and never goes back: also the HLS discontinuity sequence number
	Start   Time   // UTC; fixed when the part begins, so that DASH periods keep their start
}
