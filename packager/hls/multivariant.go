package hls

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

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
		if len(t.Segments) == 0 || stopped(v.Window, t) {
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
		return encodeMultivariant(independent(v.Window), nil, f.audioVariants(v, manifest, audios)), nil
	}
	groups := groupAudio(audios)
	if f == TS && !v.AudioGroups && oneSound(v.Window, audios) {
		return encodeMultivariant(independent(v.Window), nil, f.muxedVariants(v, manifest, videos, audios)), nil
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
	return encodeMultivariant(independent(v.Window), renditionsOf(v, manifest, groups), variants), nil
}

// stoppedSegments is how many segments a live track lags behind others of its kind that has stopped: so many the live edge
// waits for it.
const stoppedSegments = 3

// stopped reports whether t of a live stream has ended while others of its kind go on: whoever chose it now would find nothing.
func stopped(w *packager.Window, t *packager.TrackWindow) bool {
	if !w.Live {
		return false
	}
	limit := media.At(t.Last().End(), t.Timescale).Add(media.FromDuration(stoppedSegments*w.TargetDuration + w.TargetDuration/2))
	return slices.ContainsFunc(w.Tracks, func(o packager.TrackWindow) bool {
		return o.Kind == t.Kind && len(o.Segments) > 0 && limit.Before(media.At(o.Last().End(), o.Timescale))
	})
}

// independent reports whether every segment in view can be decoded by itself.
func independent(w *packager.Window) bool {
	return !slices.ContainsFunc(w.Tracks, func(t packager.TrackWindow) bool { return !allIndependent(t.Segments) })
}

func allIndependent(segments []media.Segment) bool {
	return !slices.ContainsFunc(segments, func(s media.Segment) bool { return s.Dependent })
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

// renditionsOf lists the tracks of every group. NAME is what the encoder calls a track, else the language, made unique by a
// count, so that the same rendition has the same name in every group (RFC 8216 4.3.4.1.1). The first of a group is its default.
// Of those that players may choose by themselves no two are alike in language and characteristics.
func renditionsOf(v packager.View, manifest string, groups []audioGroup) []rendition {
	var out []rendition
	for _, g := range groups {
		used, chosen := map[string]bool{}, map[string]bool{}
		for i, t := range g.tracks {
			called := cmp.Or(unquoted(t.Name), unquoted(t.Language), "audio")
			name := called
			for n := 2; used[name]; n++ {
				name = called + " " + strconv.Itoa(n)
			}
			used[name] = true
			r := rendition{
				group: g.id, name: name, language: t.Language, characteristics: characteristics(t.Roles),
				isDefault: i == 0, channels: t.Last().Config.Channels, uri: playlistName(v, manifest, t.ID),
			}
			kind := r.language + "|" + r.characteristics
			r.autoselect = r.isDefault || !t.Manual && !chosen[kind]
			chosen[kind] = chosen[kind] || r.autoselect
			out = append(out, r)
		}
	}
	return out
}

// characteristics returns the CHARACTERISTICS of an audio rendition with such roles (draft-pantos-hls-rfc8216bis 4.4.6.1).
func characteristics(roles media.Roles) string {
	var all []string
	if roles&media.RoleDescription != 0 {
		all = append(all, "public.accessibility.describes-video")
	}
	if roles&media.RoleEnhancedSpeech != 0 {
		all = append(all, "public.accessibility.enhances-speech-intelligibility")
	}
	return strings.Join(all, ",")
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
