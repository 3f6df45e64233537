package sigv4

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// cdnRequestID is the one x-amz- header that need not be signed: CloudFront adds it to what it forwards, and it means
// nothing to us.
const cdnRequestID = "x-amz-cf-id"

// match looks for a form of the request that has the signature, and returns what stood for the body in it. The usual form
// comes first; the others are made only when it is not the one.
func (c *claim) match(secret, method, headers string, payloads []string) (payload string, ok bool) {
	scope := c.day + "/" + c.region + "/" + c.service + "/" + c.terminator
	key := []byte("AWS4" + secret)
	for _, part := range []string{c.day, c.region, c.service, c.terminator} {
		key = sign(key, []byte(part))
	}
	var text []byte
	for _, payload := range payloads {
		for query := range c.queries() {
			for path := range c.paths() {
				text = append(text[:0], method+"\n"+path+"\n"+query+"\n"+headers+"\n"+payload...)
				sum := sha256.Sum256(text)
				text = append(text[:0], algorithm+"\n"+c.stamp+"\n"+scope+"\n"...)
				text = hex.AppendEncode(text, sum[:])
				if hmac.Equal(sign(key, text), c.signature) {
					return payload, true
				}
			}
		}
	}
	return "", false
}

// sign returns the HMAC-SHA256 of text.
func sign(key, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return mac.Sum(nil)
}

// paths yields the forms of the path that clients sign, each once.
//
// A path with "%25" is never taken as signed in single encoding: a signature for "/a%3Db" in double encoding, "/a%253Db",
// would else be one for the path "/a%253Db" as well, which is another resource.
func (c *claim) paths() iter.Seq[string] {
	return func(yield func(string) bool) {
		resolved := escape(resolve(c.path), "/") // botocore, Java, JavaScript v3, Go v1
		if !yield(resolved) {
			return
		}
		double := escape(c.path, "/") // Go v2
		if double != resolved && !yield(double) || strings.Contains(c.path, "%25") {
			return
		}
		if c.path != resolved && c.path != double && !yield(c.path) { // curl
			return
		}
		if single, ok := reescape(c.path); ok && single != resolved && single != double && single != c.path {
			yield(single) // whoever had its path rewritten on the way
		}
	}
}

// resolve returns a path without empty and dot segments, with the slash at its end if it had one.
func resolve(p string) string {
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// reescape decodes the segments of a path and encodes them again; ok is false when they cannot be decoded.
func reescape(p string) (out string, ok bool) {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil {
			return "", false
		}
		segments[i] = escape(plain, "")
	}
	return strings.Join(segments, "/"), true
}

// queries yields the forms of the query that clients sign, each once. What a presigned URL is signed with is not in them.
func (c *claim) queries() iter.Seq[string] {
	return func(yield func(string) bool) {
		var encoded string
		if !c.badQuery {
			encoded = c.join(func(p param) [2]string { return [2]string{escape(p.name, ""), escape(p.value, "")} })
			if !yield(encoded) || len(c.params) == 0 {
				return
			}
		}
		sorted := c.join(func(p param) [2]string { return [2]string{p.rawName, p.rawValue} }) // botocore, on whatever it sends
		if (c.badQuery || sorted != encoded) && !yield(sorted) || c.presigned {
			return
		}
		if c.query != sorted && (c.badQuery || c.query != encoded) {
			yield(c.query) // curl before 8
		}
	}
}

// join writes the parameters, each as pair gives it, in the order of names and then values.
func (c *claim) join(pair func(param) [2]string) string {
	pairs := make([][2]string, 0, len(c.params))
	for _, p := range c.params {
		if !c.presigned || p.name != "X-Amz-Signature" {
			pairs = append(pairs, pair(p))
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	var out strings.Builder
	for i, p := range pairs {
		if i > 0 {
			out.WriteByte('&')
		}
		out.WriteString(p[0] + "=" + p[1])
	}
	return out.String()
}

// isUnreserved reports whether a byte is never percent-encoded (RFC 3986, 2.3).
func isUnreserved(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '.' || b == '_' || b == '~'
}

// escape percent-encodes all but the unreserved bytes and those of keep.
func escape(s, keep string) string {
	const digits = "0123456789ABCDEF"
	plain := func(b byte) bool { return isUnreserved(b) || strings.IndexByte(keep, b) >= 0 }
	extra := 0
	for i := range len(s) {
		if !plain(s[i]) {
			extra += 2
		}
	}
	if extra == 0 {
		return s
	}
	out := make([]byte, 0, len(s)+extra)
	for i := range len(s) {
		if b := s[i]; plain(b) {
			out = append(out, b)
		} else {
			out = append(out, '%', digits[b>>4], digits[b&15])
		}
	}
	return string(out)
}

// canonicalHeaders returns the lines of the signed headers and their names, as they stand in a canonical request.
func canonicalHeaders(r *http.Request, signed []string) (string, error) {
	if !slices.Contains(signed, "host") {
		return "", refuse(ErrInvalidSignature, ReasonNotSigned, "host")
	}
	for name := range r.Header {
		if len(name) < len("x-amz-") || !strings.EqualFold(name[:len("x-amz-")], "x-amz-") {
			continue
		}
		if name = strings.ToLower(name); name != cdnRequestID && !slices.Contains(signed, name) {
			return "", refuse(ErrInvalidSignature, ReasonNotSigned, name)
		}
	}
	var out strings.Builder
	out.Grow(512) // most fit
	for _, name := range signed {
		values := valuesOf(r, name)
		if len(values) == 0 {
			return "", refuse(ErrInvalidSignature, ReasonHeaderMissing, name)
		}
		out.WriteString(name)
		for i, v := range values {
			out.WriteByte(":,"[min(i, 1)])
			out.WriteString(collapse(v))
		}
		out.WriteByte('\n')
		if out.Len() > maxHeaders {
			return "", refuse(ErrIncompleteSignature, ReasonTooLong, "signed headers")
		}
	}
	out.WriteByte('\n')
	for i, name := range signed {
		if i > 0 {
			out.WriteByte(';')
		}
		out.WriteString(name)
	}
	return out.String(), nil
}

// valuesOf returns the values of a header, of those as well that net/http keeps elsewhere.
func valuesOf(r *http.Request, name string) []string {
	if values := r.Header[http.CanonicalHeaderKey(name)]; len(values) > 0 && name != "host" {
		return values
	}
	switch name {
	case "host":
		return []string{r.Host}
	case "content-length":
		if r.ContentLength >= 0 {
			return []string{strconv.FormatInt(r.ContentLength, 10)}
		}
	case "transfer-encoding":
		return r.TransferEncoding
	}
	return nil
}

// collapse returns the value of a header without spaces around it and with single spaces in it.
func collapse(v string) string {
	v = strings.Trim(v, " \t")
	if !strings.Contains(v, "  ") {
		return v
	}
	out := make([]byte, 0, len(v))
	for i := range len(v) {
		if v[i] != ' ' || v[i-1] != ' ' {
			out = append(out, v[i])
		}
	}
	return string(out)
}

// hasBody reports whether a request that a server received has a body.
func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}
