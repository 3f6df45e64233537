package storage

import (
	"fmt"
	"os"
	"syscall"
)

// Map returns all bytes of the object, and a function that takes them away again; the Body can be closed before. Of a file
// they are its pages in the system's cache, not a copy: they must not be changed. Where the disk fails, reading them ends
// in a fault: set debug.SetPanicOnFault for the while. Errors: ErrIO.
func (o *Object) Map() (data []byte, unmap func(), err error) {
	f, ok := o.Body.(*os.File)
	if !ok || o.Size == 0 || int64(int(o.Size)) != o.Size {
		return o.copied()
	}
	data, err = syscall.Mmap(int(f.Fd()), 0, int(o.Size), syscall.PROT_READ, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: map %s: %w", ErrIO, o.Key, err)
	}
	return data, func() { _ = syscall.Munmap(data) }, nil
}
