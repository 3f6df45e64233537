package fs

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"headwater/storage"
)

// Attributes and bytes must change at the same instant although they lie in two places. So the database keeps for a key
// not "its attributes" but candidates, each naming the modification time of the file that it belongs to, and a reader
// takes the candidate that names the time of the file it has opened. A writer gives its temporary file a time later than
// every candidate's and the present file's, makes the list {present, new} durable, and then renames: the rename alone
// decides. An object without attributes has no list, and a list left over by an interrupted change matches no file.
//
// This was preferred to a sidecar file (two renames are not one), to extended attributes (not on every file system and
// lost by many copying tools) and to a header in the file (the body could not be handed to sendfile whole).

// Buckets of the database.
const (
	bucketFormat  = "format"
	bucketAttrs   = "attrs"   // container "/" path -> JSON list of candidate
	bucketJournal = "journal" // stream -> bucket of position (8 bytes, big-endian) -> record
	formatKey     = "version"
)

// candidate is the attributes of one version of an object.
type candidate struct {
	Modified     int64             `json:"modified"` // of the file, ns since 1970 UTC
	ContentType  string            `json:"contentType,omitempty"`
	CacheControl string            `json:"cacheControl,omitempty"`
	ETag         string            `json:"etag,omitempty"`
	Meta         map[string]string `json:"meta,omitempty"`
}

func newCandidate(modified time.Time, a storage.Attrs) candidate {
	return candidate{modified.UnixNano(), a.ContentType, a.CacheControl, a.ETag, a.Meta}
}

func (c candidate) attrs() storage.Attrs {
	return storage.Attrs{ContentType: c.ContentType, CacheControl: c.CacheControl, ETag: c.ETag, Meta: c.Meta}
}

func attrsKey(key storage.Key) []byte { return []byte(key.Container + "/" + key.Path) }

// candidates returns the list kept for key, nil if there is none.
func (e *Engine) candidates(key storage.Key) (list []candidate, err error) {
	err = e.db.View(func(tx *bbolt.Tx) error {
		value := tx.Bucket([]byte(bucketAttrs)).Get(attrsKey(key))
		if value == nil {
			return nil
		}
		if err := json.Unmarshal(value, &list); err != nil {
			return fmt.Errorf("decode attributes: %w", err)
		}
		return nil
	})
	return list, err
}

// attrsOf returns the attributes of the version of key whose file was modified at modified; ok is false when none are
// kept for it.
func (e *Engine) attrsOf(key storage.Key, modified time.Time) (attrs storage.Attrs, ok bool, err error) {
	list, err := e.candidates(key)
	for _, c := range list {
		if c.Modified == modified.UnixNano() {
			return c.attrs(), true, err
		}
	}
	return storage.Attrs{}, false, err
}

// submitAttrs queues the list that lets both the present file (of time present, zero if there is none) and the coming
// one be read. The caller holds the key's lock.
func (e *Engine) submitAttrs(ctx context.Context, key storage.Key, old []candidate, present time.Time, c candidate) (*write, error) {
	var list []candidate
	for _, o := range old {
		if !present.IsZero() && o.Modified == present.UnixNano() {
			list = append(list, o)
		}
	}
	if len(list) < len(old) {
		e.dropped.Add(1)
	}
	value, err := json.Marshal(append(list, c))
	if err != nil {
		return nil, fmt.Errorf("encode attributes: %w", err)
	}
	return e.writes.submit(ctx, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucketAttrs)).Put(attrsKey(key), value)
	}), nil
}

// dropAttrs forgets the list of a key whose file has none any more, without waiting: a list that stays matches no file.
// The caller holds the key's lock, so a later list is queued behind.
func (e *Engine) dropAttrs(ctx context.Context, key storage.Key) {
	e.dropped.Add(1)
	e.writes.submit(context.WithoutCancel(ctx), func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucketAttrs)).Delete(attrsKey(key))
	})
}

// stamp returns the modification time for a new version: now, but later than the present file and every candidate.
func (e *Engine) stamp(list []candidate, present time.Time) time.Time {
	t := e.opts.Now().Truncate(e.tick)
	if !present.IsZero() && !t.After(present) {
		t = present.Truncate(e.tick).Add(e.tick)
	}
	for _, c := range list {
		if u := time.Unix(0, c.Modified); !t.After(u) {
			t = u.Truncate(e.tick).Add(e.tick)
		}
	}
	return t
}
