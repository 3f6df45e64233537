package ingest

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// This file is what names say by themselves.

// fileKind is what an upload is, by its name or by its bytes.
type fileKind uint8

const (
	fileOther fileKind = iota
	filePlaylist
	fileMPD
	fileTS
	fileMP4
	fileSparse // CMAF of text or of timed metadata, by its name
	fileText   // WebVTT, by its bytes
	filePacked // gzip, by its bytes
)

func kindOf(name string) fileKind {
	if inner, stream := insideStream(name); stream {
		if sparse[strings.ToLower(path.Ext(inner))] {
			return fileSparse
		}
		return fileMP4
	}
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".m3u8", ".m3u":
		return filePlaylist
	case ".mpd":
		return fileMPD
	case ".ts", ".m2ts":
		return fileTS
	case ".mp4", ".m4s", ".m4v", ".m4a", ".cmfv", ".cmfa", ".cmfm", ".init", ".header", ".mp4v", ".mp4a", ".isml", "":
		return fileMP4
	default:
		if sparse[ext] {
			return fileSparse
		}
		return fileOther
	}
}

// sparse are the extensions of CMAF tracks of text (DASH-IF Live Media Ingest, Interface-1), of which nothing is made yet.
var sparse = map[string]bool{".cmft": true}

// isSparse reports whether a name is that of a CMAF track of timed metadata (DASH-IF Live Media Ingest, Interface-1): of forms
// that are not known nothing is made, and nobody is bothered.
func isSparse(name string) bool {
	if inner, stream := insideStream(name); stream {
		name = inner
	}
	return strings.EqualFold(path.Ext(name), ".cmfm")
}

// initStem returns what the name of an init segment shares with its media files: "stream0" of "init-stream0.m4s", ""
// of "init.mp4". ok is false when the name does not say that it is an init segment.
func initStem(name string) (stem string, ok bool) {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	if ext := path.Ext(name); ext == ".init" || ext == ".header" {
		return base, true
	}
	for _, word := range []string{"init", "header"} {
		if s, found := strings.CutPrefix(base, word); found {
			return strings.Trim(s, "-_."), true
		}
		if s, found := strings.CutSuffix(base, word); found {
			return strings.Trim(s, "-_."), true
		}
	}
	return "", false
}

// mediaStem returns the name of a media file without its number, its extension and the words that only say "segment".
func mediaStem(name string) string {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	trimmed := strings.TrimRight(base, digits)
	if sep := strings.TrimRight(trimmed, separators); trimmed == base {
		base = withoutNumber(base)
	} else if sep != trimmed || trimmed == "" {
		base = sep // "chunk-stream0-00001": the number stands apart
	} else {
		base = trimmed
	}
	for _, word := range []string{"chunk-", "chunk_", "segment-", "segment_", "seg-", "seg_"} {
		if s, ok := strings.CutPrefix(base, word); ok && s != "" {
			return s
		}
	}
	return base
}

const (
	digits     = "0123456789"
	separators = "-_."
)

// withoutNumber leaves out of a name its longest run of digits, the last of several, which is where its number must be when
// it does not end with it: "c-x" of "c-00001-x". What has a unit tells variants apart: "video1080p" stays.
func withoutNumber(base string) string {
	from, to := 0, 0
	for i := 0; i < len(base); {
		rest := strings.TrimLeft(base[i:], digits)
		end := len(base) - len(rest)
		if end == i {
			i++
			continue
		}
		unit := rest
		if cut := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) }); cut >= 0 {
			unit = rest[:cut]
		}
		if !units[strings.ToLower(unit)] && end-i >= to-from {
			from, to = i, end
		}
		i = end
	}
	if to == 0 {
		return base
	}
	if left := strings.TrimRight(base[:from], separators); left != "" {
		return left + base[to:]
	}
	return strings.TrimLeft(base[to:], separators)
}

// units follow numbers that are not those of segments.
var units = map[string]bool{"p": true, "i": true, "k": true, "m": true, "kb": true, "mb": true, "kbps": true, "mbps": true,
	"kbit": true, "mbit": true, "bps": true, "fps": true, "hz": true, "khz": true, "ch": true}

// generic stems say nothing about which variant a file belongs to when a directory does.
var genericStems = map[string]bool{"": true, "seg": true, "segment": true, "index": true, "chunk": true, "media": true,
	"stream": true, "fragment": true, "out": true, "main": true, "playlist": true, "init": true}

// dates are the Unix times and the dates, with a time of day or without, that encoders put into names for every segment.
// Other long numbers may be bitrates, which tell variants apart.
var dates = regexp.MustCompile(`(^|[^0-9])(?:1[0-9]{9}|1[0-9]{12}|` +
	`20[0-9]{2}[-_./]?(?:0[1-9]|1[0-2])[-_./]?(?:0[1-9]|[12][0-9]|3[01])(?:[-_.T:/]?[0-9]{2}){0,3})([^0-9]|$)`)

// dateless returns a name without its dates, so that it is the same for all segments of a variant.
func dateless(name string) string {
	for range 2 { // what ends one date may begin the next
		name = dates.ReplaceAllString(name, "${1}#${2}")
	}
	return name
}

// shape returns a name with every number in it alike.
func shape(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch digit := strings.IndexByte(digits, name[i]) >= 0; {
		case !digit:
			b.WriteByte(name[i])
		case i == 0 || strings.IndexByte(digits, name[i-1]) < 0:
			b.WriteByte('#')
		}
	}
	return b.String()
}

// variantOf joins directory and stem to the name under which a file's tracks are known.
func variantOf(dir, stem string) string {
	dir = strings.Trim(strings.TrimPrefix(dir, "."), "/")
	if dir != "" && genericStems[stem] {
		return slug(dir)
	}
	return slug(strings.Trim(dir+"-"+stem, "-"))
}

// slug turns a name into a track ID: letters, digits and '-'.
func slug(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-")
	if len(out) > 48 || strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		// What is left out may be all that tells two names apart.
		sum := fnv.New32a()
		_, _ = sum.Write([]byte(s))
		out = fmt.Sprintf("%s-%08x", strings.Trim(out[:min(len(out), 39)], "-"), sum.Sum32())
	}
	return cmp.Or(strings.Trim(out, "-"), "main")
}

// resolve returns the path that ref, a URI reference (RFC 3986) found in the file at, stands for, decoded. References with
// a scheme or a leading slash are taken by what follows the last element they share with at's directory, as encoders print
// full URLs too.
func resolve(at, ref string) string {
	ref, query, _ := strings.Cut(ref, "?")
	if file := fileParameter(query); file != "" {
		ref = file
	} else if plain, err := url.PathUnescape(ref); err == nil {
		ref = plain
	}
	if _, rest, ok := strings.Cut(ref, "://"); ok {
		if _, p, ok := strings.Cut(rest, "/"); ok {
			ref = "/" + p
		}
	}
	if !strings.HasPrefix(ref, "/") {
		return path.Join(path.Dir(at), ref)
	}
	dir := path.Dir(at)
	if dir == "." {
		return path.Base(ref)
	}
	if i := strings.LastIndex(ref, "/"+dir+"/"); i >= 0 {
		return ref[i+1:]
	}
	return path.Base(ref)
}

// relative returns name as seen from the directory of at; ok is false when it is not below it.
func relative(at, name string) (string, bool) {
	dir := path.Dir(at)
	if dir == "." {
		return name, true
	}
	return strings.CutPrefix(name, dir+"/")
}

// fileParameter returns the name that YouTube-style URLs carry in their query, "" when there is none.
func fileParameter(query string) string {
	if !strings.Contains(query, "file=") {
		return ""
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return values.Get("file")
}
