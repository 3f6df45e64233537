package fs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"headwater/storage"
)

// upload is a temporary file that may become an object.
type upload struct {
	engine *Engine
	key    storage.Key
	attrs  storage.Attrs
	file   *os.File
	temp   string // file name, relative to the root; empty once it has become the object
	size   int64
	err    error // of a failed Write: it cannot be committed any more
	ended  bool
}

// Create begins an object as a file of its own, which nobody else sees before Commit.
func (e *Engine) Create(ctx context.Context, key storage.Key, attrs storage.Attrs) (storage.Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := e.fault("create"); err != nil {
		return nil, classify(err)
	}
	temp := e.newTemp()
	f, err := e.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, classify(err)
	}
	attrs.Meta = maps.Clone(attrs.Meta)
	return &upload{engine: e, key: key, attrs: attrs, file: f, temp: temp}, nil
}

func (u *upload) Write(p []byte) (int, error) {
	if u.ended {
		return 0, fmt.Errorf("%w: upload has ended", storage.ErrClosed)
	}
	if u.err != nil {
		return 0, u.err
	}
	if err := u.engine.fault("write"); err != nil {
		u.err = classify(err)
		return 0, u.err
	}
	n, err := u.file.Write(p)
	u.size += int64(n)
	u.err = classify(err)
	return n, u.err
}

// Follow opens the file once more: it stays the same file when it is renamed or removed.
func (u *upload) Follow() (storage.Growing, error) {
	if u.ended {
		return nil, fmt.Errorf("%w: upload has ended", storage.ErrClosed)
	}
	f, err := u.engine.root.Open(u.temp)
	if err != nil {
		return nil, classify(err)
	}
	return f, nil
}

func (u *upload) Commit(ctx context.Context) (storage.Info, error) {
	if u.ended {
		return storage.Info{}, fmt.Errorf("%w: upload has ended", storage.ErrClosed)
	}
	defer u.Abort() // after success nothing is left for it to do
	if u.err != nil {
		return storage.Info{}, u.err
	}
	if err := ctx.Err(); err != nil {
		return storage.Info{}, err
	}
	defer u.engine.locks.lock(u.key)()
	modified, err := u.engine.commit(ctx, u)
	if err != nil {
		return storage.Info{}, classify(err)
	}
	return storage.Info{Key: u.key, Size: u.size, Modified: modified, Attrs: u.attrs}, nil
}

func (u *upload) Abort() {
	if u.ended {
		return
	}
	u.ended = true
	u.file.Close()
	if u.temp != "" {
		u.engine.root.Remove(u.temp) // what cannot be removed now, the next Open removes
	}
}

// commit makes an upload the object of its key: attributes, then bytes, then the name. It holds the key's lock.
func (e *Engine) commit(ctx context.Context, u *upload) (modified time.Time, err error) {
	name := objectName(u.key)
	old, err := e.candidates(u.key)
	if err != nil {
		return modified, err
	}
	var present time.Time
	if !u.attrs.IsZero() || len(old) > 0 {
		st, err := e.root.Lstat(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return modified, err
		}
		if err == nil {
			present = st.ModTime()
		}
	}
	modified = e.stamp(old, present).UTC()
	if err := e.root.Chtimes(u.temp, modified, modified); err != nil {
		return modified, err
	}
	var attrs *write
	if !u.attrs.IsZero() {
		if attrs, err = e.submitAttrs(ctx, u.key, old, present, newCandidate(modified, u.attrs)); err != nil {
			return modified, err
		}
	}
	err = e.syncFile(u.file) // while the database commits
	if attrs != nil {
		err = errors.Join(err, attrs.wait())
	}
	if err == nil {
		err = u.file.Close()
	}
	if err == nil {
		err = e.install(u.temp, name)
	}
	if err != nil {
		return modified, err
	}
	u.temp = ""
	if u.attrs.IsZero() && len(old) > 0 {
		e.dropAttrs(ctx, u.key)
	}
	return modified, nil
}

func (e *Engine) syncFile(f *os.File) error {
	if e.opts.NoSync {
		return nil
	}
	if err := e.fault("sync"); err != nil {
		return err
	}
	return f.Sync()
}

// install renames temp to name and makes that durable. Should only the last step fail, what was there before comes back,
// so that an error means no change.
func (e *Engine) install(temp, name string) error {
	before, had := "", error(nil)
	if !e.opts.NoSync {
		before = e.newTemp()
		had = e.root.Link(name, before)
		defer e.root.Remove(before)
	}
	if err := e.rename(temp, name); err != nil {
		return err
	}
	dir, _ := splitPath(name)
	err := e.syncDir(e.root, dir)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	switch {
	case had == nil:
		err = errors.Join(err, e.root.Rename(before, name))
	case errors.Is(had, os.ErrNotExist):
		err = errors.Join(err, e.root.Remove(name))
		e.prune(dir)
	}
	return err
}

// rename moves temp to name, making directories if they are missing.
func (e *Engine) rename(temp, name string) error {
	if err := e.fault("rename"); err != nil {
		return err
	}
	e.dirs.RLock()
	err := e.root.Rename(temp, name)
	e.dirs.RUnlock()
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	e.dirs.Lock()
	defer e.dirs.Unlock()
	dir, _ := splitPath(name)
	if err := e.makeDirs(dir); err != nil {
		return err
	}
	return e.root.Rename(temp, name)
}

// makeDirs makes a directory (its name ends in a slash) below objectsDir and what leads to it durable. The caller holds
// dirs exclusively, so nobody puts an object into a directory whose own name might still be lost. It goes down one step at a
// time, because a Root walks from its top for each call.
func (e *Engine) makeDirs(dir string) error {
	at, err := e.root.OpenRoot(strings.TrimSuffix(objectsDir, "/"))
	if err != nil {
		return err
	}
	defer func() { at.Close() }()
	for name := range strings.SplitSeq(strings.Trim(dir[len(objectsDir):], "/"), "/") {
		if err := e.makeDir(at, name); err != nil {
			return err
		}
		next, err := at.OpenRoot(name)
		if err != nil {
			return err
		}
		at.Close()
		at = next
	}
	return nil
}

// makeDir makes one directory durable unless it is there.
func (e *Engine) makeDir(at *os.Root, name string) error {
	if err := e.fault("mkdir"); err != nil {
		return err
	}
	err := at.Mkdir(name, 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := e.syncDir(at, "."); err != nil {
		return errors.Join(err, at.Remove(name))
	}
	return nil
}

// prune removes dir and the directories above it as far as they are empty, and returns the first that stays.
func (e *Engine) prune(dir string) string {
	e.dirs.Lock()
	defer e.dirs.Unlock()
	for dir != objectsDir && e.root.Remove(strings.TrimSuffix(dir, "/")) == nil {
		dir, _ = splitPath(strings.TrimSuffix(dir, "/"))
	}
	return dir
}

// objectName returns the file name of an object, relative to the root.
func objectName(key storage.Key) string { return objectsDir + key.Container + "/" + fileName(key.Path) }
