package policy

import (
	"slices"
	"strings"
)

// Condition keys that this package itself treats, in lower case.
const (
	keySecureTransport = "aws:securetransport"
	keyUserAgent       = "aws:useragent"
	keyReferer         = "aws:referer"
)

// globalKeys are the keys of any service, in lower case (reference/mediastore.md, section 4.2). Those that a request
// here could never carry, such as aws:SourceVpce or aws:PrincipalOrgID, are left out, so that Parse refuses them.
var globalKeys = []string{
	keySecureTransport, keyUserAgent, keyReferer, "aws:sourceip", "aws:sourcearn", "aws:sourceaccount",
	"aws:currenttime", "aws:epochtime", "aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:userid",
	"aws:username", "aws:requestedregion", "aws:viaawsservice", "aws:tagkeys",
}

// tagKeys are what global keys that end in the name of a tag begin with.
var tagKeys = []string{"aws:resourcetag/", "aws:requesttag/"}

// secretKeys are those by which a CDN proves who it is, with a header that it alone knows (reference/mediastore.md,
// section 8.1).
var secretKeys = []string{keyUserAgent, keyReferer}

// knownKey reports whether a key in lower case is a global one, or begins with one of prefixes and has a name after it.
func knownKey(key string, prefixes []string) bool {
	begins := func(prefix string) bool {
		return len(key) > len(prefix) && strings.HasPrefix(key, strings.ToLower(prefix))
	}
	return slices.Contains(globalKeys, key) || slices.ContainsFunc(tagKeys, begins) || slices.ContainsFunc(prefixes, begins)
}
