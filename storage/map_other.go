//go:build !linux

package storage

// Map returns all bytes of the object, and a function to call when they are not used any more. Errors: ErrIO.
func (o *Object) Map() (data []byte, unmap func(), err error) { return o.copied() }
