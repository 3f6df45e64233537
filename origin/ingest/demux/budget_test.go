package demux

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

var errBudget = errors.New("no more")

// meter is a Budget of limit bytes.
type meter struct{ used, most, limit int64 }

func (b *meter) Take(n int64) error {
	if b.used+n > b.limit {
		return errBudget
	}
	b.used += n
	b.most = max(b.most, b.used)
	return nil
}

func (b *meter) Give(n int64) { b.used -= n }

func TestReaderHoldsNoMoreThanItsBudget(t *testing.T) {
	scattered := fragmentOf("....abcd..", trafSpec{id: 1, runs: []runSpec{{4, []uint32{1}}, {5, []uint32{3}}}})
	free := boxOf("free", string(make([]byte, 10_000)))
	body := cat(oneAudio(t), bytes.Repeat(cat(scattered, free, simple(9, "next")), 20))
	read := func(limit int64) (*meter, int, error) {
		b := &meter{limit: limit}
		r := NewMP4Reader(bytes.NewReader(body), nil, DefaultLimits)
		r.Charge(b)
		for n := 0; ; n++ {
			if _, err := r.Next(); err != nil {
				return b, n, err
			}
		}
	}
	b, n, err := read(10_000)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 1+2*20, n)
	require.Zero(t, b.used)
	require.Less(t, b.most, int64(len(oneAudio(t))+100), "what is skipped or streamed is not held")

	_, _, err = read(b.most - 1)
	require.ErrorIs(t, err, errBudget)
}
