package container

import (
	"fmt"
	"strings"
)

// Bounds of an object's path (reference 1.7).
const (
	MaxFolders = 10  // levels of folders
	maxPath    = 900 // characters, folders and name together
)

// pathRune reports whether a path may have a character, between the slashes: the model's, with = and : of the user guide.
func pathRune(c rune) bool { return c < 0x80 && (isWord(byte(c)) || strings.ContainsRune(".-~=:", c)) }

// CleanPath returns the path of an object as it is stored: of one that is decoded, without slashes at its beginning, and runs
// of slashes as one (reference 1.7). It returns ErrInvalid with the rule that the path breaks.
func CleanPath(path string) (string, error) {
	path = collapse(path)
	if strings.HasSuffix(path, "/") {
		return "", fmt.Errorf("%w: the path of an object does not end in a slash", ErrInvalid)
	}
	if path == "" || len(path) > maxPath {
		return "", fmt.Errorf("%w: a path has 1 to %d characters", ErrInvalid, maxPath)
	}
	if strings.Count(path, "/") > MaxFolders {
		return "", fmt.Errorf("%w: a path has at most %d folders", ErrInvalid, MaxFolders)
	}
	for element := range strings.SplitSeq(path, "/") {
		if element == "." || element == ".." {
			return "", fmt.Errorf("%w: a path has neither . nor .. as a folder or name", ErrInvalid)
		}
		if strings.ContainsFunc(element, func(c rune) bool { return !pathRune(c) }) {
			return "", fmt.Errorf("%w: a path has letters, digits and . _ - ~ = : only", ErrInvalid)
		}
	}
	return path, nil
}

// CleanFolder returns the path of a folder, "" for the container itself.
func CleanFolder(path string) (string, error) {
	if path = strings.TrimSuffix(collapse(path), "/"); path == "" {
		return "", nil
	}
	return CleanPath(path)
}

func collapse(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return strings.TrimPrefix(path, "/")
}
