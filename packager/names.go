package packager

import (
	"strconv"
	"strings"
)

// The names of segments and init segments, shared by every manifest of an origin endpoint (so that HLS and DASH viewers
// share CDN objects). They follow MediaPackage v2: "_" separates, and no track ID holds "_" or ".". Extensions: ".mp4"
// for CMAF, ".ts" for MPEG-TS.
//
//	segment_{track}_{number}.mp4         segment_{track}_t{time}.mp4     time in ticks of the track's timescale
//	segment_{track}_{config}_init.mp4
//	segment_{video}.{audio}_{number}.ts  muxed; or segment_{track}_{number}.ts
const segmentPrefix = "segment"

// SegmentName returns the name of segment number of the given tracks with the given extension (".mp4" or ".ts").
func SegmentName(number int64, ext string, tracks ...string) string {
	return segmentPrefix + "_" + strings.Join(tracks, ".") + "_" + strconv.FormatInt(number, 10) + ext
}

// InitName returns the name of the init segment of a track's configuration.
func InitName(track, config string) string {
	return segmentPrefix + "_" + track + "_" + config + "_init.mp4"
}

// ParseSegmentName is the inverse of SegmentName and InitName, and takes the $Time$ form too. The Resource's Kind is
// MediaSegment or Init.
func ParseSegmentName(name, ext string) (r Resource, ok bool) {
	stem, found := strings.CutSuffix(name, ext)
	if !found {
		return r, false
	}
	parts := strings.Split(stem, "_")
	if len(parts) < 3 || parts[0] != segmentPrefix {
		return r, false
	}
	r.Tracks = strings.Split(parts[1], ".")
	for _, id := range r.Tracks {
		if !ValidID(id) {
			return r, false
		}
	}
	if len(parts) == 4 && parts[3] == "init" && len(r.Tracks) == 1 && ValidID(parts[2]) {
		r.Kind, r.Config = Init, parts[2]
		return r, true
	}
	if len(parts) != 3 || len(r.Tracks) > 2 {
		return r, false
	}
	r.Kind = MediaSegment
	digits, byTime := strings.CutPrefix(parts[2], "t")
	n, ok := parseDecimal(digits)
	if !ok {
		return r, false
	}
	if byTime {
		r.ByTime, r.Time = true, n
	} else {
		r.Number = n
	}
	return r, true
}

// ValidID reports whether s can be a track ID or a manifest name: 1 to 64 letters, digits and '-'.
func ValidID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// parseDecimal parses a canonical non-negative decimal: one value has one name, so that caches hold it once.
func parseDecimal(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == s
}
