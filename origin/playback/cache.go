package playback

import (
	"net/http"
	"strconv"
	"time"
)

// This file is where caching headers are set: the one table of reference mediapackage.md 3d.

// class is what a response is to a cache.
type class uint8

const (
	classManifest  class = iota + 1
	classImmutable       // segments, fragments, init segments
	classPassing         // media as far as it came: the same name has more of it when the rest comes
)

// forever is how long CDNs may keep what never changes: MediaPackage's 14 days, and its longest start-over window.
const forever = 14 * 24 * time.Hour

// passing is how long caches may keep what may be more in a moment: as long as what may exist in a moment (package reply).
const passing = time.Second

// cacheControl returns the Cache-Control of a class; step is the duration of a segment. What is refused is cached for a
// second where it may soon exist (package reply), and else says nothing.
func cacheControl(c class, step time.Duration) string {
	switch c {
	case classManifest:
		return "max-age=" + seconds(max(time.Second, step/2))
	case classPassing:
		return "max-age=" + seconds(passing)
	}
	return "max-age=" + seconds(forever) + ", immutable"
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// setMedia sets what a cache needs to know of media of a class. etag is the value without quotes.
func setMedia(h http.Header, c class, contentType, etag string, modified time.Time) {
	h["Cache-Control"] = []string{cacheControl(c, 0)}
	h["Content-Type"] = []string{contentType}
	h["Etag"] = []string{`"` + etag + `"`}
	if !modified.IsZero() {
		h["Last-Modified"] = []string{modified.UTC().Format(http.TimeFormat)}
	}
}
