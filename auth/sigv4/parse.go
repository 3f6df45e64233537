package sigv4

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	dayLayout  = "20060102"
	timeLayout = "20060102T150405Z"
)

// Bounds of what is looked at, far above what clients send: several forms of a request may have to be hashed before it is
// refused.
const (
	maxTarget        = 16 << 10 // bytes: a path of 900 characters, each written as three, and a presigned query with a session token
	maxParams        = 256      // parameters of the query: 50 tag keys are the most that an AWS model has
	maxAuthorization = 8 << 10  // bytes of the Authorization header
	maxSigned        = 64       // headers that are signed
	maxHeaders       = 64 << 10 // bytes of the headers that are signed
)

// claim is a signature and what it says about itself. All but the signature is as the client wrote it.
type claim struct {
	path, query string  // of the request's target, as received
	params      []param // of the query
	badQuery    bool    // the query cannot be decoded

	presigned     bool
	keyID         string
	day           string // of the scope, as are the next three
	region        string
	service       string
	terminator    string
	signedHeaders []string
	signature     []byte
	stamp         string // date of the request in timeLayout
	at            time.Time
	expires       time.Duration // of a presigned URL
	token         string        // "" for none
	payload       string        // x-amz-content-sha256; "" for none
}

// param is a parameter of a query.
type param struct {
	rawName, rawValue string
	name, value       string // decoded
}

// parse reads the claim of a request.
func parse(r *http.Request) (*claim, error) {
	c := &claim{}
	if err := c.parseTarget(r.RequestURI); err != nil {
		return nil, err
	}
	c.presigned = slices.ContainsFunc(c.params, func(p param) bool {
		return p.name == "X-Amz-Algorithm" || p.name == "X-Amz-Credential" || p.name == "X-Amz-Signature"
	})
	given := r.Header["Authorization"]
	switch {
	case len(given) == 0 && !c.presigned:
		return nil, refuse(ErrMissingAuthenticationToken, ReasonUnsigned, "")
	case len(given) > 1:
		return nil, refuse(ErrIncompleteSignature, ReasonTwice, "Authorization")
	case len(given) == 1 && c.presigned:
		return nil, refuse(ErrIncompleteSignature, ReasonTwoSignatures, "")
	case c.presigned:
		return c, c.parsePresigned(r.Header)
	}
	return c, c.parseHeaders(given[0], r.Header)
}

// parseTarget cuts the target of a request, in origin or absolute form (RFC 9112, 3.2), into path and parameters.
func (c *claim) parseTarget(target string) error {
	if len(target) > maxTarget {
		return refuse(ErrIncompleteSignature, ReasonTooLong, "request target")
	}
	c.path, c.query, _ = strings.Cut(target, "?")
	if !strings.HasPrefix(c.path, "/") {
		_, rest, ok := strings.Cut(c.path, "://")
		if !ok {
			return refuse(ErrIncompleteSignature, ReasonTarget, "")
		}
		_, rest, _ = strings.Cut(rest, "/")
		c.path = "/" + rest
	}
	if strings.Count(c.query, "&") >= maxParams {
		return refuse(ErrIncompleteSignature, ReasonTooMany, "query parameters")
	}
	if c.query == "" {
		return nil
	}
	for raw := range strings.SplitSeq(c.query, "&") {
		if raw == "" {
			continue
		}
		p := param{}
		p.rawName, p.rawValue, _ = strings.Cut(raw, "=")
		var err1, err2 error
		p.name, err1 = url.QueryUnescape(p.rawName)
		p.value, err2 = url.QueryUnescape(p.rawValue)
		c.badQuery = c.badQuery || err1 != nil || err2 != nil
		c.params = append(c.params, p)
	}
	return nil
}

// parseHeaders reads a claim from the headers of a request.
func (c *claim) parseHeaders(authorization string, h http.Header) error {
	if len(authorization) > maxAuthorization {
		return refuse(ErrIncompleteSignature, ReasonTooLong, "Authorization")
	}
	scheme, rest, _ := strings.Cut(authorization, " ")
	if scheme != algorithm {
		return refuse(ErrIncompleteSignature, ReasonAlgorithm, "")
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.Trim(part, " \t"), "=")
		if !ok || name != "Credential" && name != "SignedHeaders" && name != "Signature" {
			return refuse(ErrIncompleteSignature, ReasonAuthorization, name)
		}
		if _, twice := parts[name]; twice {
			return refuse(ErrIncompleteSignature, ReasonTwice, name)
		}
		parts[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if parts[name] == "" {
			return refuse(ErrIncompleteSignature, ReasonMissing, name)
		}
	}
	if err := c.set(parts["Credential"], parts["SignedHeaders"], parts["Signature"]); err != nil {
		return err
	}
	date, err := single(h, "X-Amz-Date")
	if err != nil {
		return err
	}
	if date == "" {
		if date, err = single(h, "Date"); err != nil {
			return err
		}
		if at, err := http.ParseTime(date); err == nil {
			date = at.UTC().Format(timeLayout)
		}
	}
	if err := c.setDate(date); err != nil {
		return err
	}
	if c.token, err = single(h, "X-Amz-Security-Token"); err != nil {
		return err
	}
	c.payload, err = single(h, "X-Amz-Content-Sha256")
	return err
}

// parsePresigned reads a claim from the query of a request. The session token and the digest of the body may stand in
// signed headers instead.
func (c *claim) parsePresigned(h http.Header) error {
	parts := map[string]string{}
	for _, p := range c.params {
		switch p.name {
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
			"X-Amz-Security-Token", "X-Amz-Content-Sha256":
			if _, twice := parts[p.name]; twice {
				return refuse(ErrIncompleteSignature, ReasonTwice, p.name)
			}
			parts[p.name] = p.value
		}
	}
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"} {
		if parts[name] == "" {
			return refuse(ErrIncompleteSignature, ReasonMissing, name)
		}
	}
	if parts["X-Amz-Algorithm"] != algorithm {
		return refuse(ErrIncompleteSignature, ReasonAlgorithm, "")
	}
	if err := c.set(parts["X-Amz-Credential"], parts["X-Amz-SignedHeaders"], parts["X-Amz-Signature"]); err != nil {
		return err
	}
	if err := c.setDate(parts["X-Amz-Date"]); err != nil {
		return err
	}
	seconds, err := strconv.ParseUint(parts["X-Amz-Expires"], 10, 32)
	if c.expires = time.Duration(seconds) * time.Second; err != nil || c.expires < time.Second || c.expires > MaxExpires { //nolint:gosec // 32 bits
		return refuse(ErrIncompleteSignature, ReasonExpires, "")
	}
	if c.token, err = either(h, parts, "X-Amz-Security-Token"); err != nil {
		return err
	}
	c.payload, err = either(h, parts, "X-Amz-Content-Sha256")
	return err
}

// either returns what is given in a header or in the query; "" when it is in neither.
func either(h http.Header, query map[string]string, name string) (string, error) {
	value, err := single(h, name)
	if err == nil && value != "" && query[name] != "" {
		err = refuse(ErrIncompleteSignature, ReasonTwice, name)
	}
	return value + query[name], err
}

// single returns the value of a header that may be given once; "" when it is not given.
func single(h http.Header, name string) (string, error) {
	values := h[name]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return strings.Trim(values[0], " \t"), nil
	}
	return "", refuse(ErrIncompleteSignature, ReasonTwice, name)
}

// set reads the three parts that both places of a signature have.
func (c *claim) set(credential, signedHeaders, signature string) error {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || slices.Contains(scope, "") {
		return refuse(ErrIncompleteSignature, ReasonCredential, "")
	}
	c.keyID, c.day, c.region, c.service, c.terminator = scope[0], scope[1], scope[2], scope[3], scope[4]
	if strings.Count(signedHeaders, ";") >= maxSigned {
		return refuse(ErrIncompleteSignature, ReasonTooMany, "signed headers")
	}
	c.signedHeaders = strings.Split(signedHeaders, ";")
	for i, name := range c.signedHeaders {
		if name == "" || strings.ToLower(name) != name || strings.ContainsAny(name, ": \t\r\n") || slices.Contains(c.signedHeaders[:i], name) {
			return refuse(ErrIncompleteSignature, ReasonSignedHeaders, name)
		}
	}
	if !isDigest(signature) {
		return refuse(ErrIncompleteSignature, ReasonSignature, "")
	}
	c.signature, _ = hex.DecodeString(signature)
	return nil
}

// setDate reads the date of the request.
func (c *claim) setDate(date string) (err error) {
	if date == "" {
		return refuse(ErrIncompleteSignature, ReasonDateMissing, "")
	}
	c.stamp = date
	// The length is compared because time.Parse reads fractions of a second that the layout does not have.
	if c.at, err = time.Parse(timeLayout, date); err != nil || len(date) != len(timeLayout) {
		return refuse(ErrIncompleteSignature, ReasonDate, date)
	}
	return nil
}

// isDigest reports whether s is a SHA-256 in lower-case hexadecimal digits.
func isDigest(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// payloads returns what may stand for the body in the canonical request, the usual first. digest is that of the body when
// it is known.
func (c *claim) payloads(digest string) ([]string, error) {
	switch {
	case strings.HasPrefix(c.payload, "STREAMING-"):
		return nil, refuse(ErrUnsupportedPayload, ReasonAWSChunked, c.payload)
	case c.payload == UnsignedPayload || isDigest(c.payload):
		return []string{c.payload}, nil
	case c.payload != "":
		return nil, refuse(ErrIncompleteSignature, ReasonPayload, "")
	}
	var out []string
	if digest != "" {
		out = append(out, digest)
	}
	if c.presigned {
		out = append(out, UnsignedPayload) // as S3 has it
	}
	if c.presigned && digest == "" {
		out = append(out, EmptyDigest) // as boto3 signs an upload whose body it does not have yet
	}
	if len(out) == 0 {
		return nil, refuse(ErrIncompleteSignature, ReasonPayloadMissing, "")
	}
	return out, nil
}
