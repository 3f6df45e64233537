// Package demux parses what encoders send (fragmented MP4 box streams and MPEG-TS) into tracks and fragments of samples
// in source time, with edit lists, composition offsets and audio priming already applied.
//
// It does not map source time to UTC, store, or know of HTTP. Every length is checked before it allocates or loops.
package demux

import (
	"errors"
	"io"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// Errors that a caller can match. They are wrapped with the box or packet and the byte position.
var (
	ErrMalformed   = errors.New("malformed media")           // HTTP 400
	ErrUnsupported = errors.New("unsupported media")         // HTTP 415
	ErrNoInit      = errors.New("no initialization segment") // HTTP 412
	ErrTooLarge    = errors.New("media exceeds limit")       // HTTP 413
	ErrTruncated   = errors.New("truncated media")           // the body ended inside a box or packet
)

// Limits bound what one upload may make the parser hold.
type Limits struct {
	Header   int64 // bytes of a moov, moof or other box that is held whole
	Fragment int64 // bytes of an mdat that must be held whole, or of a TS segment
	Samples  int   // samples in one fragment
}

// DefaultLimits are generous for real media.
var DefaultLimits = Limits{Header: 4 << 20, Fragment: 64 << 20, Samples: 100_000}

// Track is one elementary stream of an upload.
type Track struct {
	Source    uint32 // track_ID or PID
	Index     int    // position among the upload's tracks of its kind, from 0
	Kind      media.Kind
	Timescale uint32 // of every time and duration of its fragments
	Language  string // BCP 47, empty when unknown or "und"
	Roles     media.Roles
	Bitrate   int  // bit/s the encoder declared, 0 when it did not
	InBand    bool // video: parameter sets stand only in the samples (avc3, hev1), which players of Apple refuse
	Config    *media.Config

	reorder int // video: pictures by which decoding runs ahead of presentation, as the parameter sets say
}

// Fragment is a run of samples of one track in decode order. The decode time is such that the first sample of a segment
// (a sync sample) has composition offset 0: its decode time is its presentation time, with edit lists applied.
type Fragment struct {
	Track   *Track
	Time    int64         // decode time of the first sample in ticks of Track.Timescale on the source's clock; may be negative
	Samples []cmaf.Sample // Data is empty
	// Reorder is how many ticks before its presentation a sync sample of video is decoded, so that no composition offset
	// need be negative: what the source itself used, else (where its decode times do not run ahead) what the parameter
	// sets call for. It is no less than this fragment and those before it need, and never negative.
	Reorder int64
	Body    io.Reader // exactly the samples' bytes, in order; to be read before the next call of the reader
	// Clock33 is set for MPEG-TS: the source's clock is 33 bits at 90 kHz and wraps at 2^33. PTS is then the presentation
	// time of the first sample as received, in [0, 2^33); a session unwraps it to an exact multiple of 2^33 at 90 kHz and
	// adds that multiple, converted, to Time. Time itself is PTS in ticks of the track, not unwrapped against other uploads.
	// Of an endless stream (TSReader) both go on beyond 2^33 where its clock begins again.
	Clock33 bool
	PTS     int64 // 90 kHz
	Slate   bool  // fragmented MP4: filler that the encoder put in for lost input, as the brand slat says
	OpenEnd bool  // MPEG-TS: nothing in the upload bears out how long the last picture lasts
	Lost    int   // MPEG-TS: packets and frames of the track that are missing or were left out, 0 when all is well
	// Ignored, of the first fragment of an MPEG-TS upload or after its programme changed, are the streams beside it that are
	// not packaged, one readable reason each.
	Ignored []string
}

// Duration returns the sum of the samples' durations in ticks.
func (f *Fragment) Duration() (d int64) {
	for i := range f.Samples {
		d += int64(f.Samples[i].Duration)
	}
	return d
}
