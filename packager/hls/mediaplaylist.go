package hls

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"headwater/packager"
	"headwater/packager/media"
)

// maxGapEntries bounds the EXT-X-GAP entries of a playlist. A list whose jumps add up to more begins behind the jump
// that crosses the bound: sequence numbers stay right, only older media leaves the list.
const maxGapEntries = 100_000

// maxDiscontinuities bounds the EXT-X-DISCONTINUITY tags between two segments.
const maxDiscontinuities = 1000

const microseconds = 1_000_000

// mediaPlaylist writes the media playlist of one track, or of the muxed segments of a video and an audio track, which
// follow the video.
func (f Format) mediaPlaylist(v packager.View, tracks []string) ([]byte, error) {
	t, err := f.lead(v, tracks)
	if err != nil {
		return nil, err
	}
	segments := listed(t.Segments)
	if len(segments) == 0 {
		return nil, packager.ErrNoMedia
	}
	h := mediaHeader{
		target:        max(1, int64((v.TargetDuration+time.Second-1)/time.Second)),
		sequence:      segments[0].Number,
		discontinuity: segments[0].Part,
		independent:   allIndependent(segments),
	}
	switch {
	case !v.Live:
		h.playlistType = "VOD"
	case v.Fixed:
		h.playlistType = "EVENT"
	}
	w := newEntries(f, v, t, tracks)
	// 84: the longest entry without its name and digits beyond 10 of its number and 5 of its whole seconds.
	w.b = make([]byte, 0, 512+len(segments)*(84+len(w.prefix)+10+len(w.suffix)))
	if w.b, err = appendMediaHeader(w.b, h); err != nil {
		return nil, err
	}
	for i := range segments {
		if i > 0 {
			w.between(&segments[i-1], &segments[i])
		}
		w.segment(&segments[i])
	}
	if !v.Live {
		w.b = append(w.b, "#EXT-X-ENDLIST\n"...)
	}
	return w.b, nil
}

// lead returns the track whose segments a media playlist of tracks lists.
func (f Format) lead(v packager.View, tracks []string) (*packager.TrackWindow, error) {
	if len(v.Tracks) == 0 {
		return nil, packager.ErrNoMedia
	}
	var found [2]*packager.TrackWindow
	if len(tracks) == 0 || len(tracks) > f.maxTracks() {
		return nil, packager.ErrNoTrack
	}
	for n, id := range tracks {
		for i := range v.Tracks {
			if v.Tracks[i].ID == id {
				found[n] = &v.Tracks[i]
			}
		}
		switch t := found[n]; {
		case t == nil:
			return nil, fmt.Errorf("hls: track %q: %w", id, packager.ErrNoTrack)
		case len(t.Segments) == 0:
			return nil, packager.ErrNoMedia
		case !f.carries(t.Last().Config.Codec):
			return nil, fmt.Errorf("hls: track %q in %s segments: %w", id, f.ext(), packager.ErrNoTrack)
		}
	}
	if found[1] != nil && (found[0].Kind != media.Video || found[1].Kind != media.Audio) {
		return nil, fmt.Errorf("hls: muxed playlist of %s and %s: %w", found[0].Kind, found[1].Kind, packager.ErrNoTrack)
	}
	return found[0], nil
}

// listed returns the newest segments whose gaps fit into maxGapEntries.
func listed(segments []media.Segment) []media.Segment {
	left := int64(maxGapEntries)
	for i := len(segments) - 1; i > 0; i-- {
		if missing := segments[i].Number - segments[i-1].Number - 1; missing > 0 {
			if missing > left {
				return segments[i:]
			}
			left -= missing
		}
	}
	return segments
}

// entries appends the entries of a media playlist to b.
//
// An entry's text depends on its segment alone but for EXT-X-DISCONTINUITY and EXT-X-MAP, so that a listed entry never
// changes while the window slides. EXTINF is the difference of two instants that are each rounded down to the
// microsecond on the UTC axis: over any run of contiguous segments the sum is within a microsecond of the truth.
type entries struct {
	b              []byte
	scale          uint32
	target         int64 // microseconds
	prefix, suffix string
	track          string
	base, query    string
	maps           bool
	config         string // of the EXT-X-MAP in scope
	day            int64  // days since the epoch that date holds; -1 for none
	date           []byte // "2006-01-02T"
}

func newEntries(f Format, v packager.View, t *packager.TrackWindow, tracks []string) *entries {
	// A name is cut in two around the number, so that it is written without building a string per segment.
	prefix := strings.TrimSuffix(packager.SegmentName(0, f.ext(), tracks...), "0"+f.ext())
	return &entries{
		scale:  t.Timescale,
		target: max(int64(time.Second), int64(v.TargetDuration)) / int64(time.Microsecond),
		prefix: v.Base + prefix,
		suffix: withQuery(f.ext(), v.SegmentQuery) + "\n",
		track:  t.ID,
		base:   v.Base,
		query:  v.SegmentQuery,
		maps:   f == CMAF,
		day:    -1,
		date:   make([]byte, 0, 16),
	}
}

// between writes what lies between two neighbours: GAP entries for missing numbers, then discontinuities.
func (w *entries) between(prev, next *media.Segment) {
	if missing := next.Number - prev.Number - 1; missing > 0 {
		w.gap(prev, next, missing)
	}
	if next.Part == prev.Part {
		return
	}
	// A part in which this track has no segment counts as well, so that the discontinuity sequence number of a segment
	// is its part's ordinal in every rendition.
	n := 1
	if next.Part > prev.Part {
		n = int(min(next.Part-prev.Part, maxDiscontinuities))
	}
	for range n {
		w.b = append(w.b, "#EXT-X-DISCONTINUITY\n"...)
	}
	w.config = ""
}

// gap writes the entries of missing segments. They share the missing time evenly when that gives durations that the
// target duration allows, else each is as long as the segment before them.
func (w *entries) gap(prev, next *media.Segment, missing int64) {
	from, to := w.micros(prev.End()), w.micros(next.Start)
	each := (to - from) / missing
	even := prev.Part == next.Part && each > 0 && each <= w.target
	regular := min(w.micros(prev.End())-w.micros(prev.Start), w.target)
	for i := range missing {
		d := regular
		if even {
			d = from + (to-from)*(i+1)/missing - (from + (to-from)*i/missing)
		}
		w.b = append(w.b, "#EXT-X-GAP\n"...)
		w.uri(d, prev.Number+1+i)
	}
}

func (w *entries) segment(s *media.Segment) {
	if w.maps && w.config != s.Config.ID {
		w.config = s.Config.ID
		w.b = append(w.b, `#EXT-X-MAP:URI="`...)
		w.b = append(w.b, withQuery(w.base+packager.InitName(w.track, w.config), w.query)...)
		w.b = append(w.b, "\"\n"...)
	}
	start := w.micros(s.Start)
	w.dateTime(start)
	w.uri(w.micros(s.End())-start, s.Number)
}

func (w *entries) micros(ticks int64) int64 { return media.At(ticks, w.scale).Floor(microseconds) }

// uri writes EXTINF (micros long) and the name of segment number.
func (w *entries) uri(micros, number int64) {
	micros = max(micros, 0)
	w.b = append(w.b, "#EXTINF:"...)
	w.b = strconv.AppendInt(w.b, micros/microseconds, 10)
	w.b = append(w.b, '.')
	w.b = appendDigits(w.b, micros%microseconds, 6)
	w.b = append(w.b, ",\n"...)
	w.b = append(w.b, w.prefix...)
	w.b = strconv.AppendInt(w.b, number, 10)
	w.b = append(w.b, w.suffix...)
}

// dateTime writes EXT-X-PROGRAM-DATE-TIME for an instant in microseconds since the epoch, with milliseconds.
func (w *entries) dateTime(micros int64) {
	const perDay = 24 * 60 * 60 * 1000
	ms := max(micros, 0) / 1000
	if day := ms / perDay; day != w.day {
		w.day = day
		w.date = time.UnixMilli(ms).UTC().AppendFormat(w.date[:0], "2006-01-02T")
	}
	ms %= perDay
	w.b = append(w.b, "#EXT-X-PROGRAM-DATE-TIME:"...)
	w.b = append(w.b, w.date...)
	w.b = appendDigits(w.b, ms/3_600_000, 2)
	w.b = append(w.b, ':')
	w.b = appendDigits(w.b, ms/60_000%60, 2)
	w.b = append(w.b, ':')
	w.b = appendDigits(w.b, ms/1000%60, 2)
	w.b = append(w.b, '.')
	w.b = appendDigits(w.b, ms%1000, 3)
	w.b = append(w.b, "Z\n"...)
}

// appendDigits appends n (not negative) with at least width digits, width at most 6.
func appendDigits(b []byte, n int64, width int) []byte {
	var d [6]byte
	for i := width - 1; i >= 0; i-- {
		d[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, d[:width]...)
}
