package packager

import (
	"strconv"
	"strings"

	"headwater/packager/media"
)

// sameBitratePercent is how far the bitrates of two audio tracks may differ while neither counts as a rung of a ladder
// below the other: what one encoder setting makes of different minutes.
const sameBitratePercent = 10

// Interchangeable reports whether two audio tracks of one language, codec and channel layout are the same sound, so that
// a player may switch between them by itself: it came muxed under two renditions of the video, or at clearly different
// bitrates, and neither roles nor names tell them apart. Anything else is a programme of its own, such as a described one beside the main one.
func (w *Window) Interchangeable(a, b media.Track) bool {
	if a.Roles != b.Roles || a.Name != "" && b.Name != "" && a.Name != b.Name {
		return false
	}
	va, na := w.muxed(a.ID)
	vb, nb := w.muxed(b.ID)
	if va != "" && vb != "" {
		return va != vb && na == nb
	}
	return !nearBitrates(a.Bitrate, b.Bitrate)
}

// Repeats reports whether two audio tracks of one language, codec and channel layout are the same sound at the same
// bitrate: it came muxed under two renditions of the video.
func (w *Window) Repeats(a, b media.Track) bool {
	va, _ := w.muxed(a.ID)
	vb, _ := w.muxed(b.ID)
	return va != "" && vb != "" && w.Interchangeable(a, b) && nearBitrates(a.Bitrate, b.Bitrate)
}

// Sound names what an audio track holds: "a", "a2" and so on for the first, second audio of muxed pushes, whichever
// rendition it came under; the track's ID where it was pushed by itself.
func (w *Window) Sound(id string) string {
	if variant, _ := w.muxed(id); variant != "" {
		return id[len(variant)+1:]
	}
	return id
}

// muxed returns the rendition that an audio track came muxed under, and which of its audios it is, from 1. Its ID tells:
// ingest names the tracks of one file "{variant}-v", "{variant}-a", "{variant}-a2". The variant is "" when it came alone.
func (w *Window) muxed(id string) (variant string, n int) {
	i := strings.LastIndex(id, "-a")
	if i <= 0 {
		return "", 0
	}
	n = 1
	if count := id[i+len("-a"):]; count != "" {
		var err error
		if n, err = strconv.Atoi(count); err != nil || n < 2 {
			return "", 0
		}
	}
	variant = id[:i]
	for i := range w.Tracks {
		if t := &w.Tracks[i]; t.Kind == media.Video && t.ID == variant+"-v" {
			return variant, n
		}
	}
	return "", 0
}

func nearBitrates(a, b int) bool { return max(a, b)-min(a, b) <= max(a, b)/100*sameBitratePercent }
