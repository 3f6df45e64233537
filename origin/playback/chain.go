package playback

import (
	"errors"
	"io"

	"headwater/storage"
)

// chain reads several stored segments end to end as one.
type chain struct {
	objects []*storage.Object
	starts  []int64 // of each object, and the whole size at the end
	at      int64
}

func newChain(objects []*storage.Object) *chain {
	c := &chain{objects: objects, starts: []int64{0}}
	for i, o := range objects {
		c.starts = append(c.starts, c.starts[i]+o.Size)
	}
	return c
}

// Read implements io.Reader.
func (c *chain) Read(p []byte) (int, error) {
	for i, o := range c.objects {
		if c.at < c.starts[i+1] {
			p = p[:min(int64(len(p)), c.starts[i+1]-c.at)]
			n, err := o.Body.ReadAt(p, c.at-c.starts[i])
			c.at += int64(n)
			if n == len(p) && errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
	}
	return 0, io.EOF
}

// Seek implements io.Seeker.
func (c *chain) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.starts[len(c.starts)-1]
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	c.at = offset
	return offset, nil
}
