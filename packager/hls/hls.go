// Package hls names and writes HLS playlists: the multivariant playlist and the media playlists of an endpoint, over
// CMAF or MPEG-TS segments (RFC 8216 and draft-pantos-hls-rfc8216bis; reference output.md sections 2 and 4).
//
// It does not write segments, does not know low-latency parts, and decides nothing about windows: a playlist lists
// exactly the segments of the window that it is given.
package hls

import (
	"fmt"
	"strings"

	"headwater/packager"
	"headwater/packager/media"
)

// Format is a packager.Format that writes HLS. Its value says which segments the playlists list; the names of playlists
// are the same for both:
//
//	{manifest}.m3u8                    multivariant playlist
//	{manifest}_{track}.m3u8            media playlist of one track
//	{manifest}_{video}.{audio}.m3u8    TS only: media playlist of muxed segments
//
// Segments and init segments are named by packager.SegmentName and packager.InitName.
type Format uint8

// The two kinds of segments. The endpoint's format decides; packager.Options.MPEGTS of a View is not consulted.
const (
	CMAF Format = iota + 1 // ".mp4", one track each, with an init segment per configuration
	TS                     // ".ts": video muxed with its audio; one track each where there are several, or with packager.Options.AudioGroups
)

var _ packager.Format = CMAF

// New returns the format of an endpoint with the given options.
func New(o packager.Options) Format {
	if o.MPEGTS {
		return TS
	}
	return CMAF
}

const playlistExt = ".m3u8"

func (f Format) ext() string {
	if f == TS {
		return ".ts"
	}
	return ".mp4"
}

// Parse maps a name to a Manifest, ChildManifest, MediaSegment or (CMAF) Init resource. Segments addressed by time are
// not HLS names.
func (f Format) Parse(name string) (r packager.Resource, ok bool) {
	stem, playlist := strings.CutSuffix(name, playlistExt)
	if !playlist {
		r, ok = packager.ParseSegmentName(name, f.ext())
		if !ok || r.ByTime || len(r.Tracks) > f.maxTracks() || (r.Kind == packager.Init && f != CMAF) {
			return packager.Resource{}, false
		}
		return r, true
	}
	manifest, child, isChild := strings.Cut(stem, "_")
	if !packager.ValidID(manifest) {
		return r, false
	}
	if !isChild {
		return packager.Resource{Kind: packager.Manifest, Manifest: manifest}, true
	}
	tracks := strings.SplitN(child, ".", 3)
	if len(tracks) > f.maxTracks() {
		return r, false
	}
	for _, id := range tracks {
		if !packager.ValidID(id) {
			return r, false
		}
	}
	return packager.Resource{Kind: packager.ChildManifest, Manifest: manifest, Tracks: tracks}, true
}

// maxTracks returns how many tracks one segment can hold.
func (f Format) maxTracks() int {
	if f == TS {
		return 2
	}
	return 1
}

// Render writes the playlist that r names.
func (f Format) Render(v packager.View, r packager.Resource) ([]byte, error) {
	switch r.Kind {
	case packager.Manifest:
		return f.multivariant(v, r.Manifest)
	case packager.ChildManifest:
		return f.mediaPlaylist(v, r.Tracks)
	}
	return nil, fmt.Errorf("hls: resource kind %d is not a playlist", r.Kind)
}

// ContentType returns the media type of what r names (reference output.md 12.1). CMAF segments are video/mp4 unless the
// caller has set r.Type to media.Audio, because a name does not tell the kind of its track.
func (f Format) ContentType(r packager.Resource) string {
	switch {
	case r.Kind == packager.Manifest || r.Kind == packager.ChildManifest:
		return "application/vnd.apple.mpegurl"
	case f == TS:
		return "video/mp2t"
	case r.Type == media.Audio:
		return "audio/mp4"
	}
	return "video/mp4"
}

// playlistName returns the name of the media playlist of tracks, with the query of child manifests.
func playlistName(v packager.View, manifest string, tracks ...string) string {
	return withQuery(manifest+"_"+strings.Join(tracks, ".")+playlistExt, v.ManifestQuery)
}

func withQuery(uri, query string) string {
	if query == "" {
		return uri
	}
	return uri + "?" + query
}

// carries reports whether segments of format f can hold the codec (RFC 6381 string). The stream types that
// packager/mpegts writes are H.264, HEVC, AAC, AC-3 and E-AC-3.
func (f Format) carries(codec string) bool {
	if f == CMAF {
		return true
	}
	kind, _, _ := strings.Cut(codec, ".")
	switch kind {
	case "avc1", "avc3", "hvc1", "hev1", "ac-3", "ec-3":
		return true
	}
	return codec == "mp4a.40.2" || codec == "mp4a.40.5" || codec == "mp4a.40.29"
}
