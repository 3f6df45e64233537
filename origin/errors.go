package origin

import (
	"headwater/auth/sigv4"
	"headwater/origin/access"
	"headwater/origin/channel"
	"headwater/origin/container"
	"headwater/origin/ingest"
	"headwater/origin/ingest/demux"
	"headwater/origin/objects"
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

		// What was asked of the object store. Signatures are refused with the names that AWS has for it.
		line(container.ErrNotFound, 404, "ContainerNotFoundException", "no_container", "No such container", false, false),
		line(container.ErrInUse, 409, "ContainerInUseException", "in_use", "Container is in use", false, false),
		line(container.ErrInvalid, 400, validation, "invalid", "Invalid", false, detail),
		line(objects.ErrNoCORS, 403, "AccessDeniedException", "cors", "Not allowed for pages of other origins", false, false),
		line(objects.ErrStalled, 408, "RequestTimeoutException", "object_stalled", "The upload stalled", false, detail),
		line(access.ErrUnsupported, 400, "IncompleteSignatureException", "credentials_scheme_unknown", "Credentials of this kind are not known here", false, detail),
		line(sigv4.ErrMissingAuthenticationToken, 403, "MissingAuthenticationTokenException", "signature_missing", "Request is not signed", false, false),
		line(sigv4.ErrIncompleteSignature, 400, "IncompleteSignatureException", "signature_incomplete", "Signature is incomplete", false, detail),
		line(sigv4.ErrInvalidSignature, 403, "InvalidSignatureException", "signature_invalid", "Signature is invalid", false, detail),
		line(sigv4.ErrUnrecognizedClient, 403, "UnrecognizedClientException", "access_key_unknown", "Access key or its session token is unknown", false, false),
		line(sigv4.ErrExpiredToken, 403, "ExpiredTokenException", "access_key_expired", "Security token is expired", false, false),
		line(sigv4.ErrRequestExpired, 400, "RequestExpired", "request_expired", "Request is expired", false, detail),
		line(sigv4.ErrUnsupportedPayload, 400, validation, "payload_signature", "Payload signature is not supported", false, detail),

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
