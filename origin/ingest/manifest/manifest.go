// Package manifest reads the playlists and MPDs that encoders upload beside their media, for what the media does not say:
// which file belongs to which track, in what group and language, and at what wall-clock time.
//
// What they claim of timing is advice only (reference ingest.md section 1, rule 20). The package does not fetch, store or
// decompress anything, and resolves no name to a key: names are as they stand in the manifest, relative to it.
package manifest

import (
	"errors"
	"net/url"
	"path"
	"strings"
)

// MaxSize is the largest manifest that is parsed, bytes.
const MaxSize = 8 << 20

// Errors that a caller can match.
var (
	ErrMalformed = errors.New("malformed manifest")     // HTTP 400
	ErrTooLarge  = errors.New("manifest exceeds limit") // HTTP 413
)

// Kinds of tracks as manifests call them (DASH @contentType).
const (
	Video = "video"
	Audio = "audio"
	Text  = "text"
)

// Base returns the directory that name lies in, counted from the manifest: "hi/" of "hi/index.m3u8". It is "" for a name
// beside the manifest.
func Base(name string) string { return name[:strings.LastIndexByte(name, '/')+1] }

// resolve joins a reference to the directory base, both relative to the manifest. A reference with scheme, host or root
// gives "": encoders write the public address of the origin there, which says nothing of the names that they upload.
func resolve(base, ref string) string {
	if ref == "" {
		return ""
	}
	u, err := url.Parse(ref)
	if err != nil {
		return base + ref
	}
	if u.Scheme != "" || u.Host != "" || strings.HasPrefix(ref, "/") {
		return ""
	}
	name := path.Clean("/" + base + ref)[1:]
	if strings.HasSuffix(ref, "/") && name != "" {
		name += "/"
	}
	return name
}
