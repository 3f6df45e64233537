package cmaf_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// segment returns a stored segment of fragments with n samples each, the first presented delay ticks after its decoding.
func segment(tb testing.TB, fragments, n int, delay int32) []byte {
	tb.Helper()
	b := cmaf.AppendSegmentType(nil)
	for k := range fragments {
		f := cmaf.Fragment{Sequence: uint32(k), DecodeTime: int64(1000 * k)}
		for i := range n {
			f.Samples = append(f.Samples, cmaf.Sample{Duration: 10, Size: uint32(50 + i), CompositionOffset: delay, Sync: i == 0})
		}
		var err error
		b, err = cmaf.AppendHeader(b, f, media.Video)
		require.NoError(tb, err)
		for i := range n {
			b = append(b, bytes.Repeat([]byte{byte(k), byte(i)}, 50+i)[:50+i]...)
		}
	}
	return b
}

// agree checks that the index says what the whole segment says.
func agree(t *testing.T, b []byte) {
	whole, err := cmaf.ReadSegment(b)
	index, spans, indexErr := cmaf.ReadIndex(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		require.ErrorIs(t, err, cmaf.ErrMalformed)
		require.ErrorIs(t, indexErr, cmaf.ErrMalformed)
		return
	}
	require.NoError(t, indexErr)
	require.Len(t, spans, len(whole))
	for i := range whole {
		var data []byte
		for j := range whole[i].Samples {
			data = append(data, whole[i].Samples[j].Data...)
			whole[i].Samples[j].Data = nil
		}
		require.Equal(t, string(data), string(b[spans[i].From:spans[i].From+spans[i].Size]))
	}
	require.Len(t, index, len(whole))
	for i := range whole {
		require.Equal(t, whole[i], index[i])
	}
}

func TestTheIndexSaysWhatTheWholeSegmentSays(t *testing.T) {
	one, chunks, long := segment(t, 1, 50, 0), segment(t, 7, 3, 20), segment(t, 2, 1000, 5)
	for name, b := range map[string][]byte{
		"nothing": nil, "one fragment": one, "several fragments": chunks, "headers longer than the first read": long,
		"several segments": append(append(append([]byte(nil), chunks...), one...), long...), "cut short": one[:len(one)-1],
		"cut in a header": one[:30], "no data": one[:24+8+16+8+20+20+20+50*16],
		"two headers in a row": append(append([]byte(nil), one[24:24+92+50*16]...), one[24:]...), "data first": one[24+92+50*16:],
	} {
		t.Run(name, func(t *testing.T) { agree(t, b) })
	}
}

func TestAnIndexThatCannotBeReadSaysWhy(t *testing.T) {
	broken := errors.New("broken disk")
	_, _, err := cmaf.ReadIndex(readerAt{iotest.ErrReader(broken).Read}, 100)
	require.ErrorIs(t, err, broken)
}

type readerAt struct {
	read func([]byte) (int, error)
}

func (r readerAt) ReadAt(b []byte, _ int64) (int, error) { return r.read(b) }

func FuzzReadIndex(f *testing.F) {
	for _, b := range [][]byte{nil, segment(f, 1, 2, 0), segment(f, 3, 2, 9), {0, 0, 0, 0, 'm', 'o', 'o', 'f'}, {0, 0, 0, 1, 'm', 'd', 'a', 't'},
		{0xff, 0xff, 0xff, 0xff, 'm', 'o', 'o', 'f'}, {0, 0, 0, 8, 's', 't', 'y', 'p'}} {
		f.Add(b)
	}
	f.Fuzz(agree)
}
