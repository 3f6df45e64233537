package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pictures is a segment of [from, to) pictures of video.
func (s *source) pictures(from, to int) []byte { return s.fragment(0, from, to) }

func TestASegmentIsTakenAlthoughTheOneBeforeSeemsToLastLonger(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  int // of the second segment of 50 pictures, as its last one says
	}{{"by a seventh", 107}, {"by a quarter", 112}} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v := video(50)
				g.accept("v/init.cmfv", v.init(t))
				for n := range 5 {
					time.Sleep(2 * time.Second)
					b := v.pictures(50*n, 50*n+50)
					if n == 1 {
						b = v.pictures(50, tt.end)
					}
					g.accept(fmt.Sprintf("v/%d.cmfv", n), b)
				}
				segs := g.segments("v")
				require.Len(t, segs, 5)
				for n, s := range segs {
					require.Equal(t, segs[0].Start+int64(n*50*512), s.Start)
					require.Equal(t, segs[0].Number+int64(n), s.Number)
				}
				require.Zero(t, g.counted("duplicate"))
				g.clean()
			})
		})
	}
}

func TestASegmentThatOverlapsAnother(t *testing.T) {
	prepare := func(t *testing.T, g *rig) *source {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 3)
		return v
	}
	t.Run("and holds media of its own is refused, for that would be lost", func(t *testing.T) {
		bubble(t, func(t *testing.T, g *rig) {
			v := prepare(t, g)
			w := g.request(http.MethodPut, 1, "v/3.cmfv", bytes.NewReader(v.pictures(120, 170)))
			require.Equal(t, http.StatusConflict, w.Code)
			require.Contains(t, w.Body.String(), "overlap")
			require.Equal(t, 1, g.counted("rejected overlap"))
			require.Zero(t, g.counted("duplicate"))
			require.Len(t, g.segments("v"), 3)
			g.clean()
			g.live(v, "v", 3, 4)
			regular(t, g.segments("v"), v.scale, 2*time.Second)
		})
	})
	t.Run("and holds nothing new is a copy, of an encoder on UTC", func(t *testing.T) {
		for _, from := range []int{55, 90} {
			bubble(t, func(t *testing.T, g *rig) {
				v := video(50)
				zero := time.Now().Unix() * int64(v.scale)
				g.accept("v/init.cmfv", v.init(t))
				for n := range 3 {
					time.Sleep(2 * time.Second)
					g.accept(fmt.Sprintf("v/%d.cmfv", n), v.fragment(zero, 50*n, 50*n+50))
				}
				g.accept("v/3.cmfv", v.fragment(zero, from, 100))
				require.Equal(t, 1, g.counted("duplicate"))
				require.Len(t, g.segments("v"), 3)
				g.clean()
			})
		}
	})
	t.Run("ends no endless stream, and is counted", func(t *testing.T) {
		bubble(t, func(t *testing.T, g *rig) {
			v := video(50)
			zero := time.Now().Unix() / 2 * 2 * int64(v.scale)
			g.accept("v/init.cmfv", v.init(t))
			time.Sleep(2 * time.Second)
			g.accept("v/0.cmfv", v.fragment(zero, 0, 75)) // 3 s
			send, end := g.stream(1, "Streams(v.cmfv)")
			send(v.init(t))
			for n := 50; n < 250; n += 50 {
				time.Sleep(2 * time.Second)
				send(v.fragment(zero, n, n+50))
			}
			require.Equal(t, http.StatusOK, end(errEOF))
			require.Equal(t, 1, g.counted("rejected overlap"))
			st, _ := g.h.Status(chID)
			require.Equal(t, "overlap: Streams(v.cmfv)", st.LastRejected)
			require.Len(t, g.segments("v"), 4, "the first and three of four")
			g.clean()
		})
	})
}
