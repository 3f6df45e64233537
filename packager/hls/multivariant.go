package hls

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"headwater/packager"
	"headwater/packager/media"
)

// Overhead of MPEG-TS over CMAF: packet and PES headers, and per track and segment up to 15 stuffing packets and the
// tables (packager/mpegts), which weigh most in short segments of low bitrate.
const (
	tsOverheadPercent = 8
	tsOverheadBits    = 12_000 // bit/s per track
)

// audioGroup is the audio of one kind: same codec and channels.
type audioGroup struct {
	id     string
	codec  string
	tracks []*packager.TrackWindow
}

// multivariant writes the multivariant playlist.
func (f Format) multivariant(v packager.View, manifest string) ([]byte, error) {
	var videos, audios []*packager.TrackWindow
	found := false
	for i := range v.Tracks {
		t := &v.Tracks[i]
		if len(t.Segments) == 0 {
			continue
		}
		found = true
		switch {
		case !f.carries(t.Last().Config.Codec):
		case t.Kind == media.Video:
			videos = append(videos, t)
		case t.Kind == media.Audio && !repeats(v.Window, audios, t):
			audios = append(audios, t)
		}
	}
	switch {
	case !found:
		return nil, packager.ErrNoMedia
	case len(videos) == 0 && len(audios) == 0:
		return nil, fmt.Errorf("hls: no track that %s segments can carry: %w", f.ext(), packager.ErrNoTrack)
	case len(videos) == 0:
		return encodeMultivariant(nil, f.audioVariants(v, manifest, audios)), nil
	}
	groups := groupAudio(audios)
	if f == TS && !v.AudioGroups && oneSound(v.Window, audios) {
		return encodeMultivariant(nil, f.muxedVariants(v, manifest, videos, audios)), nil
	}
	var variants []variant
	for _, video := range videos {
		if len(groups) == 0 {
			variants = append(variants, f.videoVariant(video, playlistName(v, manifest, video.ID)))
		}
		for _, g := range groups {
			s := f.videoVariant(video, playlistName(v, manifest, video.ID))
			s.codecs += "," + g.codec
			s.audio = g.id
			peak, average := 0, 0
			for _, a := range g.tracks {
				peak, average = max(peak, f.served(peakOf(a))), max(average, f.served(averageOf(a)))
			}
			s.bandwidth, s.average = add(s.bandwidth, peak), add(s.average, average)
			variants = append(variants, s)
		}
	}
	return encodeMultivariant(renditionsOf(v, manifest, groups), variants), nil
}

// repeats reports whether t is the same audio as one of seen.
func repeats(w *packager.Window, seen []*packager.TrackWindow, t *packager.TrackWindow) bool {
	return slices.ContainsFunc(seen, func(s *packager.TrackWindow) bool {
		return alike(s, t) && s.Last().Config.SampleRate == t.Last().Config.SampleRate && w.Repeats(s.Track, t.Track)
	})
}

// oneSound reports whether audios are one and the same at most, so that whoever is given the first misses nothing.
func oneSound(w *packager.Window, audios []*packager.TrackWindow) bool {
	for i := 1; i < len(audios); i++ {
		if !alike(audios[0], audios[i]) || !w.Interchangeable(audios[0].Track, audios[i].Track) {
			return false
		}
	}
	return true
}

// alike reports whether two audio tracks are of one language, codec and channel layout.
func alike(a, b *packager.TrackWindow) bool {
	c, d := a.Last().Config, b.Last().Config
	return a.Language == b.Language && c.Codec == d.Codec && c.Channels == d.Channels
}

// groupAudio sorts tracks into one group per codec and number of channels, in the order of their first tracks.
func groupAudio(tracks []*packager.TrackWindow) []audioGroup {
	var groups []audioGroup
next:
	for _, t := range tracks {
		c := t.Last().Config
		id := c.Codec + "-" + strconv.Itoa(c.Channels)
		for i := range groups {
			if groups[i].id == id {
				groups[i].tracks = append(groups[i].tracks, t)
				continue next
			}
		}
		groups = append(groups, audioGroup{id: id, codec: c.Codec, tracks: []*packager.TrackWindow{t}})
	}
	return groups
}

// renditionsOf lists the tracks of every group. NAME is the language, made unique by a count, so that the same rendition
// has the same name in every group (RFC 8216 4.3.4.1.1). The first of a group is its default.
func renditionsOf(v packager.View, manifest string, groups []audioGroup) []rendition {
	var out []rendition
	for _, g := range groups {
		used := map[string]bool{}
		for i, t := range g.tracks {
			language := cmp.Or(unquoted(t.Language), "audio")
			name := language
			for n := 2; used[name]; n++ {
				name = language + " " + strconv.Itoa(n)
			}
			used[name] = true
			out = append(out, rendition{
				group: g.id, name: name, language: t.Language,
				isDefault: i == 0, autoselect: name == language,
				channels: t.Last().Config.Channels,
				uri:      playlistName(v, manifest, t.ID),
			})
		}
	}
	return out
}

// muxedVariants pairs each video with the first audio, if there is one.
func (f Format) muxedVariants(v packager.View, manifest string, videos, audios []*packager.TrackWindow) []variant {
	var out []variant
	for _, video := range videos {
		if len(audios) == 0 {
			out = append(out, f.videoVariant(video, playlistName(v, manifest, video.ID)))
			continue
		}
		audio := audios[0]
		s := f.videoVariant(video, playlistName(v, manifest, video.ID, audio.ID))
		s.codecs += "," + audio.Last().Config.Codec
		s.bandwidth = add(s.bandwidth, f.served(peakOf(audio)))
		s.average = add(s.average, f.served(averageOf(audio)))
		out = append(out, s)
	}
	return out
}

func (f Format) videoVariant(t *packager.TrackWindow, uri string) variant {
	c := t.Last().Config
	return variant{
		uri: uri, codecs: c.Codec,
		bandwidth: f.served(peakOf(t)), average: f.served(averageOf(t)),
		width: c.Width, height: c.Height, frameRate: c.FrameRate,
	}
}

// audioVariants lists every audio track as a variant of its own, for channels without video.
func (f Format) audioVariants(v packager.View, manifest string, tracks []*packager.TrackWindow) []variant {
	var out []variant
	for _, t := range tracks {
		out = append(out, variant{
			uri: playlistName(v, manifest, t.ID), codecs: t.Last().Config.Codec,
			bandwidth: f.served(peakOf(t)), average: f.served(averageOf(t)),
		})
	}
	return out
}

// served returns the bitrate of what a viewer fetches, given the bitrate of the stored track.
func (f Format) served(rate int) int {
	if f == TS {
		return add(rate, rate/100*tsOverheadPercent+tsOverheadBits)
	}
	return rate
}

// peakOf returns the measured peak, or the nominal bitrate before anything was measured; at least 1, because BANDWIDTH
// is required.
func peakOf(t *packager.TrackWindow) int {
	if t.Peak > 0 {
		return clamp(t.Peak)
	}
	return clamp(t.Bitrate)
}

func averageOf(t *packager.TrackWindow) int {
	if t.Average > 0 {
		return clamp(t.Average)
	}
	return peakOf(t)
}

func clamp(rate int) int { return min(max(rate, 1), math.MaxUint32) }

func add(a, b int) int { return clamp(a + b) }
