package reply_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth"
	"headwater/origin/reply"
	"headwater/packager"
	"headwater/storage"
)

// errMine is an error of a package that reply does not know.
var errMine = errors.New("mine")

// table is what such a package's user adds.
var table = reply.Table{{Err: errMine, Answer: reply.Answer{
	Status: 415, Type: "MineException", Reason: "mine", Text: "Mine", Detail: true,
}}}

// answer has WriteError answer a request.
func answer(r *http.Request, w http.ResponseWriter, err error) {
	reply.Requests(slog.New(slog.DiscardHandler), table)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply.WriteError(w, r, err)
	})).ServeHTTP(w, r)
}

func TestErrorsBecomeAnswers(t *testing.T) {
	tests := []struct {
		err    error
		status int
		kind   string
		reason string
		cache  string
	}{
		{auth.Deny("allow_ips").Err(), 403, "AccessDeniedException", "allow_ips", ""},
		{errMine, 415, "MineException", "mine", ""},
		{reply.ErrTooEarly, 404, "ResourceNotFoundException", "too_early", "max-age=1"},
		{packager.ErrNoMedia, 404, "ResourceNotFoundException", "no_media", "max-age=1"},
		{reply.ErrNoLookAhead, 412, "PreconditionFailedException", "look_ahead", "max-age=1"},
		{reply.ErrNoEndpoint, 404, "ResourceNotFoundException", "no_endpoint", ""},
		{storage.ErrNotFound, 404, "ObjectNotFoundException", "no_object", ""},
		{storage.ErrNoSpace, 507, "InsufficientStorageException", "no_space", ""},
		{storage.ErrIO, 503, "ServiceUnavailableException", "storage", ""},
		{&http.MaxBytesError{Limit: 7}, 413, "RequestEntityTooLargeException", "max_upload", ""},
		{reply.ErrMemory, 503, "ServiceUnavailableException", "memory", ""},
		{context.DeadlineExceeded, 503, "ServiceUnavailableException", "deadline", ""},
		{context.Canceled, 503, "ServiceUnavailableException", "stopping", ""},
		{errors.New("surprise"), 500, "InternalServerError", "internal", ""},
		{errors.Join(errors.New("surprise"), storage.ErrNoSpace), 507, "InsufficientStorageException", "no_space", ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v is %d", tt.err, tt.status), func(t *testing.T) {
			w := httptest.NewRecorder()
			w.Header().Set("ETag", `"of what was not sent"`)
			w.Header().Set("Cache-Control", "max-age=1209600")
			w.Header().Set("Allow", "GET, HEAD")
			answer(httptest.NewRequest("GET", "/out/v1/a/b/c/index.m3u8", nil), w, fmt.Errorf("opening: %w", tt.err))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.kind, w.Header().Get("x-amzn-ErrorType"))
			require.Equal(t, tt.cache, w.Header().Get("Cache-Control"))
			require.Empty(t, w.Header().Get("ETag"))
			require.Equal(t, "GET, HEAD", w.Header().Get("Allow"), "headers of the caller stay")
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			var body map[string]string
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
			require.Equal(t, tt.reason, body["Reason"])
			require.Regexp(t, regexp.MustCompile(`^[ -~]{1,255}$`), body["Message"])
			require.Len(t, body["RequestId"], 26)
			require.Equal(t, body["RequestId"], w.Header().Get("x-amzn-RequestId"))
			require.Len(t, body, 3)
		})
	}
}

func TestRefusedCredentialsAreChallenged(t *testing.T) {
	c := auth.Credentials{Users: []auth.User{{Name: "enc", Password: "s3cret"}}, Tokens: []string{"t"}}
	r := httptest.NewRequest("PUT", "/in/v1/default/1/one/a.ts", nil)
	w := httptest.NewRecorder()
	reply.WriteError(w, r, c.Check(r).Err())
	require.Equal(t, 401, w.Code)
	require.Len(t, w.Header().Values("WWW-Authenticate"), 2)
	require.Contains(t, w.Header().Values("WWW-Authenticate")[0], "Basic ")
	require.Contains(t, w.Body.String(), "credentials_missing")
}

func TestMessagesSayWhatTheClientCanMend(t *testing.T) {
	message := func(err error) string {
		w := httptest.NewRecorder()
		answer(httptest.NewRequest("PUT", "/", nil), w, err)
		var body struct{ Message string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		return body.Message
	}
	require.Equal(t, "Mine: box 'moof' at 1024: mine", message(fmt.Errorf("box \"moof\" at 1024: %w", errMine)))
	require.Equal(t, "Storage does not answer", message(fmt.Errorf("/secret/path: %w", storage.ErrIO)), "but nothing of ours")
	require.Equal(t, "Internal error", message(errors.New("secret")))
	require.Len(t, message(fmt.Errorf("%s %w", strings.Repeat("é/", 500), errMine)), 255)
}

func TestRequestsCarryTheirIDAndLogTheRule(t *testing.T) {
	var log strings.Builder
	var seen string
	h := reply.Requests(slog.New(slog.NewTextHandler(&log, nil)), table)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = reply.RequestID(r.Context())
		reply.WriteError(w, r, auth.Deny("require_https").Err())
	}))
	w := httptest.NewRecorder()
	r := httptest.NewRequest("HEAD", "/out/v1/x", nil)
	r.Header.Set("X-Amzn-RequestId", "forged")
	h.ServeHTTP(w, r)
	require.Len(t, seen, 26)
	require.Equal(t, []string{seen}, w.Header().Values("x-amzn-requestid"))
	require.Empty(t, w.Body.String(), "HEAD has no body")
	require.NotEmpty(t, w.Header().Get("Content-Length"))
	require.Contains(t, log.String(), "reason=require_https")
	require.Contains(t, log.String(), "request="+seen)
	require.Empty(t, reply.RequestID(context.Background()))
}

func TestNothingIsSaidToAClientThatLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := httptest.NewRecorder()
	reply.WriteError(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx), fmt.Errorf("reading: %w", context.Canceled))
	require.Equal(t, reply.StatusClientGone, w.Code)
	require.Empty(t, w.Body.String())
	require.Equal(t, 499, reply.Describe(ctx, context.Canceled).Status)
}

func TestAnAPIWithATableOfItsOwnAnswersByItFirst(t *testing.T) {
	own := reply.Table{{Err: storage.ErrNotFound, Answer: reply.Answer{Status: 400, Type: "OwnException", Reason: "own", Text: "Own"}}}
	for name, c := range map[string]struct {
		write       func(http.ResponseWriter, *http.Request, reply.Table, error)
		contentType string
		kind        string // in the body
	}{
		"in plain JSON":          {reply.WriteErrorBy, "application/json", ""},
		"in AWS's JSON protocol": {reply.WriteAWSJSON, "application/x-amz-json-1.1", `"__type":"OwnException",`},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			c.write(w, r, own, fmt.Errorf("%w: a", storage.ErrNotFound))
			require.Equal(t, 400, w.Code)
			require.Equal(t, "OwnException", w.Header().Get("X-Amzn-Errortype"))
			require.Equal(t, c.contentType, w.Header().Get("Content-Type"))
			require.True(t, strings.HasPrefix(w.Body.String(), `{`+c.kind+`"Message":"Own"`), w.Body.String())
			w = httptest.NewRecorder()
			c.write(w, r, own, auth.ErrDenied)
			require.Equal(t, 403, w.Code, "what its table lacks is answered as everywhere")
		})
	}
}
