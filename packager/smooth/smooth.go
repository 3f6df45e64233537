// Package smooth writes Smooth Streaming manifests and fragments ([MS-SSTR]) from a window and its stored CMAF, and parses
// the names that clients ask by. Only H.264 and AAC tracks are shown; others are left out.
//
// # Time
//
// Every time is UTC in microseconds (TimeScale), rounded to the nearest. One scale for all streams, because players rebase
// a recorded presentation by subtracting the ticks of one stream from those of another; this scale, because times since
// 1970 must stay below 2^53: players written in JavaScript keep them as floating-point numbers, and the customary scale of
// 10,000,000 passed that in 1998. Microseconds do until 2255. Absolute times are rounded, and lengths are differences of
// them, so that nothing drifts. A request is mapped back by Find, which takes the segment whose rounded start is nearest.
//
// # Composition
//
// A fragment has no tfdt: clients take its time from the manifest, and those that rebase it would contradict a tfdt. Its
// first sample is presented at that very time, and samples that are presented before they are decoded have negative
// composition offsets (trun version 1). Shifting all of them to be unsigned, as old clients knew them, would delay video
// against audio by the shift, with nothing to make up for it.
//
// # Configurations
//
// A quality level has one CodecPrivateData: a window lists what comes after the newest change of it.
//
// The package does not decide whether a fragment may be had yet (412) or ever (404); Find tells what that needs.
package smooth

import (
	"errors"
	"sort"
	"strconv"
	"strings"

	"headwater/packager"
	"headwater/packager/media"
)

// TimeScale is the units per second of every time in a manifest, a name and a fragment.
const TimeScale = 1_000_000

// tolerance is how far (in TimeScale) a requested time may lie from the start of the fragment that it means: renditions
// of different timescales share one list of times.
const tolerance = TimeScale / 1000

// ErrNoFragment means that no segment of the track begins at the time that was asked for.
var ErrNoFragment = errors.New("no such fragment")

// Format is Smooth Streaming as a packager.Format. The zero value is ready for use.
type Format struct{}

var _ packager.Format = Format{}

// Time returns a segment's Start or End, in ticks of scale, in units of TimeScale.
func Time(ticks int64, scale uint32) int64 {
	return media.At(ticks, scale).Round(TimeScale)
}

// Parse takes "{manifest}.ism/Manifest", "{manifest}.ism/QualityLevels({bitrate})/Fragments({stream}={time})" and the
// same with FragmentInfo. The fixed words match in any case, as the servers of old did. r.Time is in TimeScale: Find, not
// a comparison with media.Segment.Start, leads to the segment.
func (Format) Parse(name string) (r packager.Resource, ok bool) {
	manifest, rest, found := strings.Cut(name, "/")
	n := len(manifest) - len(".ism")
	if !found || n < 0 || !strings.EqualFold(manifest[n:], ".ism") || !packager.ValidID(manifest[:n]) {
		return packager.Resource{}, false
	}
	r.Manifest = manifest[:n]
	if strings.EqualFold(rest, "Manifest") {
		r.Kind = packager.Manifest
		return r, true
	}
	level, fragment, found := strings.Cut(rest, "/")
	bitrate, isLevel := call(level, "QualityLevels")
	if !found || !isLevel {
		return packager.Resource{}, false
	}
	arg, isFragment := call(fragment, "Fragments")
	r.Kind, r.ByTime = packager.MediaSegment, true
	if !isFragment {
		if arg, isFragment = call(fragment, "FragmentInfo"); !isFragment {
			return packager.Resource{}, false
		}
		r.Kind = packager.FragmentInfo
	}
	stream, start, found := strings.Cut(arg, "=")
	kind, isStream := streamKind(stream)
	b, okBitrate := decimal(bitrate)
	t, okTime := decimal(start)
	if !found || !isStream || !okBitrate || !okTime || b > 1<<31-1 {
		return packager.Resource{}, false
	}
	r.Type, r.Bitrate, r.Time = kind, int(b), t
	return r, true
}

// ContentType returns text/xml for the manifest, video/mp4 or audio/mp4 for fragments.
func (Format) ContentType(r packager.Resource) string {
	switch {
	case r.Kind == packager.Manifest:
		return "text/xml"
	case r.Type == media.Audio:
		return "audio/mp4"
	}
	return "video/mp4"
}

// Find returns the track that r, a fragment parsed by Parse, asks for and the index of the segment in its Segments. The
// look-ahead of the fragment is what follows it there; while the window is Live and fewer than Options.LookAhead segments
// follow, the answer is "not yet". Errors: packager.ErrNoTrack, ErrNoFragment.
//
// A track's Bitrate is unique among those of its Kind, so the stream's name adds nothing.
func Find(w *packager.Window, r packager.Resource) (t *packager.TrackWindow, index int, err error) {
	for i := range w.Tracks {
		t = &w.Tracks[i]
		if t.Kind == r.Type && t.Bitrate == r.Bitrate {
			index = at(t, r.Time)
			if index < 0 {
				return t, index, ErrNoFragment
			}
			return t, index, nil
		}
	}
	return nil, -1, packager.ErrNoTrack
}

// at returns the index of the segment of t whose start is nearest to the given time and within the tolerance, else -1.
func at(t *packager.TrackWindow, time int64) int {
	i := sort.Search(len(t.Segments), func(i int) bool { return Time(t.Segments[i].Start, t.Timescale) >= time })
	best, dist := -1, int64(tolerance+1)
	for _, j := range [2]int{i - 1, i} {
		if j < 0 || j >= len(t.Segments) {
			continue
		}
		if d := abs(Time(t.Segments[j].Start, t.Timescale) - time); d >= 0 && d < dist {
			best, dist = j, d
		}
	}
	return best
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// call parses "name(arg)".
func call(s, name string) (arg string, ok bool) {
	if len(s) < len(name)+2 || !strings.EqualFold(s[:len(name)], name) || s[len(name)] != '(' || s[len(s)-1] != ')' {
		return "", false
	}
	return s[len(name)+1 : len(s)-1], true
}

// streamKind tells the kind of stream from its name: see streamName.
func streamKind(name string) (media.Kind, bool) {
	base, lang, named := strings.Cut(name, "_")
	if named && !packager.ValidID(lang) {
		return 0, false
	}
	switch base {
	case "video":
		return media.Video, !named
	case "audio":
		return media.Audio, true
	}
	return 0, false
}

// streamName returns the StreamIndex@Name of a track: "video", "audio", or "audio_eng" where the language is known, so
// that it does not change when further languages come; with a count where that is used already.
func streamName(t *media.Track, used map[string]bool) string {
	name, count := t.Kind.String(), "_"
	if t.Kind == media.Audio && packager.ValidID(t.Language) {
		name, count = name+"_"+t.Language, "-"
	}
	unique := name
	for n := 2; used[unique]; n++ {
		unique = name + count + strconv.Itoa(n)
	}
	return unique
}

// decimal parses a canonical non-negative decimal: one value has one name, so that caches hold it once.
func decimal(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == s
}
