package auth

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
)

// Realm is what a client is told it must authenticate for.
const Realm = "headwater"

// Reasons that Credentials.Check gives.
const (
	ReasonOpen          = "no_credentials_configured"
	ReasonUser          = "user"
	ReasonToken         = "token"
	ReasonNoCredentials = "credentials_missing"
	ReasonBadScheme     = "credentials_scheme_unknown"
	ReasonBadUser       = "user_or_password_wrong"
	ReasonBadToken      = "token_wrong"
)

// User is one pair of credentials for Basic (RFC 7617) and Digest (RFC 7616). A name may stand in a list more than once: each of its passwords
// is valid, so that a password can be changed without a gap.
type User struct{ Name, Password string }

// String names the user and not the password.
func (u User) String() string { return u.Name + ":***" }

// Format keeps the password out of every fmt verb.
func (u User) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.String()) }

// MarshalText keeps the password out of logs and JSON.
func (u User) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Credentials are what a request may present: any user or any token is enough. The zero Credentials let everyone pass.
type Credentials struct {
	Users  []User
	Tokens []string // Bearer (RFC 6750)
}

// Empty reports whether there is nothing to present.
func (c Credentials) Empty() bool { return len(c.Users) == 0 && len(c.Tokens) == 0 }

// String tells how many credentials there are and none of them.
func (c Credentials) String() string {
	return fmt.Sprintf("%d users, %d tokens", len(c.Users), len(c.Tokens))
}

// Format keeps the secrets out of every fmt verb.
func (c Credentials) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// MarshalText keeps the secrets out of logs and JSON.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Check decides by the request's Authorization header alone; the body is not touched. A refusal matches
// ErrUnauthenticated and carries a challenge: encoders that send "Expect: 100-continue" first without credentials need
// it to come back with them (reference/ingest.md, section 1, item 16).
func (c Credentials) Check(r *http.Request) Decision {
	if c.Empty() {
		return Allow(ReasonOpen)
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return c.challenge(ReasonNoCredentials)
	}
	if name, password, ok := r.BasicAuth(); ok {
		if c.matchUser(name, password) {
			return Decision{Allowed: true, Reason: ReasonUser, Principal: name}
		}
		return c.challenge(ReasonBadUser)
	}
	scheme, token, _ := strings.Cut(header, " ")
	if strings.EqualFold(scheme, "Bearer") {
		return c.CheckToken(strings.TrimSpace(token))
	}
	return c.challenge(ReasonBadScheme)
}

// CheckToken decides by a token that the request presents elsewhere than in its Authorization header.
func (c Credentials) CheckToken(token string) Decision {
	switch {
	case c.Empty():
		return Allow(ReasonOpen)
	case MatchAny(token, c.Tokens):
		return Decision{Allowed: true, Reason: ReasonToken, Principal: "token"}
	}
	return c.challenge(ReasonBadToken)
}

// matchUser compares with every user, so that the time tells neither whether the name nor whether the password exists.
func (c Credentials) matchUser(name, password string) bool {
	nameSum := sha256.Sum256([]byte(name))
	passwordSum := sha256.Sum256([]byte(password))
	found := 0
	for _, u := range c.Users {
		found |= equal(&nameSum, u.Name) & equal(&passwordSum, u.Password)
	}
	return found == 1
}

// challenge refuses with the schemes that could succeed (RFC 9110, 11.6.1). Basic comes first: it is what encoders know.
func (c Credentials) challenge(reason string) Decision {
	d := Decision{Reason: reason, kind: ErrUnauthenticated}
	if len(c.Users) > 0 {
		d.challenge = append(d.challenge, `Basic realm="`+Realm+`", charset="UTF-8"`)
	}
	if len(c.Tokens) > 0 {
		d.challenge = append(d.challenge, `Bearer realm="`+Realm+`"`)
	}
	return d
}
