// Package auth answers whether a request may do what it asks: shared secrets, Basic, Digest and Bearer credentials,
// and the Decision that says so. It writes no responses, keeps no users and reads no configuration; address lists are in iprange,
// signatures of AWS clients in sigv4.
package auth

import (
	"errors"
	"fmt"
)

// Errors that a refused Decision carries and a caller can match with errors.Is.
var (
	// ErrUnauthenticated means that the request must present (other) credentials. HTTP 401 with a challenge.
	ErrUnauthenticated = errors.New("credentials required")
	// ErrDenied means that no credentials would help: the request may not do this from where it comes. HTTP 403.
	ErrDenied = errors.New("access denied")
)

// Decision is the outcome of one check. The zero Decision refuses.
type Decision struct {
	Allowed   bool
	Reason    string // the rule that decided, in snake case, as the configuration names it; never a secret
	Principal string // who it is, when credentials told: a user's name, or "token"

	kind      error
	challenge []string
}

// Allow returns a Decision that lets the request pass because of the rule that reason names.
func Allow(reason string) Decision { return Decision{Allowed: true, Reason: reason} }

// Deny returns a Decision that refuses because of the rule that reason names. Its Err matches ErrDenied.
func Deny(reason string) Decision { return Decision{Reason: reason, kind: ErrDenied} }

// Err returns nil for an allowed request, else a *RefusedError.
func (d Decision) Err() error {
	if d.Allowed {
		return nil
	}
	kind := d.kind
	if kind == nil {
		kind = ErrDenied
	}
	return &RefusedError{Kind: kind, Reason: d.Reason, Challenge: d.challenge}
}

// RefusedError is a refused Decision as an error. It matches ErrUnauthenticated or ErrDenied.
type RefusedError struct {
	Kind      error    // ErrUnauthenticated or ErrDenied
	Reason    string   // Decision.Reason
	Challenge []string // values of WWW-Authenticate, for ErrUnauthenticated
}

// Error names the rule.
func (e *RefusedError) Error() string { return fmt.Sprintf("%v: %s", e.Kind, e.Reason) }

// Unwrap returns the kind of refusal.
func (e *RefusedError) Unwrap() error { return e.Kind }
