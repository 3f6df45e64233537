package storage

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of what can be kept. The path limit and the container's alphabet are MediaStore's (reference: mediastore, path
// and name rules); '-' in container names is allowed beside it.
const (
	maxContainer = 255     // bytes of a container's name
	maxPath      = 900     // bytes of a path
	maxAttr      = 1 << 10 // bytes of ContentType, CacheControl and ETag each
	maxMeta      = 2 << 10 // bytes of all names and values of Attrs.Meta together
)

// ErrInvalidAttrs says that attributes are too long or are not UTF-8.
var ErrInvalidAttrs = errors.New("invalid attributes")

// Validate returns an error that wraps ErrInvalidKey and names the rule, unless the key can name an object: a container
// of 1 to 255 of [A-Za-z0-9_-] and a path as ValidatePath wants it.
func (k Key) Validate() error {
	if err := ValidateContainer(k.Container); err != nil {
		return err
	}
	return ValidatePath(k.Path)
}

// ValidateContainer returns an error that wraps ErrInvalidKey unless name is 1 to 255 of [A-Za-z0-9_-].
func ValidateContainer(name string) error {
	if name == "" || len(name) > maxContainer {
		return fmt.Errorf("%w: container name of %d bytes, want 1 to %d", ErrInvalidKey, len(name), maxContainer)
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return fmt.Errorf("%w: container name holds %q", ErrInvalidKey, c)
		}
	}
	return nil
}

// ValidatePath returns an error that wraps ErrInvalidKey unless path is 1 to 900 bytes of UTF-8 without control
// characters of ASCII, made of elements separated by single slashes, none of them empty, "." or "..".
func ValidatePath(path string) error {
	if path == "" || len(path) > maxPath {
		return fmt.Errorf("%w: path of %d bytes, want 1 to %d", ErrInvalidKey, len(path), maxPath)
	}
	if !utf8.ValidString(path) {
		return fmt.Errorf("%w: path is not UTF-8", ErrInvalidKey)
	}
	for i := range len(path) {
		if path[i] < 0x20 || path[i] == 0x7f {
			return fmt.Errorf("%w: path holds the control byte %#02x", ErrInvalidKey, path[i])
		}
	}
	for element := range strings.SplitSeq(path, "/") {
		if element == "" || element == "." || element == ".." {
			return fmt.Errorf("%w: path has the element %q", ErrInvalidKey, element)
		}
	}
	return nil
}

// IsZero reports whether nothing is to be remembered beside the bytes.
func (a Attrs) IsZero() bool {
	return a.ContentType == "" && a.CacheControl == "" && a.ETag == "" && len(a.Meta) == 0
}

// validate returns an error that wraps ErrInvalidAttrs when a limit is exceeded or a string is not UTF-8.
func (a Attrs) validate() error {
	for _, s := range []string{a.ContentType, a.CacheControl, a.ETag} {
		if len(s) > maxAttr || !utf8.ValidString(s) {
			return fmt.Errorf("%w: want UTF-8 of at most %d bytes", ErrInvalidAttrs, maxAttr)
		}
	}
	total := 0
	for name, value := range a.Meta {
		total += len(name) + len(value)
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return fmt.Errorf("%w: meta is not UTF-8", ErrInvalidAttrs)
		}
	}
	if total > maxMeta {
		return fmt.Errorf("%w: meta of %d bytes, want at most %d", ErrInvalidAttrs, total, maxMeta)
	}
	return nil
}
