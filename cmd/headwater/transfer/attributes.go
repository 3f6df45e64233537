package transfer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
)

// maxLine bounds a line of the file of attributes: a path and three headers.
const maxLine = 64 << 10

// line is a line of AttributesFile (docs/formats/transfer-attributes.md).
type line struct {
	Path string `json:"path"`
	Attrs
}

// attributes keep what a folder's files cannot, in AttributesFile: a line is added with each file that is written, before the
// file gets its name, and the last line of a path counts. So whatever ends a copy, no file that is there lacks them.
type attributes struct {
	root *os.Root
	mu   sync.Mutex // held while a line is written, so that lines stay whole
	last map[string]Attrs
	file *os.File // nil until the first line
	size int64    // bytes of whole lines
}

func openAttributes(root *os.Root) (*attributes, error) {
	a := &attributes{root: root, last: map[string]Attrs{}}
	file, err := root.Open(AttributesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if a.last, a.size, err = readAttributes(file); err != nil {
		return nil, fmt.Errorf("%s: %w", AttributesFile, err)
	}
	return a, nil
}

// readAttributes reads lines and returns how many bytes they have. A last one without an end is what a copy that was killed
// leaves, and is left out.
func readAttributes(r io.Reader) (all map[string]Attrs, size int64, err error) {
	all = map[string]Attrs{}
	in := bufio.NewReaderSize(r, maxLine)
	for number := 1; ; number++ {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return all, size, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", number, err)
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", number, err)
		}
		all[l.Path] = l.Attrs
		size += int64(len(text))
	}
}

// of returns what to send with a file: what was kept, else a type by its name.
func (a *attributes) of(name string) Attrs {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.last[name]; ok {
		return known
	}
	return Attrs{ContentType: typeOf(name)}
}

// put keeps the attributes of a file that is about to be.
func (a *attributes) put(name string, attrs Attrs) error {
	text, err := json.Marshal(line{name, attrs})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.last[name]; ok && known == attrs {
		return nil
	}
	if a.file == nil {
		if a.file, err = a.root.OpenFile(AttributesFile, os.O_CREATE|os.O_WRONLY, 0o644); err != nil {
			return err
		}
		if err := a.file.Truncate(a.size); err != nil { // a last line without an end
			return err
		}
	}
	n, err := a.file.WriteAt(append(text, '\n'), a.size)
	if err != nil {
		return err
	}
	a.size += int64(n)
	a.last[name] = attrs
	return nil
}

func (a *attributes) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}

// typeOf returns the media type of a file by its extension, "" where it says none. It is a table of our own, since a machine's
// would differ from the next one's.
func typeOf(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".m3u8":
		return "application/vnd.apple.mpegurl"
	case ".mpd":
		return "application/dash+xml"
	case ".ts":
		return "video/mp2t"
	case ".mp4", ".m4v", ".m4s", ".cmfv":
		return "video/mp4"
	case ".m4a", ".cmfa":
		return "audio/mp4"
	case ".aac":
		return "audio/aac"
	case ".mp3":
		return "audio/mpeg"
	case ".vtt":
		return "text/vtt"
	case ".cmft":
		return "application/mp4"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	case ".json":
		return "application/json"
	case ".xml":
		return "application/xml"
	case ".html":
		return "text/html"
	case ".js":
		return "text/javascript"
	case ".css":
		return "text/css"
	case ".txt":
		return "text/plain"
	}
	return ""
}
