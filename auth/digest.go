package auth

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // RFC 7616 has it, and it is all that many encoders know
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Reasons that Digest.Check gives beyond those of Credentials.Check.
const (
	ReasonBadDigest = "digest_malformed"
	ReasonDigestURI = "digest_uri_wrong"
	ReasonStale     = "digest_nonce_stale"
)

// NonceLifetime is how long a nonce can be used on any connection. What was overheard on a connection without TLS can be
// sent again for so long: counts of its uses are not kept, since encoders use one on many connections at once.
const NonceLifetime = time.Hour

// algorithms are those offered, best first (RFC 7616, 3.7). MD5 stands last because ffmpeg obeys the last challenge that it
// reads and knows nothing else; curl obeys the first.
var algorithms = [...]struct {
	name string
	hash func() hash.Hash
}{{"SHA-256", sha256.New}, {"MD5", md5.New}}

// Digest makes and checks the challenges of Digest authentication (RFC 7616, qop "auth"). It keeps nothing of clients: a
// nonce is the time at which it was made, signed with a key that lasts as long as the Digest. Create with NewDigest.
type Digest struct{ key [sha256.Size]byte }

// NewDigest returns a Digest with a random key.
func NewDigest() *Digest {
	d := &Digest{}
	_, _ = rand.Read(d.key[:]) // never fails (crypto/rand)
	return d
}

// Check is Credentials.Check with Digest beside Basic and Bearer for the users of c. now decides about the age of nonces:
// of a request that is checked again while it lasts, it is when that began.
func (d *Digest) Check(c Credentials, r *http.Request, now time.Time) Decision {
	if len(c.Users) == 0 {
		return c.Check(r)
	}
	scheme, params, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	var out Decision
	if strings.EqualFold(scheme, "Digest") {
		out = d.check(c, r, params, now)
	} else {
		out = c.Check(r)
	}
	if out.Allowed {
		return out
	}
	offer := make([]string, 0, len(algorithms)+len(out.challenge))
	for _, a := range algorithms {
		challenge := fmt.Sprintf(`Digest realm="%s", qop="auth", algorithm=%s, nonce="%s"`, Realm, a.name, d.nonce(now))
		if out.Reason == ReasonStale {
			challenge += ", stale=true"
		}
		offer = append(offer, challenge)
	}
	out.challenge = append(offer, out.challenge...)
	return out
}

// check decides by the parameters of an Authorization header.
func (d *Digest) check(c Credentials, r *http.Request, params string, now time.Time) Decision {
	a, ok := parseDigest(params)
	switch {
	case !ok:
		return c.challenge(ReasonBadDigest)
	case !a.isFor(r):
		return c.challenge(ReasonDigestURI)
	case !a.right(c.Users, r.Method):
		return c.challenge(ReasonBadUser)
	}
	// From here on the client knows the password: what can be wrong is only the nonce's age, or that it is from before a
	// restart.
	conn, _ := r.Context().Value(connectionKey{}).(*connection)
	switch {
	case d.fresh(a.nonce, now):
		conn.remember(a.nonce)
	case !conn.remembers(a.nonce):
		return c.challenge(ReasonStale)
	}
	return Decision{Allowed: true, Reason: ReasonUser, Principal: a.username}
}

// nonce returns the time in seconds since the epoch, big-endian, and its HMAC, in base64.
func (d *Digest) nonce(now time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	return base64.RawURLEncoding.EncodeToString(d.sign(b))
}

func (d *Digest) sign(stamp []byte) []byte {
	mac := hmac.New(sha256.New, d.key[:])
	mac.Write(stamp)
	return mac.Sum(stamp)
}

// fresh reports whether a nonce is ours and younger than NonceLifetime.
func (d *Digest) fresh(nonce string, now time.Time) bool {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != 8+sha256.Size || !hmac.Equal(b, d.sign(b[:8:8])) {
		return false
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(b)), 0) //nolint:gosec // it was made from an int64
	return now.Sub(made) < NonceLifetime
}

// digest is what a client answers to a challenge (RFC 7616, 3.4).
type digest struct {
	username, uri, nonce, cnonce, count string

	response []byte
	hash     func() hash.Hash
}

// isFor reports whether the answer is for the target of the request, which a client may have written with its host.
func (a *digest) isFor(r *http.Request) bool {
	if a.uri == r.RequestURI {
		return true
	}
	u, err := url.Parse(a.uri)
	return err == nil && u.Host != "" && u.RequestURI() == r.RequestURI
}

// right reports whether the response is that of any user of the name. It compares with every user, so that the time tells
// neither whether the name nor whether the password exists.
func (a *digest) right(users []User, method string) bool {
	name := sha256.Sum256([]byte(a.username))
	target := a.sum(method, a.uri)
	found := 0
	for _, u := range users {
		want := a.sum(a.sum(a.username, Realm, u.Password), a.nonce, a.count, a.cnonce, "auth", target)
		same := subtle.ConstantTimeCompare([]byte(want), []byte(hex.EncodeToString(a.response)))
		some := 1 - subtle.ConstantTimeEq(int32(min(len(u.Password), 1)), 0)
		found |= equal(&name, u.Name) & same & some
	}
	return found == 1
}

// sum returns the hash of parts joined with colons, in hexadecimal digits.
func (a *digest) sum(parts ...string) string {
	h := a.hash()
	_, _ = h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}
