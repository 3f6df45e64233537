package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"sync"
)

// AttributesFile is in the root of a folder and says what files cannot: see attributes.go.
const AttributesFile = ".headwater-attributes.jsonl"

// partial begins the names of files that are not complete.
const partial = ".headwater-partial-"

// Folder is a folder of this machine.
type Folder struct {
	root  *os.Root
	attrs *attributes
	next  struct {
		sync.Mutex
		number int // of the next partial file
	}
}

// OpenFolder opens a folder; create says whether to make it where there is none. What it holds of attributes is read.
func OpenFolder(dir string, create bool) (*Folder, error) {
	if create {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	attrs, err := openAttributes(root)
	if err != nil {
		root.Close()
		return nil, err
	}
	return &Folder{root: root, attrs: attrs}, nil
}

// Close ends the use of the folder.
func (f *Folder) Close() error { return errors.Join(f.attrs.close(), f.root.Close()) }

// Check is part of Place.
func (f *Folder) Check(name string) error {
	if !fs.ValidPath(name) {
		return errors.New("it is no path of a file")
	}
	if own(name) {
		return errors.New("the name is kept for the copy's own files")
	}
	return nil
}

// own reports whether a file is none that was copied, or is to be.
func own(name string) bool {
	return name == AttributesFile || strings.HasPrefix(path.Base(name), partial)
}

// List is part of Place. Links are not followed, since they may lead out of the folder.
func (f *Folder) List(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		_ = fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return fs.SkipAll
			}
			if err == nil && (d.IsDir() || own(name)) {
				return nil
			}
			var info fs.FileInfo
			if err == nil {
				info, err = d.Info()
			}
			if err == nil && !info.Mode().IsRegular() {
				err = errors.New("it is not a regular file")
			}
			e := Entry{Path: name}
			if err == nil {
				e.Size, e.Modified = info.Size(), info.ModTime()
			}
			if !yield(e, err) {
				return fs.SkipAll
			}
			return nil
		})
	}
}

// Stat is part of Place.
func (f *Folder) Stat(_ context.Context, name string) (Entry, error) {
	info, err := f.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, ErrNotFound
	}
	if err != nil {
		return Entry{}, err
	}
	if !info.Mode().IsRegular() {
		return Entry{}, errors.New("there is something that is not a regular file")
	}
	return Entry{Path: name, Size: info.Size(), Modified: info.ModTime()}, nil
}

// Open is part of Place.
func (f *Folder) Open(_ context.Context, name string) (*Object, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Object{Entry{name, info.Size(), info.ModTime()}, f.attrs.of(name), file}, nil
}

// Write is part of Place. The file gets the object's time, so that it is known again.
func (f *Folder) Write(_ context.Context, o *Object) error {
	dir := path.Dir(o.Path)
	if err := f.root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f.next.Lock()
	f.next.number++
	temp := path.Join(dir, fmt.Sprintf("%s%d-%d", partial, os.Getpid(), f.next.number))
	f.next.Unlock()
	file, err := f.root.Create(temp)
	if err != nil {
		return err
	}
	defer f.root.Remove(temp) // after the rename there is none
	_, err = io.Copy(file, o.Body)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := f.root.Chtimes(temp, o.Modified, o.Modified); err != nil {
		return err
	}
	if err := f.attrs.put(o.Path, o.Attrs); err != nil {
		return err
	}
	return f.root.Rename(temp, o.Path)
}
