package fs

import (
	"strings"
)

// An object's path becomes file names so that every valid key fits every common file system and two keys never meet:
// bytes outside a small alphabet are escaped as %XX, a directory is marked by a trailing "+" (so object "a" and object
// "a/b" are the files "a" and "a+/b"), and an element whose escaped form is longer than maxPiece is cut into pieces, all
// but the last of them directories marked by a trailing "%". A last piece that would be "." or ".." is escaped too, which
// nothing else of the alphabet is. See docs/formats/storage.md.
const (
	maxPiece   = 250 // bytes of an escaped piece; with its mark it stays below the usual limit of 255
	dirMark    = '+'
	pieceMark  = '%'
	upperHex   = "0123456789ABCDEF"
	nameMarker = "+%" // never the last byte of an object's file name
	escapedDot = "%2E"
)

// plain reports whether a byte of an element is written as it is.
func plain(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("._-~=:,@()!", c) >= 0
}

// fileName returns the slash-separated file name of an object, relative to its container's directory.
func fileName(path string) string {
	dir, last := splitPath(path)
	var b strings.Builder
	b.Grow(len(path) + 16)
	writeDir(&b, dir)
	writeElement(&b, last)
	return b.String()
}

// dirName returns the file name of the directory that holds the objects whose path begins with dir, which is empty or
// ends in a slash. The result is empty or ends in a slash.
func dirName(dir string) string {
	var b strings.Builder
	writeDir(&b, dir)
	return b.String()
}

// splitPath cuts a path after its last slash.
func splitPath(path string) (dir, last string) {
	i := strings.LastIndexByte(path, '/') + 1
	return path[:i], path[i:]
}

func writeDir(b *strings.Builder, dir string) {
	for dir != "" {
		i := strings.IndexByte(dir, '/')
		writeElement(b, dir[:i])
		b.WriteByte(dirMark)
		b.WriteByte('/')
		dir = dir[i+1:]
	}
}

// writeElement writes an element escaped, and in pieces if it must be.
func writeElement(b *strings.Builder, element string) {
	piece := 0
	for i := range len(element) {
		c, size := element[i], 1
		if !plain(c) {
			size = 3
		}
		if piece+size > maxPiece {
			b.WriteByte(pieceMark)
			b.WriteByte('/')
			piece = 0
			if rest := element[i:]; rest == "." || rest == ".." {
				b.WriteString(strings.ReplaceAll(rest, ".", escapedDot))
				return
			}
		}
		piece += size
		if size == 1 {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
}

// parseName is the inverse for one name found in a directory: the bytes it stands for and its mark (0, dirMark or
// pieceMark). ok is false for a name that this package would not have written.
func parseName(name string) (raw string, mark byte, ok bool) {
	if n := len(name); n > 0 && strings.IndexByte(nameMarker, name[n-1]) >= 0 {
		name, mark = name[:n-1], name[n-1]
	}
	if name == "" || name == "." || name == ".." || len(name) > maxPiece {
		return "", 0, false
	}
	if name == escapedDot || name == escapedDot+escapedDot {
		return strings.ReplaceAll(name, escapedDot, "."), mark, mark != pieceMark
	}
	var b strings.Builder
	b.Grow(len(name))
	for i := 0; i < len(name); i++ {
		c := name[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		if c != '%' || i+2 >= len(name) {
			return "", 0, false
		}
		hi, lo := strings.IndexByte(upperHex, name[i+1]), strings.IndexByte(upperHex, name[i+2])
		if hi < 0 || lo < 0 || plain(byte(hi<<4|lo)) {
			return "", 0, false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), mark, true
}
