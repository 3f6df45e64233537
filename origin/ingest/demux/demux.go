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
	Bitrate   int    // bit/s the encoder declared, 0 when it did not
	Config    *media.Config
}

// Fragment is a run of samples of one track in decode order. The decode time is such that the first sample of a segment
// (a sync sample) has composition offset 0: its decode time is its presentation time, with edit lists applied.
type Fragment struct {
	Track   *Track
	Time    int64         // decode time of the first sample in ticks of Track.Timescale on the source's clock; may be negative
	Samples []cmaf.Sample // Data is empty
	Body    io.Reader     // exactly the samples' bytes, in order; to be read before the next call of the reader
	// Wrap is the period of the source's clock in ticks (2^33 for MPEG-TS), 0 when it does not wrap.
	Wrap int64
}

// Duration returns the sum of the samples' durations in ticks.
func (f *Fragment) Duration() (d int64) {
	for i := range f.Samples {
		d += int64(f.Samples[i].Duration)
	}
	return d
}
