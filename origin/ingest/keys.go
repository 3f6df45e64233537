package ingest

import (
	"path"
	"strconv"
	"strings"

	"headwater/origin/channel"
	"headwater/storage"
)

// MediaContainer is the storage container that holds the media of all channels.
const MediaContainer = "live"

const segmentExt = ".cmfs"

// SegmentPrefix returns the path with which the keys of a track's stored segments begin. In the order of their keys they
// are in the order of time while all starts have as many digits.
func SegmentPrefix(id channel.ID, track string) string {
	return id.Group + "/" + id.Name + "/" + track + "/"
}

// SegmentKey returns the key of a stored segment: part of the persisted format (docs/formats/journal.md).
func SegmentKey(id channel.ID, track string, start int64) storage.Key {
	return storage.Key{Container: MediaContainer, Path: SegmentPrefix(id, track) + strconv.FormatInt(start, 10) + segmentExt}
}

// SegmentStart returns the start that a SegmentKey names; ok is false for other keys.
func SegmentStart(key storage.Key) (start int64, ok bool) {
	name, found := strings.CutSuffix(path.Base(key.Path), segmentExt)
	start, err := strconv.ParseInt(name, 10, 64)
	return start, found && err == nil
}
