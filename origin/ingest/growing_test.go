package ingest

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

func TestChunksOfASegmentAreSeenWhileItIsPushed(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		send, end := g.stream(1, "v/1.cmfv")
		for n := 1; n <= 4; n++ {
			time.Sleep(500 * time.Millisecond)
			_, changed, _ := g.tl.Growing("v")
			send(v.seconds(float64(n-1)/2, float64(n)/2))
			<-changed
			grown, _, ok := g.tl.Growing("v")
			require.True(t, ok)
			require.Len(t, grown.Chunks, n)
			for i, c := range grown.Chunks {
				require.Equal(t, i == 0, c.Independent)
				require.Equal(t, int64(v.frames(float64(i)/2))*int64(v.frame), c.Start-grown.Start)
			}
			require.Empty(t, g.segments("v"))
		}
		grown, _, _ := g.tl.Growing("v")
		require.Equal(t, 200, end(errEOF))
		_, _, ok := g.tl.Growing("v")
		require.False(t, ok)

		s := g.segments("v")[0]
		require.Equal(t, s.Start, grown.Start)
		require.Equal(t, s.End(), grown.End())
		g.chunked(t, s, grown.Chunks)
	})
}

// chunked requires that each chunk is where it is said to be in the segment's object, and that they are all of it.
func (g *rig) chunked(t *testing.T, s media.Segment, chunks []media.Chunk) {
	t.Helper()
	obj, err := g.engine.Open(t.Context(), SegmentKey(chID, "v", s.Start))
	require.NoError(t, err)
	b, err := io.ReadAll(obj.Body)
	require.NoError(t, err)
	end := int64(0)
	for _, c := range chunks {
		require.Equal(t, end, c.Offset)
		end += c.Size
		frags, err := cmaf.ReadSegment(b[c.Offset:end])
		require.NoError(t, err)
		require.Len(t, frags, 1)
		require.Equal(t, c.Duration, frags[0].Duration())
	}
	require.Len(t, b, int(end))
}

func TestWhatIsGivenUpIsSeenNoMore(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		send, end := g.stream(1, "v/1.cmfv")
		send(v.seconds(0, 1))
		_, _, ok := g.tl.Growing("v")
		require.True(t, ok)
		require.NotEqual(t, 200, end(io.ErrUnexpectedEOF))
		_, _, ok = g.tl.Growing("v")
		require.False(t, ok)
		g.clean()
	})
}

func TestChunksOfAnEndlessStreamAreSeen(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		send, end := g.stream(1, "Streams(v.cmfv)")
		send(v.init(t))
		pieces(send, 0.5, 0, 9, v) // two whole segments and more
		grown, _, ok := g.tl.Growing("v")
		require.True(t, ok)
		require.Len(t, grown.Chunks, 2)
		last := g.segments("v")
		require.Equal(t, last[len(last)-1].End(), grown.Start)
		end(errEOF)
	})
}
