package access

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"headwater/auth"
	"headwater/origin/channel"
)

// Encoders checks who may push to a channel, with Basic, Digest or Bearer credentials or a stream key. Create with NewEncoders.
type Encoders struct{ digest *auth.Digest }

// NewEncoders returns Encoders that know no nonce of others.
func NewEncoders() *Encoders { return &Encoders{digest: auth.NewDigest()} }

// Door is by which URL a request came to a channel, and when.
type Door struct {
	Input int    // 1 or 2
	Inner bool   // the server itself pushes, what someone put elsewhere who might
	GUID  string // of the input; empty: the URL had its number
	Began time.Time
}

// StreamKey returns the stream key in the query of a YouTube-style URL, "" when there is none (reference/ingest.md, section
// 12): a token of the channel. It is a secret: neither it nor the query may stand in logs or answers.
func StreamKey(r *http.Request) string {
	if !strings.Contains(r.URL.RawQuery, "cid=") {
		return ""
	}
	return r.URL.Query().Get("cid")
}

// Presents reports whether the request has credentials of any kind.
func Presents(r *http.Request) bool { return r.Header.Get("Authorization") != "" || StreamKey(r) != "" }

// Check returns nil when the request may push to the channel, by its Authorization header, or else its stream key; the body is not touched.
// It can be asked again while the request lasts. Errors: auth.ErrUnauthenticated with challenges, channel.ErrNotFound.
func (e *Encoders) Check(r *http.Request, ch *channel.Channel, by Door) error {
	if by.Inner {
		return nil
	}
	credentials := ch.Ingest.Credentials()
	if by.GUID != "" {
		var err error
		if credentials, err = ch.CredentialsV2(by.Input, by.GUID); err != nil {
			return err
		}
	}
	if key := StreamKey(r); key != "" && r.Header.Get("Authorization") == "" {
		return credentials.CheckToken(key).Err()
	}
	return e.digest.Check(credentials, r, by.Began).Err()
}

// Begins reports whether a refusal by Check is what the dialogue with an encoder begins or goes on with: it came without
// credentials, as ffmpeg does, or with a nonce that got old.
func Begins(err error) bool {
	var refused *auth.RefusedError
	return errors.As(err, &refused) && (refused.Reason == auth.ReasonNoCredentials || refused.Reason == auth.ReasonStale)
}
