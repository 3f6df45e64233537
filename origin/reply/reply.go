// Package reply answers requests that fail: the table from error to status, the JSON body that says why, and the
// request's ID, logger and table that travel in its context. It serves nothing that succeeds and decides about nobody.
package reply

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"headwater/auth"
)

// RequestIDHeader is on every answer, as AWS's services have it (reference/mediastore.md, 1.8).
const RequestIDHeader = "X-Amzn-Requestid"

// AWSJSON is the content type of AWS's JSON 1.1 protocol, in both directions (reference/mediastore.md, 3.1).
const AWSJSON = "application/x-amz-json-1.1"

// Header names and limits of an error's answer.
const (
	plainJSON       = "application/json"
	errorTypeHeader = "X-Amzn-Errortype"
	maxMessage      = 255 // characters, as in the model of AWS's errors
	soon            = "max-age=1"
)

// contextKey is the type of this package's only context key.
type contextKey struct{}

// request is what travels with a request.
type request struct {
	id    string
	log   *slog.Logger
	table Table
}

// Requests returns middleware that gives each request an ID of 26 characters, tells it in the answer's header, and
// keeps it with log and the table in the request's context, where WriteError finds them. What a client sends as an ID is
// not believed.
func Requests(log *slog.Logger, table Table) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := rand.Text()
			w.Header()[RequestIDHeader] = []string{id}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, &request{id, log, table})))
		})
	}
}

// RequestID returns the request's ID, or "" when the request did not pass Requests.
func RequestID(ctx context.Context) string {
	if q, ok := ctx.Value(contextKey{}).(*request); ok {
		return q.id
	}
	return ""
}

// Logger returns a logger whose lines carry the request's ID, or a silent one when the request did not pass Requests.
func Logger(ctx context.Context) *slog.Logger {
	if q, ok := ctx.Value(contextKey{}).(*request); ok {
		return q.log.With("request", q.id)
	}
	return slog.New(slog.DiscardHandler)
}

// Describe returns what the request's table says of err.
func Describe(ctx context.Context, err error) Answer {
	if q, ok := ctx.Value(contextKey{}).(*request); ok {
		return q.table.Describe(err)
	}
	return Table(nil).Describe(err)
}

// body is the JSON of an error.
type body struct {
	Type      string `json:"__type,omitempty"` // in AWS's JSON protocol only
	Message   string
	Reason    string
	RequestId string //nolint:revive // the name on the wire
}

// WriteError answers with what the request's table says of err, and logs the rule that fired. It must be called before anything
// else of the answer was written; headers that describe a body are replaced, others (Allow, CORS) stay. When the client
// has gone nothing but a status for the metrics is written.
func WriteError(w http.ResponseWriter, r *http.Request, err error) { WriteErrorBy(w, r, nil, err) }

// WriteErrorBy is WriteError of an API with a table of its own, whose lines come before those of the request's.
func WriteErrorBy(w http.ResponseWriter, r *http.Request, own Table, err error) {
	a := answerTo(r, own, err)
	logAnswer(r, a, err)
	a.write(w, r, err, plainJSON)
}

// WriteAWSJSON is WriteErrorBy in AWS's JSON 1.1 protocol, which has the type in the body as well.
func WriteAWSJSON(w http.ResponseWriter, r *http.Request, own Table, err error) {
	a := answerTo(r, own, err)
	logAnswer(r, a, err)
	a.write(w, r, err, AWSJSON)
}

// WriteKnown answers as WriteError does, where the caller has logged more of it.
func WriteKnown(w http.ResponseWriter, r *http.Request, err error) {
	answerTo(r, nil, err).write(w, r, err, plainJSON)
}

func answerTo(r *http.Request, own Table, err error) Answer {
	a, ok := own.find(err)
	if !ok {
		a = Describe(r.Context(), err)
	}
	if a.Status == StatusClientGone && r.Context().Err() == nil {
		return stopped // something else than the client ended the work
	}
	return a
}

func (a Answer) write(w http.ResponseWriter, r *http.Request, err error, contentType string) {
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified", "Cache-Control", "Accept-Ranges", "Content-Disposition"} {
		h.Del(name)
	}
	if a.Status != http.StatusRequestedRangeNotSatisfiable { // there it says how much there is (RFC 9110 15.5.17)
		h.Del("Content-Range")
	}
	if a.Status == StatusClientGone {
		w.WriteHeader(a.Status)
		return
	}
	id := RequestID(r.Context())
	if id == "" {
		id = rand.Text()
		h[RequestIDHeader] = []string{id}
	}
	var refused *auth.RefusedError
	if errors.As(err, &refused) {
		for _, c := range refused.Challenge {
			h.Add("Www-Authenticate", c)
		}
	}
	if a.Soon {
		h["Cache-Control"] = []string{soon}
	}
	b := body{Message: a.message(err), Reason: a.Reason, RequestId: id}
	if contentType == AWSJSON {
		b.Type = a.Type
	}
	data, jsonErr := json.Marshal(b)
	if jsonErr != nil {
		data = []byte("{}") // strings always marshal
	}
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(data))}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h[errorTypeHeader] = []string{a.Type}
	w.WriteHeader(a.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(data) // the client may have gone; nobody else wants to know
	}
}

// logAnswer writes one line: what we did wrong as an error, refusals as information, the ordinary rest for debugging.
func logAnswer(r *http.Request, a Answer, err error) {
	level := slog.LevelInfo
	switch {
	case errors.Is(err, ErrStopping): // as it was told to, which is logged
		level = slog.LevelDebug
	case a.Status >= 500:
		level = slog.LevelError
	case a.Status == http.StatusNotFound, a.Status == StatusClientGone, a.Soon,
		a.Reason == auth.ReasonNoCredentials, a.Reason == auth.ReasonStale: // a challenge is how encoders begin and go on
		level = slog.LevelDebug
	}
	log := Logger(r.Context())
	if !log.Enabled(r.Context(), level) {
		return
	}
	log.Log(r.Context(), level, "request refused", "status", a.Status, "reason", a.Reason, "method", r.Method,
		"path", r.URL.Path, "client", r.RemoteAddr, "error", err)
}

// message returns the text for the client, in printable ASCII: the rule's own, and for a client's mistake what exactly
// was wrong.
func (a Answer) message(err error) string {
	text := a.Text
	if a.Detail {
		// The error often begins with the rule in its own words.
		detail := err.Error()
		if n := len(text); len(detail) > n && strings.EqualFold(detail[:n], text) {
			detail = strings.TrimLeft(detail[n:], ": ")
		}
		text += ": " + detail
	}
	text = strings.Map(func(c rune) rune {
		switch {
		case c == '"':
			return '\''
		case c < ' ' || c > '~':
			return '-'
		}
		return c
	}, text)
	return text[:min(len(text), maxMessage)]
}
