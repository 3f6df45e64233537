package origin

import (
	"headwater/origin/channel"
	"headwater/origin/ingest"
	"headwater/origin/ingest/demux"
	"headwater/origin/reply"
	"headwater/origin/timeline"
)

// errorTable returns the lines that package origin adds to reply's: one per error of the packages below it that a request
// can end with. Statuses of ingest follow DASH-IF Live Media Ingest (reference/ingest.md, section 2), those of playback
// MediaPackage (reference/mediapackage.md, 3a).
func errorTable() reply.Table {
	const (
		notFound   = "ResourceNotFoundException"
		validation = "ValidationException"
		conflict   = "ConflictException"
		throttled  = "ThrottlingException"
	)
	line := func(err error, status int, kind, reason, text string, soon, detail bool) reply.Rule {
		return reply.Rule{Err: err, Answer: reply.Answer{
			Status: status, Type: kind, Reason: reason, Text: text, Soon: soon, Detail: detail,
		}}
	}
	const soon, detail = true, true
	return reply.Table{
		// What exists.
		line(channel.ErrNotFound, 404, notFound, "no_channel", "No such channel", soon, false),
		line(timeline.ErrNotYet, 404, notFound, "too_early", "Not available yet", soon, false),
		line(timeline.ErrGone, 404, notFound, "gone", "Not available any more", false, false),
		line(timeline.ErrOutside, 404, notFound, "outside_window", "Outside the start-over window", false, detail),
		line(timeline.ErrNoTrack, 404, notFound, "no_track", "No such track", false, false),

		// What was asked in a wrong way.
		line(channel.ErrInvalid, 400, validation, "invalid_name", "Invalid name or setting", false, detail),
		line(channel.ErrTooMany, 429, "ServiceQuotaExceededException", "max_channels", "Too many channels", false, false),
		line(timeline.ErrBadWindow, 400, validation, "bad_window", "Bad start or end", false, detail),
		line(ingest.ErrInputSilent, 409, conflict, "input_silent", "The input has sent nothing lately", false, detail),

		// What was pushed.
		line(ingest.ErrStalled, 408, "RequestTimeoutException", "stalled", "The upload stalled", false, detail),
		line(ingest.ErrBitrate, 429, throttled, "max_bitrate", "The bitrate of the channel is used up", false, detail),
		line(ingest.ErrRequestRate, 429, throttled, "max_request_rate", "Too many requests per second to the channel", false, detail),
		line(ingest.ErrConcurrent, 429, throttled, "max_concurrent", "Too many requests at a time to the channel", false, detail),
		line(demux.ErrNoInit, 412, "PreconditionFailedException", "no_init", "Initialization segment missing", false, detail),
		line(demux.ErrUnsupported, 415, "UnsupportedMediaTypeException", "unsupported_media", "Unsupported media", false, detail),
		line(demux.ErrTooLarge, 413, "RequestEntityTooLargeException", "media_limit", "Media exceeds a limit", false, detail),
		line(demux.ErrTruncated, 400, validation, "truncated", "Media ends too early", false, detail),
		line(demux.ErrMalformed, 400, validation, "malformed", "Malformed media", false, detail),
		line(ingest.ErrTooManyTracks, 409, conflict, "max_tracks", "Too many tracks", false, detail),
		line(ingest.ErrAhead, 409, conflict, "too_far_ahead", "Media lies too far in the future", false, detail),
		line(timeline.ErrBackwards, 409, conflict, "number_backwards", "Segment number goes backwards", false, detail),
		line(timeline.ErrOverlap, 409, conflict, "overlap", "Segment overlaps another", false, detail),
		line(timeline.ErrDuplicate, 409, conflict, "duplicate", "Segment exists already", false, detail),
	}
}
