package fs

import (
	"context"
	"errors"
	"os"

	"headwater/storage"
)

// Open opens an object's file. The Body is an *os.File.
func (e *Engine) Open(ctx context.Context, key storage.Key) (*storage.Object, error) {
	name := objectName(key)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		dropped := e.dropped.Load()
		if err := e.fault("open"); err != nil {
			return nil, classify(err)
		}
		f, err := e.openFile(name)
		if err != nil {
			return nil, classifyRead(err)
		}
		st, err := f.Stat()
		var info storage.Info
		again := false
		if err == nil {
			info, again, err = e.describe(key, st, dropped)
		}
		if err == nil && !again {
			return &storage.Object{Info: info, Body: f}, nil
		}
		f.Close()
		if err != nil {
			return nil, classifyRead(err)
		}
	}
}

// Stat describes an object.
func (e *Engine) Stat(ctx context.Context, key storage.Key) (storage.Info, error) {
	return e.statName(ctx, key, objectName(key))
}

func (e *Engine) statName(ctx context.Context, key storage.Key, name string) (storage.Info, error) {
	for {
		if err := ctx.Err(); err != nil {
			return storage.Info{}, err
		}
		dropped := e.dropped.Load()
		st, err := e.root.Lstat(name)
		if err != nil {
			return storage.Info{}, classifyRead(err)
		}
		info, again, err := e.describe(key, st, dropped)
		if err != nil {
			return storage.Info{}, classifyRead(err)
		}
		if !again {
			return info, nil
		}
	}
}

// describe makes the Info of a file that was found after dropped was read. again is true when the file may have been
// replaced and its attributes dropped in the meantime, so that both must be looked up afresh.
func (e *Engine) describe(key storage.Key, st os.FileInfo, dropped uint64) (info storage.Info, again bool, err error) {
	if !st.Mode().IsRegular() {
		return info, false, os.ErrNotExist
	}
	attrs, ok, err := e.attrsOf(key, st.ModTime())
	if err != nil {
		return info, false, err
	}
	info = storage.Info{Key: key, Size: st.Size(), Modified: st.ModTime().UTC(), Attrs: attrs}
	return info, !ok && e.dropped.Load() != dropped, nil
}

// Delete removes an object and the directories that this leaves empty.
func (e *Engine) Delete(ctx context.Context, key storage.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer e.locks.lock(key)()
	return e.remove(ctx, key)
}

// DeleteVersion is Delete unless the object was replaced. A version that replaces another has a later time (see stamp), and
// nothing is put in place without the key's lock.
func (e *Engine) DeleteVersion(ctx context.Context, info storage.Info) error {
	defer e.locks.lock(info.Key)()
	now, err := e.Stat(ctx, info.Key)
	if err != nil {
		return err
	}
	if !now.Modified.Equal(info.Modified) || now.Attrs.ETag != info.Attrs.ETag {
		return storage.ErrNotFound
	}
	return e.remove(ctx, info.Key)
}

// remove does what Delete does. The caller holds the key's lock.
func (e *Engine) remove(ctx context.Context, key storage.Key) error {
	name := objectName(key)
	list, err := e.candidates(key)
	if err != nil {
		return classify(err)
	}
	if err := e.fault("remove"); err != nil {
		return classify(err)
	}
	err = e.root.Remove(name)
	if len(list) > 0 && (err == nil || errors.Is(err, os.ErrNotExist)) {
		e.dropAttrs(ctx, key)
	}
	if err != nil {
		return classifyRead(err)
	}
	dir, _ := splitPath(name)
	if err := e.syncDir(e.root, e.prune(dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return classify(err)
	}
	return nil
}
