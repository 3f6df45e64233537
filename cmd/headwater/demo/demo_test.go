package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// receiver is an ingest that keeps what it is sent and answers with what fail says.
type receiver struct {
	mu       sync.Mutex
	fail     func(n int, r *http.Request) int // status for request n; 0: take it
	requests int
	headers  map[string]int
	segments map[string][]cmaf.Fragment
	late     map[string][]time.Duration // arrival after the end of the segment
	bad      []string
	closed   map[string]bool // the last request was answered with an error: a header must follow
}

func newReceiver() *receiver {
	return &receiver{headers: map[string]int{}, segments: map[string][]cmaf.Fragment{}, late: map[string][]time.Duration{},
		closed: map[string]bool{}}
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	r.take(w, req, body)
	return w.Result(), nil
}

func (r *receiver) take(w *httptest.ResponseRecorder, req *http.Request, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.requests
	r.requests++
	name := strings.TrimSuffix(strings.TrimPrefix(req.URL.Path, "/in/v1/demo/1/clock/Streams("), ")")
	if r.fail != nil {
		if status := r.fail(n, req); status != 0 {
			r.closed[name] = true
			w.WriteHeader(status)
			return
		}
	}
	w.WriteHeader(http.StatusCreated)
	if req.Method != http.MethodPut || int64(len(body)) != req.ContentLength {
		r.bad = append(r.bad, "not a PUT with a length: "+req.Method)
	}
	if string(body[4:8]) == "ftyp" {
		r.headers[name]++
		r.closed[name] = false
		return
	}
	if r.headers[name] == 0 || r.closed[name] {
		r.bad = append(r.bad, "segment before the header of "+name)
	}
	f, err := cmaf.ReadSegment(body)
	if err != nil || len(f) != 1 || string(body[4:8]) != "styp" {
		r.bad = append(r.bad, "not a segment of one fragment")
		return
	}
	r.segments[name] = append(r.segments[name], f[0])
	r.late[name] = append(r.late[name], time.Since(slotEnd(int64(f[0].Sequence))))
}

// clocks are the timescales of the programme's tracks.
func clocks() map[string]int64 {
	return map[string]int64{"video-hi.cmfv": 90000, "video-lo.cmfv": 90000, "audio.cmfa": 48000}
}

func TestProgrammeIsSmallAndWhole(t *testing.T) {
	tracks, err := load()
	require.NoError(t, err)
	require.Len(t, tracks, 3)
	total := 0
	for _, tr := range tracks {
		require.Equal(t, clocks()[tr.name], int64(tr.timescale))
		seconds := len(tr.samples) * int(tr.frame) / int(tr.timescale)
		require.Equal(t, map[media.Kind]int{media.Video: 60, media.Audio: 8}[tr.kind], seconds)
		for i := range tr.samples {
			total += len(tr.samples[i].Data)
		}
		f, err := mp4.DecodeFile(bytes.NewReader(tr.header))
		require.NoError(t, err)
		require.Nil(t, f.Init.Moov.Trak.Edts, "times on the epoch axis need no edit list")
		require.EqualValues(t, cmaf.TrackID, f.Init.Moov.Trak.Tkhd.TrackID)
	}
	require.Less(t, total, 3<<20)
}

func TestEverySegmentIsReadByAnotherParser(t *testing.T) {
	tracks, err := load()
	require.NoError(t, err)
	for _, tr := range tracks {
		t.Run(tr.name, func(t *testing.T) {
			for k := int64(880_000_000); k < 880_000_000+60; k++ { // two loops of video, fifteen of audio
				b, err := tr.segment(k)
				require.NoError(t, err)
				f, err := mp4.DecodeFile(bytes.NewReader(append(bytes.Clone(tr.header), b...)))
				require.NoError(t, err)
				require.Len(t, f.Segments, 1)
				require.Len(t, f.Segments[0].Fragments, 1)
				moof := f.Segments[0].Fragments[0].Moof
				require.EqualValues(t, k, moof.Mfhd.SequenceNumber)
				samples, err := f.Segments[0].Fragments[0].GetFullSamples(f.Init.Moov.Mvex.Trex)
				require.NoError(t, err)
				seen := map[int64]bool{}
				for _, s := range samples {
					pts := int64(s.DecodeTime) + int64(s.CompositionTimeOffset)
					require.False(t, seen[pts])
					seen[pts] = true
					require.GreaterOrEqual(t, pts, int64(moof.Traf.Tfdt.BaseMediaDecodeTime()))
					require.Less(t, pts, int64(moof.Traf.Tfdt.BaseMediaDecodeTime())+int64(len(samples))*int64(tr.frame))
				}
				require.True(t, seen[int64(moof.Traf.Tfdt.BaseMediaDecodeTime())], "the first sample is shown first")
			}
		})
	}
}

func TestAnHourOfPushIsContinuousAndOnTheGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now() // 2000-01-01, a minute's start; the push begins inside a segment
		time.Sleep(700 * time.Millisecond)
		r := newReceiver()
		r.fail = func(n int, _ *http.Request) int {
			if n%37 == 36 {
				return http.StatusServiceUnavailable
			}
			return 0
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, Run(ctx, Options{BaseURL: "http://origin.test", Client: &http.Client{Transport: r}}))
		require.Empty(t, r.bad)
		first := begin.Unix()/2 - 10
		for name, scale := range clocks() {
			got := r.segments[name]
			require.Len(t, got, 1810, name)
			next, length := got[0].DecodeTime, int64(0)
			for i, f := range got {
				require.Equal(t, first+int64(i), int64(f.Sequence), name)
				require.Equal(t, next, f.DecodeTime, "%s: a hole before segment %d", name, i)
				require.InDelta(t, (first+int64(i))*2*scale, f.DecodeTime, 512, "%s: off the grid", name)
				require.True(t, f.Samples[0].Sync)
				next += f.Duration()
				length += f.Duration()
			}
			require.InDelta(t, 3620*scale, length, 512, "%s: an hour and the 20 s before it", name)
			require.Greater(t, r.headers[name], 1, "the header is sent again after a failure")
			for i, late := range r.late[name] {
				require.GreaterOrEqual(t, late, time.Duration(0), "a segment is not sent before it is complete")
				if i > 12 {
					require.Less(t, late, 2*time.Second, name)
				}
			}
		}
	})
}

func TestVideoShowsTheSecondOfTheMinute(t *testing.T) {
	tracks, err := load()
	require.NoError(t, err)
	// The picture is drawn for a loop that starts with the minute: the segment at second s is the s/2th of the file.
	minute := time.Date(2031, 5, 6, 7, 8, 0, 0, time.UTC)
	for second := int64(0); second < 60; second += 2 {
		k := slot(minute.Add(time.Duration(second) * time.Second))
		require.Equal(t, second*25, tracks[0].boundary(k)%int64(len(tracks[0].samples)))
	}
}

func TestOutageLeavesOutWhatIsTooOldAndKeepsTheGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := newReceiver()
		r.fail = func(int, *http.Request) int {
			if since := time.Since(begin); since > 10*time.Second && since < 3*time.Minute {
				return http.StatusBadGateway
			}
			return 0
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		require.NoError(t, Run(ctx, Options{BaseURL: "http://origin.test/", Client: &http.Client{Transport: r}}))
		require.Empty(t, r.bad)
		for name, scale := range clocks() {
			got := r.segments[name]
			holes := 0
			for i := 1; i < len(got); i++ {
				require.InDelta(t, int64(got[i].Sequence)*2*scale, got[i].DecodeTime, 512)
				if got[i].Sequence != got[i-1].Sequence+1 {
					holes++
				}
			}
			require.Equal(t, 1, holes, "%s: one outage, one hole", name)
			require.EqualValues(t, begin.Unix()/2+119, got[len(got)-1].Sequence, "the push has caught up")
		}
	})
}

func TestAFaultySegmentIsNotSentTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		r.fail = func(n int, _ *http.Request) int {
			if n == 7 {
				return http.StatusConflict
			}
			return 0
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, Run(ctx, Options{BaseURL: "http://origin.test", Client: &http.Client{Transport: r}}))
		total := 0
		for name := range clocks() {
			total += len(r.segments[name])
		}
		require.Equal(t, 3*40-1, total)
	})
}

func TestRunSaysWhyItIsRefused(t *testing.T) {
	r := newReceiver()
	r.fail = func(_ int, req *http.Request) int {
		if req.Header.Get("Authorization") != "Bearer right" {
			return http.StatusUnauthorized
		}
		return http.StatusForbidden
	}
	for _, authorization := range []string{"", "Bearer wrong", "Bearer right"} {
		err := Run(t.Context(), Options{BaseURL: "http://origin.test", Client: &http.Client{Transport: r}, Authorization: authorization})
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorContains(t, err, "Streams(")
	}
}

func TestRunEndsWithItsContextWhileTheServerHangs(t *testing.T) {
	defer goleak.VerifyNone(t)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	arrived := make(chan struct{}, 3)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Run(ctx, Options{BaseURL: server.URL, Client: &http.Client{Transport: transport}}) }()
	<-arrived
	cancel()
	require.NoError(t, <-done)
}

func TestRunNeedsAnAbsoluteURL(t *testing.T) {
	for _, base := range []string{"", "localhost", "/in", "http://%zz"} {
		require.ErrorContains(t, Run(t.Context(), Options{BaseURL: base}), "is not absolute")
	}
	require.False(t, errors.Is(Run(t.Context(), Options{}), ErrRefused))
}
