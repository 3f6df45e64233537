package channel

import (
	"fmt"
	"time"
)

// Limits bound what is pushed to one channel, to both of its inputs together, so that a flood of one channel leaves the
// others alone. They are set all or none: without any, rates and requests at a time have no bound, and the rest is as the
// server has it.
type Limits struct {
	Bitrate     int64         // bit/s of what is uploaded, over some tens of seconds
	RequestRate int           // requests per second, over some seconds
	Concurrent  int           // requests at a time
	Tracks      int           // that have segments, at a time
	Upload      int64         // bytes of one file; endless streams are not counted
	Idle        time.Duration // longest silence of an upload
}

// Default limits. Those that MediaPackage has are its quotas (reference/mediapackage.md, section 9) where they do not only
// protect a shared service; the others are far above what a ladder of renditions needs.
const (
	DefaultBitrate     = 400_000_000 // AWS tells none: 20 streams, the quota of v1, of 20 Mbit/s each
	DefaultRequestRate = 200         // quota of v2; v1 has 50
	DefaultConcurrent  = 512         // AWS tells none: a segment and a playlist of 64 tracks of two encoders, twice
	DefaultTracks      = 64          // v2 has 10 for each stream, v1 20 streams of 10
	DefaultUpload      = 1 << 30     // bytes; the 25 MB of an object of MediaStore are 3 s at 60 Mbit/s
	DefaultIdle        = time.Minute // ffmpeg says nothing for a whole segment (reference/ingest.md, section 1, item 4)
)

// Bounds of limits. Less than the least would stop any encoder.
const (
	MinBitrate     = 100_000         // bit/s
	MaxBitrate     = 100_000_000_000 // bit/s
	MaxRequestRate = 100_000
	MaxConcurrent  = 100_000
	MaxTracks      = 256 // as many names as are remembered of an input
	MinIdle        = time.Second
	MaxIdle        = 24 * time.Hour
)

// DefaultLimits returns the limits of a channel that says nothing else.
func DefaultLimits() Limits {
	return Limits{Bitrate: DefaultBitrate, RequestRate: DefaultRequestRate, Concurrent: DefaultConcurrent, Tracks: DefaultTracks,
		Upload: DefaultUpload, Idle: DefaultIdle}
}

// String tells the limits for people.
func (l Limits) String() string {
	if l == (Limits{}) {
		return "none"
	}
	return fmt.Sprintf("%d bit/s, %d requests/s, %d at a time, %d tracks, files of %d bytes, idle %v",
		l.Bitrate, l.RequestRate, l.Concurrent, l.Tracks, l.Upload, l.Idle)
}

func (c *checker) limits(l Limits) {
	if l == (Limits{}) {
		return
	}
	c.count("limits.max_bitrate", l.Bitrate, MinBitrate, MaxBitrate, " bit/s")
	c.count("limits.max_request_rate", int64(l.RequestRate), 1, MaxRequestRate, " requests per second")
	c.count("limits.max_concurrent", int64(l.Concurrent), 1, MaxConcurrent, " requests")
	c.count("limits.max_tracks", int64(l.Tracks), 1, MaxTracks, " tracks")
	if l.Upload < 1 {
		c.add("limits.max_upload", MemberMin, "at least one byte is needed")
	}
	c.between("limits.upload_idle", l.Idle, MinIdle, MaxIdle)
}

// count reports v unless low <= v <= high.
func (c *checker) count(path string, v, low, high int64, unit string) {
	if v < low {
		c.add(path, MemberMin, "%d is less than %d%s", v, low, unit)
	} else if v > high {
		c.add(path, MemberMax, "%d is more than %d%s", v, high, unit)
	}
}
