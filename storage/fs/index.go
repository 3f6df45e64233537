package fs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"go.etcd.io/bbolt"

	"headwater/storage"
)

// How many entries are read from the database at once: no transaction is held while files are looked at. The first time it is
// one, for who wants no more, as a list of folders does of each; then ever more.
const (
	indexFirst = 1
	indexBatch = 256
)

// indexed is an entry of the bucket of attributes.
type indexed struct {
	path       string
	candidates []candidate
}

// Attributed goes along the bucket of attributes, which is in order of container and path, and looks at each file. An entry
// whose file is gone or has none of its candidates is of no object.
func (e *Engine) Attributed(ctx context.Context, container, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		for size := indexFirst; ; size = min(4*size, indexBatch) {
			batch, err := e.entries(ctx, container, prefix, after, size)
			if err != nil {
				yield(storage.Info{}, classify(err))
				return
			}
			for _, entry := range batch {
				info, err := e.indexed(ctx, storage.Key{Container: container, Path: entry.path}, entry.candidates)
				if errors.Is(err, storage.ErrNotFound) {
					continue
				}
				if !yield(info, err) || err != nil {
					return
				}
			}
			if len(batch) < size {
				return
			}
			after = batch[len(batch)-1].path
		}
	}
}

// entries returns the next size entries whose path begins with prefix and is greater than after.
func (e *Engine) entries(ctx context.Context, container, prefix, after string, size int) (batch []indexed, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	base := []byte(container + "/")
	err = e.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(bucketAttrs)).Cursor()
		for k, v := c.Seek(append(bytes.Clone(base), max(prefix, after)...)); k != nil && len(batch) < size; k, v = c.Next() {
			if !bytes.HasPrefix(k, base) {
				break
			}
			path := string(k[len(base):])
			if !strings.HasPrefix(path, prefix) {
				if path > prefix {
					break
				}
				continue
			}
			if path <= after {
				continue
			}
			entry := indexed{path: path}
			if err := json.Unmarshal(v, &entry.candidates); err != nil {
				return fmt.Errorf("decode attributes: %w", err)
			}
			batch = append(batch, entry)
		}
		return nil
	})
	return batch, err
}

// indexed describes the object of an entry; storage.ErrNotFound when there is none with attributes.
func (e *Engine) indexed(ctx context.Context, key storage.Key, list []candidate) (storage.Info, error) {
	st, err := e.root.Lstat(objectName(key))
	if err != nil {
		return storage.Info{}, classifyRead(err)
	}
	for _, c := range list {
		if st.Mode().IsRegular() && c.Modified == st.ModTime().UnixNano() {
			return storage.Info{Key: key, Size: st.Size(), Modified: st.ModTime().UTC(), Attrs: c.attrs()}, nil
		}
	}
	info, err := e.Stat(ctx, key) // it was replaced since the entry was read
	if err == nil && info.Attrs.IsZero() {
		err = storage.ErrNotFound
	}
	return info, err
}
