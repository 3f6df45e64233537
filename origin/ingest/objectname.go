package ingest

import (
	"cmp"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"headwater/origin/reply"
)

// This file is where the name of an upload stands in its request.

// maxName is the most bytes of a path below an input.
const maxName = 600

// objectName returns the clean path of an upload below its input, of which rest is in the URL. YouTube-style URLs carry it in the
// query; where the URL names a directory, Content-Disposition may have the file (GStreamer's curlhttpsink). Double slashes and a
// leading "./" mean nothing; what would leave the input is refused.
func objectName(rest string, r *http.Request) (string, error) {
	if file := fileParameter(r.URL.RawQuery); file != "" {
		rest = file
	} else if rest == "" || strings.HasSuffix(rest, "/") {
		file, err := attachment(r.Header.Get("Content-Disposition"))
		if err != nil {
			return "", err
		}
		rest += file
	}
	var parts []string
	for part := range strings.SplitSeq(rest, "/") {
		switch {
		case part == "" || part == ".":
		case part == ".." || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
			return "", fmt.Errorf("%w: %q is not a path below the channel", reply.ErrBadRequest, rest)
		default:
			parts = append(parts, part)
		}
	}
	name := strings.Join(parts, "/")
	if len(name) > maxName || !utf8.ValidString(name) {
		return "", fmt.Errorf("%w: the path is longer than %d bytes or not UTF-8", reply.ErrBadRequest, maxName)
	}
	return cmp.Or(name, "main"), nil
}

// attachment returns the name in a Content-Disposition (RFC 6266), "" when it has none or cannot be read: the upload is good
// without. A path is refused, as what it would be relative to is not ours.
func attachment(disposition string) (string, error) {
	if disposition == "" {
		return "", nil
	}
	_, params, err := mime.ParseMediaType(disposition)
	if err != nil {
		return "", nil //nolint:nilerr // see above
	}
	name := params["filename"]
	if strings.ContainsAny(name, "/\\") || strings.Trim(name, ".") == "" && name != "" {
		return "", fmt.Errorf("%w: Content-Disposition: %q is not the name of a file", reply.ErrBadRequest, name)
	}
	return name, nil
}
