package ingest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// smoothHead is a header as Smooth Streaming's live ingest begins: with a LiveServerManifest before the moov.
func smoothHead(t testing.TB, bitrate int, sources ...*source) []byte {
	t.Helper()
	head := initOf(t, spss[0], sources...)
	text := `<smil><body><switch>`
	for i := range sources {
		text += fmt.Sprintf(`<video systemBitrate="%d"><param name="trackID" value="%d"/></video>`, bitrate+i, i+1)
	}
	b := []byte("\x00\x00\x00\x00uuid\xa5\xd4\x0b\x30\xe8\x14\x11\xdd\xba\x2f\x08\x00\x20\x0c\x9a\x66\x00\x00\x00\x00" + text + `</switch></body></smil>`)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	at := bytes.Index(head, []byte("moov")) - 4
	return bytes.Join([][]byte{head[:at], b, head[at:]}, nil)
}

// smooth returns the fragment of [from, to) seconds with its time in a tfxd box and not in tfdt.
func (s *source) smooth(from, to float64) []byte {
	b := s.seconds(from, to)
	at := bytes.Index(b, []byte("tfdt")) - 4
	tfxd := append([]byte("\x00\x00\x00\x2cuuid\x6d\x1d\x9b\x05\x42\xd5\x44\xe6\x80\xe2\x14\x1d\xaf\xf7\x57\xb2\x01\x00\x00\x00"), b[at+12:at+20]...)
	tfxd = append(tfxd, make([]byte, 8)...)
	grow := func(field int) {
		binary.BigEndian.PutUint32(b[field:], binary.BigEndian.Uint32(b[field:])+uint32(len(tfxd)-20))
	}
	grow(0)                                   // moof
	grow(24)                                  // traf
	grow(bytes.Index(b, []byte("trun")) + 12) // data_offset
	return bytes.Join([][]byte{b[:at], tfxd, b[at+20:]}, nil)
}

func TestSmoothPushOfOneUploadWithSeveralTracks(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, low, a := video(50), video(50), audio()
		send, end := g.stream(1, "news.isml/Streams(Encoder1)")
		send(smoothHead(t, 300_000, v, low, a))
		for at := 0.0; at < 20; at += 2 {
			time.Sleep(2 * time.Second)
			send(v.smooth(at, at+2), low.smooth(at, at+2), a.smooth(at, at+2))
		}
		send([]byte("\x00\x00\x00\x08mfra"))
		require.Equal(t, http.StatusOK, end(errEOF))
		require.ElementsMatch(t, []string{"Encoder1-v", "Encoder1-v2", "Encoder1-a"}, g.tracks())
		for _, id := range []string{"Encoder1-v", "Encoder1-v2"} {
			regular(t, g.segments(id), v.scale, 2*time.Second)
			require.Len(t, g.segments(id), 10)
		}
		as := g.segments("Encoder1-a")
		require.Equal(t, as[0].Start+int64(a.frames(20))*int64(a.frame), as[len(as)-1].End())
		tr, _ := g.tl.Track("Encoder1-v2")
		require.Equal(t, 300_001, tr.Bitrate, "as the encoder declares it")
		in := g.h.Report(chID).Inputs[0]
		require.Equal(t, "smooth", in.Protocol)
		require.Empty(t, in.noPlaylist())
		g.clean()
	})
}

func TestSmoothEncoderThatConnectsAgainSendsItsLastTwoFragmentsAgain(t *testing.T) {
	for name, cutAt := range map[string]int{"inside a fragment": 3000, "between fragments": 0} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, a := video(50), audio()
				send, end := g.stream(1, "news.isml/Streams(Encoder1)")
				head := smoothHead(t, 300_000, v, a)
				push := func(from, to float64) {
					for at := from; at < to; at += 2 {
						time.Sleep(2 * time.Second)
						send(v.smooth(at, at+2), a.smooth(at, at+2))
					}
				}
				send(head)
				push(0, 10)
				time.Sleep(2 * time.Second)
				send(v.smooth(10, 12)[:cutAt])
				require.Equal(t, http.StatusBadRequest, end(errCut))

				send, end = g.stream(1, "news.isml/Streams(Encoder1)")
				send(head, v.smooth(6, 8), a.smooth(6, 8), v.smooth(8, 10), a.smooth(8, 10), v.smooth(10, 12), a.smooth(10, 12))
				push(12, 20)
				require.Equal(t, http.StatusOK, end(errEOF))
				segs := g.segments("Encoder1-v")
				require.Len(t, segs, 10)
				regular(t, segs, v.scale, 2*time.Second)
				require.Equal(t, segs[0].Part, segs[9].Part)
				as := g.segments("Encoder1-a")
				require.Equal(t, as[0].Start+int64(a.frames(20))*int64(a.frame), as[len(as)-1].End())
				g.clean()
			})
		})
	}
}

func TestSmoothPushOfAnUploadForEachTrack(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		// What MediaLive and Elemental Live send: an event, and streams with names of their own. The next event goes on.
		v, a := video(50), audio()
		for event := range 2 {
			at := fmt.Sprintf("live/news.isml/Events(event-%c)/", 'a'+event)
			sendV, endV := g.stream(1, at+"Streams(news-1080p5.0)")
			sendA, endA := g.stream(1, at+"streams(news-audio)")
			sendV(smoothHead(t, 300_000, v))
			sendA(smoothHead(t, 64_000, a))
			for at := 0.0; at < 10; at += 2 {
				time.Sleep(2 * time.Second)
				sendV(v.smooth(at, at+2))
				sendA(a.smooth(at, at+2))
			}
			require.Equal(t, http.StatusOK, endV(errEOF))
			require.Equal(t, http.StatusOK, endA(errEOF))
		}
		require.ElementsMatch(t, []string{"news-1080p5-0", "news-audio"}, g.tracks())
		vs, as := g.segments("news-1080p5-0"), g.segments("news-audio")
		require.Len(t, vs, 10)
		require.Equal(t, vs[4].Part+1, vs[5].Part)
		for i := range vs {
			apart := media.At(vs[i].Start, v.scale).UTC().Sub(media.At(as[i].Start, a.scale).UTC())
			require.Less(t, apart.Abs(), 22*time.Millisecond, "segment %d", i)
			require.Equal(t, vs[i].Number, as[i].Number)
		}
	})
}

func TestAHeaderOfSmoothIsRememberedWhole(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("x.isml/Streams(v)", smoothHead(t, 300_000, v))
		g.restart()
		time.Sleep(2 * time.Second)
		g.accept("x.isml/Streams(v)", v.smooth(0, 2))
		tr, _ := g.tl.Track("v")
		require.Equal(t, 300_000, tr.Bitrate)
		g.accept("x.isml/Streams(v)", smoothHead(t, 300_000, v))
		time.Sleep(2 * time.Second)
		g.accept("x.isml/Streams(v)", v.smooth(2, 4))
		segs := g.segments("v")
		require.Len(t, segs, 2)
		require.Equal(t, segs[0].Part, segs[1].Part, "the header sent again changes nothing")
	})
}
