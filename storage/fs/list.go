package fs

import (
	"context"
	"errors"
	"iter"
	"os"
	"slices"
	"strings"

	"headwater/storage"
)

// List walks the directories that can hold what is asked for, each read once and sorted.
func (e *Engine) List(ctx context.Context, container, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		l := &lister{engine: e, ctx: ctx, container: container, prefix: prefix, after: after, yield: yield}
		base, _ := splitPath(prefix)
		l.walk(objectsDir+container+"/"+dirName(base), base)
	}
}

// lister is one iteration of List.
type lister struct {
	engine                   *Engine
	ctx                      context.Context
	container, prefix, after string
	yield                    func(storage.Info, error) bool
}

// entry is an object or a directory of objects.
type entry struct {
	path string // of the object; of a directory with the trailing slash
	file string // name relative to the root; of a directory with the trailing slash
}

// walk yields the objects in the directory file, whose paths begin with base. It returns false when the iteration is over.
func (l *lister) walk(file, base string) bool {
	entries, err := l.read(nil, file, base)
	if err != nil {
		l.yield(storage.Info{}, classify(err))
		return false
	}
	// A directory sorts as its path with the slash, which is where its objects belong among the others.
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	for _, en := range entries {
		if strings.HasSuffix(en.path, "/") {
			if !l.walk(en.file, en.path) {
				return false
			}
			continue
		}
		info, err := l.engine.statName(l.ctx, storage.Key{Container: l.container, Path: en.path}, en.file)
		if errors.Is(err, storage.ErrNotFound) {
			continue // deleted since the directory was read
		}
		if !l.yield(info, err) || err != nil {
			return false
		}
	}
	return true
}

// read appends what the directory file holds and can be asked for. Long elements lie in directories of pieces, which are
// read as part of the directory above.
func (l *lister) read(entries []entry, file, base string) ([]entry, error) {
	if err := l.ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := l.engine.root.Open(strings.TrimSuffix(file, "/"))
	if errors.Is(err, os.ErrNotExist) {
		return entries, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		raw, mark, ok := parseName(name)
		if !ok {
			continue
		}
		en := entry{path: base + raw, file: file + name}
		switch {
		case mark == pieceMark && l.within(en.path):
			if entries, err = l.read(entries, en.file+"/", en.path); err != nil {
				return nil, err
			}
		case mark == dirMark && l.within(en.path+"/"):
			entries = append(entries, entry{path: en.path + "/", file: en.file + "/"})
		case mark == 0 && strings.HasPrefix(en.path, l.prefix) && en.path > l.after:
			entries = append(entries, en)
		}
	}
	return entries, nil
}

// within reports whether a path that begins with start can be asked for.
func (l *lister) within(start string) bool {
	if !strings.HasPrefix(start, l.prefix) && !strings.HasPrefix(l.prefix, start) {
		return false
	}
	return start > l.after || strings.HasPrefix(l.after, start)
}
