package ingest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
)

// limited gives the rig's channel limits.
func limited(l channel.Limits) func(*rig) {
	return func(g *rig) { g.channel = &channel.Channel{ID: chID, Limits: l} }
}

// adopt gives the channel other limits, as a configuration does that is read again.
func (g *rig) adopt(l channel.Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.channel = &channel.Channel{ID: chID, Limits: l}
}

// unread fails the test when it is read.
type unread struct{ tb testing.TB }

func (u unread) Read([]byte) (int, error) {
	u.tb.Error("the body was read")
	return 0, io.EOF
}

func TestRequestsBeyondTheRateAreRefusedUnread(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		said := g.told()
		list := listing(time.Time{}, "", "a0.ts")
		for range 4 * 5 {
			g.accept("a.m3u8", list)
		}
		for range 3 {
			w := g.request(http.MethodPut, 1, "a.m3u8", unread{t})
			require.Equal(t, http.StatusTooManyRequests, w.Code)
			require.Equal(t, "1", w.Header().Get("Retry-After"))
			require.Contains(t, w.Body.String(), "max_request_rate")
		}
		require.Equal(t, http.StatusTooManyRequests, g.request(http.MethodGet, 2, "a.m3u8", nil).Code, "of all methods and inputs")
		require.Len(t, said(), 1, "a flood is told of now and then")
		require.Equal(t, 4, g.counted("rejected max_request_rate"), "and counted always")
		report := g.h.Report(chID)
		require.Equal(t, 3, report.Inputs[0].Rejected)
		require.Len(t, report.Inputs[0].Errors, 1)
		require.Equal(t, "too many requests per second to the channel: 4 are allowed (limits.max_request_rate)", report.Inputs[0].Errors[0].Text)
		time.Sleep(time.Second)
		for range 4 {
			g.accept("a.m3u8", list)
		}
		require.Equal(t, http.StatusTooManyRequests, g.put("a.m3u8", list))
		g.adopt(channel.Limits{RequestRate: 1000})
		for range 100 {
			g.accept("a.m3u8", list)
		}
	}, limited(channel.Limits{RequestRate: 4}))
}

func TestAChannelHasOnlySoManyRequestsAtATime(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		var ends []func(error) int
		for i := range 3 {
			send, end := g.stream(1, fmt.Sprintf("Streams(v%d.cmfv)", i))
			send(video(50).init(t))
			ends = append(ends, end)
		}
		w := g.request(http.MethodPost, 2, "Streams(v.cmfv)", unread{t})
		require.Equal(t, http.StatusTooManyRequests, w.Code)
		require.Equal(t, "1", w.Header().Get("Retry-After"))
		require.Equal(t, 1, g.counted("rejected max_concurrent"))
		require.Equal(t, http.StatusOK, ends[0](errEOF))
		g.accept("a.m3u8", listing(time.Time{}, "", "a0.ts"))
		for _, end := range ends[1:] {
			require.Equal(t, http.StatusOK, end(errEOF))
		}
	}, limited(channel.Limits{Concurrent: 3}))
}

func TestBytesBeyondTheBitrateAreReadMoreSlowlyBeforeTheyAreRefused(t *testing.T) {
	const perSecond = 100_000
	bubble(t, func(t *testing.T, g *rig) {
		upload := func(size int) (took time.Duration, w *httptest.ResponseRecorder) {
			began := time.Now()
			w = g.request(http.MethodPut, 1, "cues.vtt", bytes.NewReader(make([]byte, size)))
			return time.Since(began), w
		}
		took, w := upload(30 * perSecond)
		require.Equal(t, http.StatusOK, w.Code)
		require.Zero(t, took, "a burst passes")
		took, w = upload(5 * perSecond)
		require.Equal(t, http.StatusOK, w.Code)
		require.InDelta(t, 5, took.Seconds(), .1, "what goes on is read as fast as is allowed")
		took, w = upload(15 * perSecond)
		require.Equal(t, http.StatusTooManyRequests, w.Code)
		require.InDelta(t, 10, took.Seconds(), .7)
		require.Equal(t, "1", w.Header().Get("Retry-After"))
		require.Equal(t, 1, g.counted("rejected max_bitrate"))
		last := g.h.Report(chID).Inputs[0].Errors[0]
		require.Contains(t, last.Text, "the bitrate of the channel is used up: 800000 bit/s are allowed over 30s, and the upload was read more slowly for 10s")
		require.Contains(t, last.Text, "(limits.max_bitrate)")
		time.Sleep(40 * time.Second)
		took, _ = upload(29 * perSecond)
		require.Zero(t, took, "a pause is made good")
	}, limited(channel.Limits{Bitrate: 8 * perSecond}))
}

func TestAStreamThatIsTooFastForLongEnds(t *testing.T) {
	const perSecond = 100_000
	for what, tt := range map[string]struct {
		share int // of the bitrate, per cent
		want  int
	}{"at the limit": {98, http.StatusOK}, "beyond it": {130, http.StatusTooManyRequests}} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v := video(50)
				v.size = perSecond * tt.share / 100 / 25
				r, w := io.Pipe()
				go func() {
					began := time.Now()
					_, err := w.Write(v.init(t))
					for n := 0; n < 150 && err == nil; n++ {
						time.Sleep(time.Until(began.Add(time.Duration(n+1) * 2 * time.Second))) // an encoder does not wait for us
						_, err = w.Write(v.seconds(float64(2*n), float64(2*n+2)))
					}
					_ = w.Close()
				}()
				status := g.request(http.MethodPost, 1, "Streams(v.cmfv)", r).Code
				_ = r.Close()
				require.Equal(t, tt.want, status)
				segs := g.segments("v")
				regular(t, segs, v.scale, 2*time.Second)
				require.Greater(t, len(segs), 50, "what came before is kept")
				g.clean()
			}, limited(channel.Limits{Bitrate: 8 * perSecond}))
		})
	}
}

func TestUploadsThatComeAtOnceAreSlowedDownAndNotRefused(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.accept("cues.vtt", make([]byte, 375_000))
		began := time.Now()
		done := make(chan int)
		for range 200 {
			go func() {
				whole := iotest.DataErrReader(bytes.NewReader(make([]byte, 1000))) // as of net/http, when it knows the length
				done <- g.request(http.MethodPut, 1, "cues.vtt", whole).Code
			}()
		}
		for range 200 {
			require.Equal(t, http.StatusOK, <-done)
		}
		require.InDelta(t, 10, time.Since(began).Seconds(), 1, "each waits for a while and no longer")
	}, limited(channel.Limits{Bitrate: 100_000}))
}

func TestTheWaitOfAnUploadThatIsReadSlowlyEndsWithItsClient(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.accept("cues.vtt", make([]byte, 375_000))
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		began := time.Now()
		r := httptest.NewRequestWithContext(ctx, http.MethodPut, "/", io.LimitReader(endless{}, 60_000))
		r.URL, r.ContentLength, r.TransferEncoding = &url.URL{Path: "/cues.vtt"}, -1, []string{"chunked"}
		g.handler(1).ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, time.Second, time.Since(began))
	}, limited(channel.Limits{Bitrate: 100_000}))
}

// endless is zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestALimitThatIsTakenBackLetsWhatIsUnderWayGoOn(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		v.size = 10_000 // 2 Mbit/s
		send, end := g.stream(1, "Streams(v.cmfv)")
		send(v.init(t))
		for n := range 100 {
			time.Sleep(2 * time.Second)
			send(v.seconds(float64(2*n), float64(2*n+2)))
			if n == 9 {
				g.adopt(channel.Limits{Bitrate: 2_500_000})
			}
		}
		require.Equal(t, http.StatusOK, end(errEOF))
		require.Len(t, g.segments("v"), 100)
	}, limited(channel.Limits{Bitrate: 1_000_000}))
}

func TestTracksFilesAndSilenceHaveTheLimitsOfTheChannel(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		for i, want := range []int{200, 200, 409} {
			w := g.request(http.MethodPut, 1, fmt.Sprintf("Streams(v%d.cmfv)", i), bytes.NewReader(append(v.init(t), v.seconds(0, 2)...)))
			require.Equal(t, want, w.Code)
		}
		require.Contains(t, g.h.Report(chID).Inputs[0].Errors[0].Text, "one more than the 2 that the channel may have (limits.max_tracks)")
		w := g.request(http.MethodPut, 1, "a.ts", strings.NewReader(strings.Repeat("x", 20_001)))
		require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
		require.Contains(t, w.Body.String(), "one file may have 20000 bytes (limits.max_upload)")
		status, lasted := g.trickle(1, time.Second)
		require.Equal(t, http.StatusRequestTimeout, status)
		require.Equal(t, 5*time.Second, lasted)
	}, limited(channel.Limits{Tracks: 2, Upload: 20_000, Idle: 5 * time.Second}))
}

func TestAPieceOfAGrowingFileCountsOnce(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("x.mp4", v.init(t))
		g.h.known(chID).gate.took = flow{}
		body := v.seconds(0, 2)
		r := httptest.NewRequest(http.MethodPut, "/", bytes.NewReader(body))
		r.URL = &url.URL{Path: "/x.mp4"}
		r.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", len(v.init(t)), len(v.init(t))+len(body)-1))
		w := httptest.NewRecorder()
		g.handler(1).ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, len(body), g.h.known(chID).gate.took.n)
		g.h.joins.mu.Lock()
		for _, j := range g.h.joins.open {
			_ = j.in.Close()
		}
		g.h.joins.mu.Unlock()
		time.Sleep(time.Minute)
	}, limited(channel.Limits{Bitrate: 1_000_000}))
}

func TestAFlowIsMeasuredOverTheLastSeconds(t *testing.T) {
	var f flow
	now := time.Unix(1000, 0)
	for range 300 {
		f.add(7, now)
		now = now.Add(100 * time.Millisecond)
	}
	require.InDelta(t, 70, f.perSecond(now), 1)
	require.InDelta(t, 35, f.perSecond(now.Add(useOver/2)), 2)
	require.Zero(t, f.perSecond(now.Add(2*useOver)))
	f = flow{}
	f.add(100, now)
	require.InDelta(t, 10, f.perSecond(now), .1)
}
