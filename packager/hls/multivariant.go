package hls

import (
	"fmt"
	"math"
	"strconv"

	"headwater/packager"
	"headwater/packager/media"
)

// sameBitratePercent is how far the bitrates of two audio tracks may differ while the tracks still count as one and the
// same audio that came muxed under several renditions.
const sameBitratePercent = 10

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
		case t.Kind == media.Audio && !repeats(audios, t):
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
	if f == TS && !v.AudioGroups {
		return encodeMultivariant(nil, f.muxedVariants(v, manifest, videos, groups)), nil
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
func repeats(seen []*packager.TrackWindow, t *packager.TrackWindow) bool {
	c := t.Last().Config
	for _, s := range seen {
		o := s.Last().Config
		a, b := s.Bitrate, t.Bitrate
		if o.Codec == c.Codec && o.Channels == c.Channels && o.SampleRate == c.SampleRate && s.Language == t.Language &&
			max(a, b)-min(a, b) <= max(a, b)/100*sameBitratePercent {
			return true
		}
	}
	return false
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
		languages := map[string]int{}
		for i, t := range g.tracks {
			name := t.Language
			if name == "" {
				name = "audio"
			}
			languages[name]++
			n := languages[name]
			if n > 1 {
				name += " " + strconv.Itoa(n)
			}
			out = append(out, rendition{
				group: g.id, name: name, language: t.Language,
				isDefault: i == 0, autoselect: n == 1,
				channels: t.Last().Config.Channels,
				uri:      playlistName(v, manifest, t.ID),
			})
		}
	}
	return out
}

// muxedVariants pairs each video with the first audio of the first group.
func (f Format) muxedVariants(v packager.View, manifest string, videos []*packager.TrackWindow, groups []audioGroup) []variant {
	var out []variant
	for _, video := range videos {
		if len(groups) == 0 {
			out = append(out, f.videoVariant(video, playlistName(v, manifest, video.ID)))
			continue
		}
		audio := groups[0].tracks[0]
		s := f.videoVariant(video, playlistName(v, manifest, video.ID, audio.ID))
		s.codecs += "," + groups[0].codec
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
