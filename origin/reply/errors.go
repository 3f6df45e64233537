package reply

import (
	"context"
	"errors"
	"net/http"

	"headwater/auth"
	"headwater/packager"
	"headwater/storage"
)

// StatusClientGone is what metrics and logs show when the client left before its answer. It never reaches anybody.
const StatusClientGone = 499

// Errors of requests themselves, for those that no lower package owns. Wrap them with what was asked for.
var (
	ErrNoRoute      = errors.New("nothing is served here")                 // 404
	ErrNoEndpoint   = errors.New("no such origin endpoint or manifest")    // 404
	ErrTooEarly     = errors.New("not available yet")                      // 404, may exist soon
	ErrMethod       = errors.New("method not allowed")                     // 405; the caller sets Allow
	ErrBadRequest   = errors.New("bad request")                            // 400
	ErrTooLarge     = errors.New("body too large")                         // 413
	ErrRange        = errors.New("range not satisfiable")                  // 416; the caller sets Content-Range
	ErrPrecondition = errors.New("precondition failed")                    // 412: If-Match, If-Unmodified-Since
	ErrNoLookAhead  = errors.New("fragment exists, what follows does not") // 412, Smooth
	ErrConflict     = errors.New("another source holds this input")        // 409
	ErrThrottled    = errors.New("too many requests")                      // 429
	ErrBlocked      = errors.New("what was waited for did not come")       // 503, blocking playlist reload
	ErrStopping     = errors.New("the server is stopping")                 // 503
	ErrMemory       = errors.New("too much is being uploaded at once")     // 503
)

// Answer is what a client is told about an error.
type Answer struct {
	Status int
	Type   string // x-amzn-ErrorType
	Reason string // the rule, in snake case; a refusal by auth names its own
	Text   string // for people, in plain words
	Soon   bool   // what is not there may be in a moment: caches may keep the answer for a second only
	Detail bool   // the error's own text helps the client and gives nothing away
}

// Rule is one line of the table: errors that match Err, as errors.Is has it, are answered so.
type Rule struct {
	Err error
	Answer
}

// Table maps errors to answers; the first line that matches decides.
type Table []Rule

// base is the part of the table for errors of this package and of the leaves below origin; package origin adds the lines
// of the packages that know this one. Statuses follow MediaPackage (reference/mediapackage.md, 3a), types the AWS services.
var base = Table{
	// Who may.
	{auth.ErrUnauthenticated, Answer{401, "UnauthorizedException", "unauthenticated", "Credentials are required", false, false}},
	{auth.ErrDenied, Answer{403, "AccessDeniedException", "denied", "Access denied", false, false}},

	// What exists.
	{ErrNoRoute, Answer{404, "ResourceNotFoundException", "no_route", "Nothing is served here", false, false}},
	{ErrNoEndpoint, Answer{404, "ResourceNotFoundException", "no_endpoint", "No such origin endpoint or manifest", false, false}},
	{ErrTooEarly, Answer{404, "ResourceNotFoundException", "too_early", "Not available yet", true, false}},
	{packager.ErrNoMedia, Answer{404, "ResourceNotFoundException", "no_media", "No media yet", true, false}},
	{packager.ErrNoTrack, Answer{404, "ResourceNotFoundException", "no_track", "No such track", false, false}},
	{storage.ErrNotFound, Answer{404, "ObjectNotFoundException", "no_object", "No such object", false, false}},

	// What was asked in a wrong way.
	{ErrMethod, Answer{405, "MethodNotAllowedException", "method", "Method not allowed", false, false}},
	{storage.ErrInvalidKey, Answer{400, "ValidationException", "invalid_key", "Invalid object name", false, false}},
	{storage.ErrInvalidAttrs, Answer{400, "ValidationException", "invalid_attributes", "Invalid object attributes", false, true}},
	{ErrRange, Answer{416, "RequestedRangeNotSatisfiableException", "range", "Range not satisfiable", false, true}},
	{ErrPrecondition, Answer{412, "PreconditionFailedException", "precondition", "Precondition failed", false, false}},
	{ErrNoLookAhead, Answer{412, "PreconditionFailedException", "look_ahead", "The following fragments are not there yet", true, false}},
	{ErrThrottled, Answer{429, "ThrottlingException", "throttled", "Too many requests", false, false}},
	{ErrTooLarge, Answer{413, "RequestEntityTooLargeException", "max_upload", "Body too large", false, true}},
	{ErrConflict, Answer{409, "ConflictException", "conflict", "Another source holds this input", false, true}},
	{ErrBadRequest, Answer{400, "ValidationException", "bad_request", "Bad request", false, true}},

	// What we cannot do.
	{storage.ErrNoSpace, Answer{507, "InsufficientStorageException", "no_space", "No space left", false, false}},
	{storage.ErrIO, Answer{503, "ServiceUnavailableException", "storage", "Storage does not answer", false, false}},
	{storage.ErrClosed, stopped},
	{ErrStopping, stopped},
	{ErrMemory, Answer{503, "ServiceUnavailableException", "memory", "Too much is being uploaded at once", false, false}},
	{ErrBlocked, Answer{503, "ServiceUnavailableException", "blocked", "What was waited for did not come", false, false}},
	{context.DeadlineExceeded, Answer{503, "ServiceUnavailableException", "deadline", "It took too long", false, false}},
	{context.Canceled, Answer{StatusClientGone, "", "client_gone", "Client left", false, false}},
	{http.ErrAbortHandler, Answer{StatusClientGone, "", "client_gone", "Client left", false, false}},
}

// stopped is the answer while the server stops, and unknown the one to an error that is not in the table.
var (
	stopped = Answer{503, "ServiceUnavailableException", "stopping", "The server is stopping", false, false}
	unknown = Answer{500, "InternalServerError", "internal", "Internal error", false, false}
)

// Describe returns what the table says of err, its own lines before those of this package: also for metrics, which
// count by Reason. Several errors joined are answered by the first line that any of them matches. A
// *http.MaxBytesError counts as ErrTooLarge; what matches no line is a 500.
func (t Table) Describe(err error) Answer {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		err = ErrTooLarge
	}
	a, ok := t.find(err)
	if !ok {
		a, ok = base.find(err)
	}
	if !ok {
		return unknown
	}
	var refused *auth.RefusedError
	if errors.As(err, &refused) {
		a.Reason = refused.Reason
	}
	return a
}

func (t Table) find(err error) (Answer, bool) {
	for i := range t {
		if errors.Is(err, t[i].Err) {
			return t[i].Answer, true
		}
	}
	return Answer{}, false
}
