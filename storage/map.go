package storage

import "fmt"

// copied is Map by reading.
func (o *Object) copied() (data []byte, unmap func(), err error) {
	data = make([]byte, o.Size)
	if n, err := o.Body.ReadAt(data, 0); n < len(data) {
		return nil, nil, fmt.Errorf("%w: read %s: %w", ErrIO, o.Key, err)
	}
	return data, func() {}, nil
}
