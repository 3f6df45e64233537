// Package sigv4 verifies requests that AWS SDKs, the AWS CLI and curl signed with AWS Signature Version 4, in the
// Authorization header or in the query of a presigned URL.
//
// It does not read bodies (Identity.Digest says what the caller must find in one), does not keep or look up keys (Keys
// does), decides nothing about what a principal may do, and remembers no requests: one that was overheard can be sent
// again for MaxSkew, or while a presigned URL lasts. Chunk signatures (STREAMING-AWS4-HMAC-SHA256-PAYLOAD and its kin) and
// Signature Version 4A are refused. Headers that the client did not sign are not protected.
//
// Clients differ in how they write the path and the query that they sign, so several forms of what was received are tried.
// All forms that verify with one signature name the same resource under three conditions, which the caller must keep: "//"
// means "/", the segments "." and ".." are resolved or refused, and in a query "+" means a space.
package sigv4

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"headwater/auth"
)

const (
	// MaxSkew is how far the date of a request may be from now in either direction; AWS allows as much.
	MaxSkew = 15 * time.Minute
	// MaxExpires is the longest life of a presigned URL; AWS allows as much.
	MaxExpires = 7 * 24 * time.Hour

	// UnsignedPayload stands for the digest of a body that the client did not sign.
	UnsignedPayload = "UNSIGNED-PAYLOAD"
	// EmptyDigest is the SHA-256 of no bytes, in hexadecimal digits.
	EmptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// dummySecret stands in for the secret of an unknown key, so that refusing it takes as long as refusing a wrong signature.
// It is as long as the secrets that AWS issues; knowing it gives nothing.
const dummySecret = "0000000000000000000000000000000000000000"

// Verifier says whose signatures are good for what.
type Verifier struct {
	Keys     Keys
	Services []string // names that the scope of a signature may have, as "mediastore"; without any, nothing verifies
	Region   string   // the only region that the scope may have; "" for any
}

// Identity is what a good signature tells.
type Identity struct {
	Principal string // Key.Principal
	KeyID     string // access key id
	Region    string // of the scope
	Service   string // of the scope, one of Verifier.Services
	// Digest is the SHA-256, in lower-case hexadecimal digits, that the body was signed with and must have; "" when the body
	// is unsigned.
	Digest string
}

// Verify checks the signature of a request as a server received it; the body is not touched. digest is the SHA-256 of the
// body in lower-case hexadecimal digits when the caller has read it already, as control planes do with JSON, else "". Errors
// are of the type *Error; a request that carries no signature at all matches ErrMissingAuthenticationToken.
func (v Verifier) Verify(r *http.Request, digest string, now time.Time) (Identity, error) {
	c, err := parse(r)
	if err != nil {
		return Identity{}, err
	}
	if err := v.checkScope(c); err != nil {
		return Identity{}, err
	}
	if err := c.checkTime(now); err != nil {
		return Identity{}, err
	}
	headers, err := canonicalHeaders(r, c.signedHeaders)
	if err != nil {
		return Identity{}, err
	}
	if digest == "" && !hasBody(r) {
		digest = EmptyDigest
	}
	payloads, err := c.payloads(digest)
	if err != nil {
		return Identity{}, err
	}
	key, known := v.Keys.Key(c.keyID)
	if !known || key.Secret == "" {
		key, known = Key{Secret: dummySecret}, false
	}
	payload, good := c.match(key.Secret, r.Method, headers, payloads)
	if !known {
		return Identity{}, refuse(ErrUnrecognizedClient, ReasonKeyUnknown, "")
	}
	if !good {
		return Identity{}, refuse(ErrInvalidSignature, ReasonMismatch, "")
	}
	id := Identity{Principal: key.Principal, KeyID: c.keyID, Region: c.region, Service: c.service, Digest: payload}
	if payload == UnsignedPayload {
		id.Digest = ""
	} else if digest != "" && digest != payload {
		return Identity{}, refuse(ErrInvalidSignature, ReasonDigest, "")
	}
	if err := key.check(c.token, now); err != nil {
		return Identity{}, err
	}
	return id, nil
}

// checkScope compares what the signing key was made for with what this verifier accepts.
func (v Verifier) checkScope(c *claim) error {
	switch {
	case c.terminator != terminator:
		return refuse(ErrInvalidSignature, ReasonScopeEnd, "")
	case c.day != c.stamp[:len(dayLayout)]:
		return refuse(ErrInvalidSignature, ReasonScopeDate, "")
	case !slices.Contains(v.Services, c.service):
		return refuse(ErrInvalidSignature, ReasonScopeService, c.service)
	case v.Region != "" && c.region != v.Region:
		return refuse(ErrInvalidSignature, ReasonScopeRegion, c.region)
	}
	return nil
}

// checkTime compares the date of the signature with now.
func (c *claim) checkTime(now time.Time) error {
	switch age := now.Sub(c.at); {
	case age < -MaxSkew:
		return refuse(ErrRequestExpired, ReasonFuture, c.stamp)
	case c.presigned && age > c.expires:
		return refuse(ErrRequestExpired, ReasonURLExpired, fmt.Sprintf("%s for %d seconds", c.stamp, c.expires/time.Second))
	case !c.presigned && age > MaxSkew:
		return refuse(ErrRequestExpired, ReasonPast, c.stamp)
	}
	return nil
}

// Keys finds access keys. Both keys of a principal that changes keys are found until the old one is gone.
type Keys interface {
	// Key returns the access key of an id; ok is false when there is none. It must not wait for anything.
	Key(id string) (key Key, ok bool)
}

// Key is an access key: what a client signs with.
type Key struct {
	Secret       string    // secret access key; a key without one is unknown
	SessionToken string    // of temporary credentials: the token that must come with the signature; "" for none
	Principal    string    // whose key it is
	Expires      time.Time // of temporary credentials; zero for never
}

// String names the principal and not the secrets.
func (k Key) String() string { return k.Principal + ":***" }

// Format keeps the secrets out of every fmt verb.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// MarshalText keeps the secrets out of logs and JSON.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// check decides about temporary credentials. The signature was good, so that nothing is told to those without the secret.
func (k Key) check(token string, now time.Time) error {
	none := token == "" && k.SessionToken == ""
	if !none && !auth.MatchAny(token, []string{k.SessionToken}) {
		return refuse(ErrUnrecognizedClient, ReasonToken, "")
	}
	if !k.Expires.IsZero() && !now.Before(k.Expires) {
		return refuse(ErrExpiredToken, ReasonKeyExpired, "")
	}
	return nil
}
