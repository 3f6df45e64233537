package origin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func (g *rig) admin(method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.server.Admin().ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

// pushReport returns the report of a channel, which must be there.
func (g *rig) pushReport() (r pushReport) {
	g.tb.Helper()
	w := g.admin(http.MethodGet, "/v1/channels/default/ch/ingest")
	require.Equal(g.tb, http.StatusOK, w.Code)
	require.Equal(g.tb, "application/json", w.Header().Get("Content-Type"))
	require.Equal(g.tb, "no-store", w.Header().Get("Cache-Control"))
	require.NoError(g.tb, json.Unmarshal(w.Body.Bytes(), &r))
	return r
}

func TestAPushReportTellsWhatAnEncoderSends(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 4)
	r := g.pushReport()
	require.Equal(t, "default", r.ChannelGroupName)
	require.Equal(t, "ch", r.ChannelName)
	require.Equal(t, g.now(), r.Time)
	require.Len(t, r.Inputs, 2)
	in := r.Inputs[0]
	require.True(t, in.Active)
	require.Equal(t, "cmaf", in.Protocol)
	require.Equal(t, "epoch", in.Clock)
	require.Equal(t, g.now(), *in.LastPush)
	require.Equal(t, 12, in.UploadsAccepted, "two headers and ten segments")
	require.Equal(t, 10, in.Segments)
	require.Empty(t, in.Advice)
	require.Empty(t, in.Errors)
	require.Less(t, *in.AudioOffsetMilliseconds, int64(25))
	require.Len(t, in.Tracks, 2)
	for _, tr := range in.Tracks {
		if tr.Kind == "audio" {
			require.Equal(t, 48000, tr.SampleRate)
			require.Nil(t, tr.KeyFrameSeconds)
			continue
		}
		require.Equal(t, "video", tr.Name)
		require.Equal(t, "avc1.42c00b", tr.Codec)
		require.Equal(t, 160, tr.Width)
		require.Equal(t, reportedSpread{2, 2, 2, 2}, *tr.KeyFrameSeconds)
		require.Equal(t, reportedSpread{2, 2, 2, 2}, tr.SegmentSeconds)
		require.Equal(t, reportedSpread{}, tr.ArrivalSecondsLate)
		require.Positive(t, tr.Bitrate)
	}
	require.Equal(t, reportedInput{Input: 2, Restarts: []time.Time{}, Tracks: []reportedTrack{}, Advice: []reportedAdvice{},
		Errors: []reportedError{}}, r.Inputs[1])
}

func TestAPushReportAdvises(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 4)
	require.NotEqual(t, http.StatusOK, g.upload("video.cmfv", []byte("nonsense")))
	g.at(g.now().Add(6 * time.Second))
	for k := 5; k < 15; k++ {
		require.Equal(t, http.StatusOK, g.put("video", k, 0))
		g.at(g.now().Add(segmentLength))
	}
	in := g.pushReport().Inputs[0]
	require.Equal(t, 1, in.UploadsRejected)
	require.Len(t, in.Errors, 1)
	require.Equal(t, "Streams(video.cmfv)", in.Errors[0].Name)
	require.Len(t, in.Advice, 2)
	require.Equal(t, "uploads_refused", in.Advice[0].Reason)
	require.Equal(t, "late_media", in.Advice[1].Reason)
	require.Equal(t, "video", in.Advice[1].Track)
	require.Contains(t, in.Advice[1].Text, "4 s after their media")
}

func TestAPushReportOfAnUnknownChannelIsRefused(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	w := g.admin(http.MethodGet, "/v1/channels/default/none/ingest")
	require.Equal(t, http.StatusNotFound, w.Code)
	require.JSONEq(t, `"no_channel"`, field(t, w, "Reason"))
	require.Equal(t, http.StatusMethodNotAllowed, g.admin(http.MethodPost, "/v1/channels/default/none/ingest").Code)
	require.Equal(t, http.StatusNotFound, g.get("/v1/channels/default/ch/ingest").Code, "not on the public listener")
}

func field(t *testing.T, w *httptest.ResponseRecorder, name string) string {
	t.Helper()
	var all map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &all))
	return string(all[name])
}

func TestAPushReportAndAMetricTellHowAnEncodersClockGoes(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	const metric = `headwater_ingest_clock_drift_seconds{channel="default/ch",input="1"}`
	for k := range 400 { // 5000 ppm slow
		require.Equal(t, http.StatusOK, g.put("video", k, 0))
		g.at(g.now().Add(segmentLength + 10*time.Millisecond))
		if k == 10 {
			in := g.pushReport().Inputs[0]
			require.Nil(t, in.ClockDriftMilliseconds)
			require.Nil(t, in.ClockDriftPPM)
			require.NotContains(t, g.admin(http.MethodGet, "/metrics").Body.String(), metric)
		}
	}
	in := g.pushReport().Inputs[0]
	require.InDelta(t, -3700, *in.ClockDriftMilliseconds, 200)
	require.InDelta(t, -5000, *in.ClockDriftPPM, 50)
	require.Contains(t, g.admin(http.MethodGet, "/metrics").Body.String(), metric+" -3.")
	require.Equal(t, "clock_drift", in.Advice[0].Reason)
}
