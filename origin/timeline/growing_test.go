package timeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

func chunk(start, duration int64) media.Chunk {
	return media.Chunk{Start: start, Duration: duration, Size: 100, Independent: start%100 == 0}
}

func TestASegmentOnItsWayInIsShownChunkByChunk(t *testing.T) {
	var tl Timeline
	_, changed, ok := tl.Growing("v")
	require.False(t, ok)

	g := tl.Grow("v", 1000, 3, nil)
	_, _, ok = tl.Growing("v")
	require.False(t, ok, "nothing of it has come whole")
	g.Add(chunk(1000, 50))
	select {
	case <-changed:
	default:
		require.Fail(t, "whoever waited was not told")
	}
	first, changed, ok := tl.Growing("v")
	require.True(t, ok)
	require.Equal(t, Growing{Start: 1000, Part: 3, Chunks: []media.Chunk{chunk(1000, 50)}}, first)

	g.Add(chunk(1050, 50))
	require.Len(t, first.Chunks, 1, "what was handed out does not change")
	now, _, _ := tl.Growing("v")
	require.Equal(t, int64(1100), now.End())
	<-changed

	g.End()
	g.End()
	_, _, ok = tl.Growing("v")
	require.False(t, ok)
}

func TestOfCopiesOnTheirWayInTheOneThatIsFurtherIsShown(t *testing.T) {
	var tl Timeline
	before, one, two := tl.Grow("v", 0, 0, nil), tl.Grow("v", 1000, 0, nil), tl.Grow("v", 1000, 0, nil)
	before.Add(chunk(0, 1000))
	one.Add(chunk(1000, 50))
	two.Add(chunk(1000, 50))
	two.Add(chunk(1050, 50))
	got, _, _ := tl.Growing("v")
	require.Len(t, got.Chunks, 2)
	require.Equal(t, int64(1000), got.Start)

	two.End() // given up
	got, _, _ = tl.Growing("v")
	require.Len(t, got.Chunks, 1)
	one.End()
	got, _, _ = tl.Growing("v")
	require.Zero(t, got.Start)
	before.End()
	require.Empty(t, tl.growth.tracks)
}
