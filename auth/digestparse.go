package auth

import (
	"encoding/hex"
	"strings"
)

// maxDigest is the most bytes of the parameters of a Digest header: a path may have 600 bytes, each written as three.
const maxDigest = 8 << 10

// parseDigest reads the parameters of an Authorization header of the scheme Digest; ok is false when one is missing, stands
// there twice or is not offered. Values may be quoted or not, whatever the RFC asks for: encoders differ.
func parseDigest(s string) (a digest, ok bool) {
	if len(s) > maxDigest {
		return a, false
	}
	params := map[string]string{}
	for s = skip(s); s != ""; s = skip(s) {
		var name, value string
		if name, value, s, ok = cutParam(s); !ok {
			return a, false
		}
		if _, twice := params[name]; twice {
			return a, false
		}
		params[name] = value
	}
	a = digest{username: params["username"], uri: params["uri"], nonce: params["nonce"], cnonce: params["cnonce"], count: params["nc"]}
	name := params["algorithm"]
	if name == "" {
		name = "MD5" // RFC 7616, 3.4
	}
	for _, known := range algorithms {
		if strings.EqualFold(name, known.name) {
			a.hash = known.hash
		}
	}
	var err error
	a.response, err = hex.DecodeString(params["response"])
	ok = err == nil && a.hash != nil && len(a.response) == a.hash().Size() && params["qop"] == "auth" && params["userhash"] != "true" &&
		a.username != "" && a.uri != "" && a.nonce != "" && a.cnonce != "" && isCount(a.count)
	return a, ok
}

// isCount reports whether s is a count of uses: eight hexadecimal digits, from 1.
func isCount(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 4 && s != "00000000"
}

// skip returns s without what may stand before a parameter: spaces and commas.
func skip(s string) string { return strings.TrimLeft(s, " \t,") }

// cutParam reads one parameter (RFC 9110, 11.2), its name in lower case, and returns what follows it.
func cutParam(s string) (name, value, rest string, ok bool) {
	name, s, ok = strings.Cut(s, "=")
	name = strings.ToLower(strings.TrimRight(name, " \t"))
	if !ok || name == "" || strings.ContainsAny(name, " \t,\"") {
		return "", "", "", false
	}
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ", \t")
		if end < 0 {
			end = len(s)
		}
		value, s = s[:end], s[end:]
	} else if value, s, ok = cutQuoted(s[1:]); !ok {
		return "", "", "", false
	}
	rest = strings.TrimLeft(s, " \t")
	return name, value, rest, rest == "" || rest[0] == ','
}

// cutQuoted reads a quoted string (RFC 9110, 5.6.4) whose opening quote was read.
func cutQuoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
