package access

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"headwater/auth"
	"headwater/auth/policy"
	"headwater/auth/sigv4"
)

// Anonymous is how a caller without credentials is called, as MediaStore's logs have it.
const Anonymous = "anonymous"

// services are the names that the scope of a signature may have: one for both planes (reference/mediastore.md, 2).
var services = []string{"mediastore"}

// Person is a user of the account that owns the containers, or the account itself.
type Person struct {
	User  string // name of an IAM user; "": the account's root
	Admin bool   // may do everything that no policy denies; else only what the policy of a container allows
}

// ARN returns the person's name in policies and logs.
func (p Person) ARN(account string) string {
	if p.User == "" {
		return "arn:aws:iam::" + account + ":root"
	}
	return "arn:aws:iam::" + account + ":user/" + p.User
}

// AccessKey is what AWS clients sign with.
type AccessKey struct {
	ID  string
	Key sigv4.Key // without Principal
	Person
}

// BasicUser is a user with a password, for encoders that cannot sign. A name may stand in a list more than once.
type BasicUser struct {
	Password string
	Person
}

// Token is a Bearer token of somebody.
type Token struct {
	Secret string
	Person
}

// Credentials are all that callers of the object store may present.
type Credentials struct {
	Keys   []AccessKey
	Users  []BasicUser
	Tokens []Token
	// Open takes any signature as the account's root without looking at it. It is for a server that only its own machine
	// can reach and that knows no credentials: with any, Open has no effect.
	Open bool
}

// Empty reports whether there are none.
func (c *Credentials) Empty() bool {
	return len(c.Keys) == 0 && len(c.Users) == 0 && len(c.Tokens) == 0
}

// String tells how many credentials there are and none of them.
func (c Credentials) String() string {
	return fmt.Sprintf("%d access keys, %d users, %d tokens", len(c.Keys), len(c.Users), len(c.Tokens))
}

// Format keeps the secrets out of every fmt verb.
func (c Credentials) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// MarshalText keeps the secrets out of logs and JSON.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Caller is who sent a request to the object store.
type Caller struct {
	Person
	Account   string // of the person; "": anonymous
	Digest    string // SHA-256 that the body must have, by the signature, in hexadecimal digits; "": any
	Challenge []string
}

// Anonymous reports whether the caller presented nothing.
func (c Caller) Anonymous() bool { return c.Account == "" }

// Name returns the caller's ARN, or Anonymous.
func (c Caller) Name() string {
	if c.Anonymous() {
		return Anonymous
	}
	return c.ARN(c.Account)
}

// Principal returns the caller as policies know it.
func (c Caller) Principal() policy.Principal {
	if c.Anonymous() {
		return policy.Principal{}
	}
	return policy.Principal{Account: c.Account, ARN: c.Name()}
}

// Identities tells who sends requests to the object store: by Signature Version 4 in the header or in a presigned URL, by Basic
// or by Bearer credentials. Safe for concurrent use. Create with NewIdentities.
type Identities struct {
	account string
	force   atomic.Pointer[inForce]
}

// inForce are credentials, and where keys are found by their IDs.
type inForce struct {
	Credentials
	keys map[string]AccessKey
}

// Key implements sigv4.Keys.
func (f *inForce) Key(id string) (sigv4.Key, bool) {
	k, ok := f.keys[id]
	return k.Key, ok
}

// NewIdentities returns Identities that know nobody of an account, which is 12 digits.
func NewIdentities(account string) *Identities {
	i := &Identities{account: account}
	i.Set(Credentials{})
	return i
}

// Set puts other credentials in force.
func (i *Identities) Set(c Credentials) {
	f := &inForce{Credentials: c, keys: make(map[string]AccessKey, len(c.Keys))}
	for _, k := range c.Keys {
		k.Key.Principal = k.ARN(i.account)
		f.keys[k.ID] = k
	}
	f.Open = c.Open && c.Empty()
	i.force.Store(f)
}

// ErrUnsupported refuses credentials of a kind that the object store does not know.
var ErrUnsupported = errors.New("credentials of this kind are not known here")

// Identify tells who sent a request; the body is not touched. digest is the SHA-256 of the body when it has been read, else "".
// Who presents credentials that are not good is refused, and not taken as anonymous. Errors: those of sigv4,
// auth.ErrUnauthenticated, ErrUnsupported.
func (i *Identities) Identify(r *http.Request, digest string, now time.Time) (Caller, error) {
	f := i.force.Load()
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Basic"):
		return i.basic(f, r)
	case strings.EqualFold(scheme, "Bearer"):
		return i.bearer(f, strings.TrimSpace(rest))
	case scheme != "" && !strings.HasPrefix(scheme, "AWS4-"):
		return Caller{}, fmt.Errorf("%w: sign with AWS4-HMAC-SHA256, or send Basic or Bearer", ErrUnsupported)
	}
	if f.Open && signed(r) {
		return Caller{Person: Person{Admin: true}, Account: i.account}, nil
	}
	id, err := sigv4.Verifier{Keys: f, Services: services}.Verify(r, digest, now)
	if errors.Is(err, sigv4.ErrMissingAuthenticationToken) {
		return Caller{Challenge: f.challenge()}, nil
	}
	if err != nil {
		return Caller{}, err
	}
	return Caller{Person: f.keys[id.KeyID].Person, Account: i.account, Digest: id.Digest}, nil
}

// signed reports whether a request carries a signature, good or not.
func signed(r *http.Request) bool {
	return r.Header.Get("Authorization") != "" || r.URL.Query().Has("X-Amz-Signature")
}

// basic compares with every user, so that the time does not tell which of them is known.
func (i *Identities) basic(f *inForce, r *http.Request) (Caller, error) {
	name, password, _ := r.BasicAuth()
	var found *Person
	for k := range f.Users {
		u := &f.Users[k]
		named, right := auth.MatchAny(name, []string{u.User}), auth.MatchAny(password, []string{u.Password})
		if named && right {
			found = &u.Person
		}
	}
	if found == nil {
		return Caller{}, &auth.RefusedError{Kind: auth.ErrUnauthenticated, Reason: auth.ReasonBadUser, Challenge: f.challenge()}
	}
	return Caller{Person: *found, Account: i.account}, nil
}

func (i *Identities) bearer(f *inForce, token string) (Caller, error) {
	var found *Person
	for k := range f.Tokens {
		if auth.MatchAny(token, []string{f.Tokens[k].Secret}) {
			found = &f.Tokens[k].Person
		}
	}
	if found == nil {
		return Caller{}, &auth.RefusedError{Kind: auth.ErrUnauthenticated, Reason: auth.ReasonBadToken, Challenge: f.challenge()}
	}
	return Caller{Person: *found, Account: i.account}, nil
}

// challenge returns the schemes that could succeed for an encoder that cannot sign. Such a one, ffmpeg for example, sends its
// credentials only after it was asked for them.
func (f *inForce) challenge() (list []string) {
	if len(f.Users) > 0 {
		list = append(list, `Basic realm="`+auth.Realm+`", charset="UTF-8"`)
	}
	if len(f.Tokens) > 0 {
		list = append(list, `Bearer realm="`+auth.Realm+`"`)
	}
	return list
}
