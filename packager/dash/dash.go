// Package dash writes MPEG-DASH manifests (ISO/IEC 23009-1) from a window, and parses the names they give out.
//
// Every time in an MPD is UTC: Period@start counts from 1970-01-01T00:00:00Z, presentationTimeOffset is the same instant
// in the track's timescale and S@t is media.Segment.Start. So an MPD of the same window is the same on every node, and
// nothing moves when a dynamic MPD becomes static. Times must stay below 2^53 ticks for players written in JavaScript,
// which holds for every timescale up to 5 MHz.
//
// # Periods
//
// There is one Period per media.Part, with the Part's ordinal as id and its start as start, so that a Period keeps both
// while the window slides over it.
//
// Missing media inside a Part does not begin a Period: nothing in the window would tell the rest of that Period from its
// Part once the gap has left the view, and players stop when the Period that they play changes its id. It is bridged: the
// S element before it lasts until the next segment, because dash.js asks for the segment that begins where the last one
// ended and waits for ever where none does; players then find the hole in their buffer and jump over it. A segment's
// place in a SegmentTimeline is its $Number$, which would be wrong for everything behind the hole. So a track whose
// segments in view are not numbered without a gap is addressed by $Time$ for as long as the gap is in view, whatever
// Options.TimeTemplate says. Every segment answers to both names.
//
// A change of media.Config begins a new media.Part. Where it does not, the Part is cut there all the same, because a
// Representation has one initialization segment; that cut is only as stable as the view of it.
//
// # Availability
//
// Window.Delay moves availabilityStartTime: a player computes its live edge from its clock, and this is the one attribute
// that moves the edge itself in all players. suggestedPresentationDelay would be added to an edge that some players take
// from the clock and others from the newest segment.
//
// A static MPD keeps availabilityStartTime and the time axis of the dynamic one that it may follow, so that a player that
// is in the middle keeps its place. Its first Period starts where the media in view does, as it also does in a dynamic
// MPD with a fixed start. Its mediaPresentationDuration counts from the zero of the time axis, because dash.js knows the
// last Period by its end being there, and neither it nor Shaka comes to an end for certain without one. The last Period
// says the same by its duration, as the DASH-IF wants it and ffmpeg, which knows no other length of what does not start at
// zero. No other Period has one: each lasts until the next, and dash.js, where all have one, adds them up to a length from
// zero.
//
// # Silence
//
// While an encoder is away the window goes on to show what came last, and nothing in the MPD tells. The words that there
// are for it would be a duration of the last Period, but that is for ever (DASH-IF, timing model), and nobody knows whether
// the encoder goes on in the same Part: a dash.js that was opened meanwhile drops all that then follows behind the end that
// it saw first. Shaka takes the live edge from the newest segment and plays what is left. dash.js takes it from its clock,
// and looks where nothing is until timeShiftBufferDepth has passed, unless it is told to calcFromSegmentTimeline. A shorter
// timeShiftBufferDepth would help it and take what is there from everybody else.
//
// # Sets
//
// An AdaptationSet holds what a player may switch between by itself: the renditions of a video, and one sound (package
// packager: Window.Interchangeable). Two programmes of one language are two sets, which players tell apart by their ids.
//
// The package decides nothing about access, caching or what is in view, and does not write media.
package dash

import (
	"strings"

	"headwater/packager"
	"headwater/packager/media"
)

const (
	manifestExt = ".mpd"
	segmentExt  = ".mp4"
)

// Format is DASH as a packager.Format. The zero value is ready for use.
type Format struct{}

var _ packager.Format = Format{}

// Parse takes "{manifest}.mpd" and the names of CMAF segments and init segments as packager.ParseSegmentName does.
func (Format) Parse(name string) (r packager.Resource, ok bool) {
	if manifest, found := strings.CutSuffix(name, manifestExt); found {
		if !packager.ValidID(manifest) {
			return packager.Resource{}, false
		}
		return packager.Resource{Kind: packager.Manifest, Manifest: manifest}, true
	}
	r, ok = packager.ParseSegmentName(name, segmentExt)
	if !ok || len(r.Tracks) != 1 {
		return packager.Resource{}, false
	}
	return r, true
}

// ContentType returns application/dash+xml for the manifest, audio/mp4 or video/mp4 for segments: a segment's name does
// not tell its media type, so a caller that knows the track sets r.Type.
func (Format) ContentType(r packager.Resource) string {
	switch {
	case r.Kind == packager.Manifest:
		return "application/dash+xml"
	case r.Type == media.Audio:
		return "audio/mp4"
	}
	return "video/mp4"
}

// Render writes the MPD of v. Errors: packager.ErrNoMedia; packager.ErrNoTrack when r is no manifest.
func (Format) Render(v packager.View, r packager.Resource) ([]byte, error) {
	if r.Kind != packager.Manifest {
		return nil, packager.ErrNoTrack
	}
	ps := periods(v.Window)
	if len(ps) == 0 {
		return nil, packager.ErrNoMedia
	}
	return render(v, r.Manifest, ps)
}
