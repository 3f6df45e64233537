package fs

import (
	"os"
	"strings"
	"sync"
)

// maxHandles bounds the directories that are kept open for reading.
const maxHandles = 256

// handles keeps directories open, so that a read of an object need not open each directory above it. A directory that was
// removed is empty for ever, so an old handle finds nothing and never the wrong thing. Safe for concurrent use.
type handles struct {
	mu   sync.RWMutex
	open map[string]*os.Root // by file name of the directory, with its slash
}

func (h *handles) get(dir string) *os.Root {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.open[dir]
}

// put keeps at for dir, in place of any other. Who reads through a handle that is closed gets an error and goes the long way.
func (h *handles) put(dir string, at *os.Root) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == nil { // closed
		at.Close()
		return
	}
	old := h.open[dir]
	if old == nil && len(h.open) >= maxHandles {
		for name, some := range h.open { // any: those in use come back
			old = some
			delete(h.open, name)
			break
		}
	}
	h.open[dir] = at
	if old != nil {
		old.Close()
	}
}

func (h *handles) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, at := range h.open {
		at.Close()
	}
	h.open = nil
}

// openFile opens an object's file for reading.
func (e *Engine) openFile(name string) (*os.File, error) {
	dir, base := splitPath(name)
	if at := e.handles.get(dir); at != nil {
		if f, err := at.Open(base); err == nil {
			return f, nil
		}
	}
	f, err := e.root.Open(name)
	if err != nil {
		return nil, err
	}
	if at, err := e.root.OpenRoot(strings.TrimSuffix(dir, "/")); err == nil {
		e.handles.put(dir, at)
	}
	return f, nil
}
