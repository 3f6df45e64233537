package access

import (
	"errors"
	"net/http"
	"time"

	"headwater/auth"
	"headwater/origin/channel"
)

// Encoders checks who may push to a channel, with Basic, Digest or Bearer credentials. Create with NewEncoders.
type Encoders struct{ digest *auth.Digest }

// NewEncoders returns Encoders that know no nonce of others.
func NewEncoders() *Encoders { return &Encoders{digest: auth.NewDigest()} }

// Door is by which URL a request came to a channel, and when.
type Door struct {
	Input int    // 1 or 2
	GUID  string // of the input; empty: the URL had its number
	Began time.Time
}

// Check returns nil when the request may push to the channel, by its Authorization header alone; the body is not touched.
// It can be asked again while the request lasts. Errors: auth.ErrUnauthenticated with challenges, channel.ErrNotFound.
func (e *Encoders) Check(r *http.Request, ch *channel.Channel, by Door) error {
	credentials := ch.Ingest.Credentials()
	if by.GUID != "" {
		var err error
		if credentials, err = ch.CredentialsV2(by.Input, by.GUID); err != nil {
			return err
		}
	}
	return e.digest.Check(credentials, r, by.Began).Err()
}

// Begins reports whether a refusal by Check is what the dialogue with an encoder begins or goes on with: it came without
// credentials, as ffmpeg does, or with a nonce that got old.
func Begins(err error) bool {
	var refused *auth.RefusedError
	return errors.As(err, &refused) && (refused.Reason == auth.ReasonNoCredentials || refused.Reason == auth.ReasonStale)
}
