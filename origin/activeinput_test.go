package origin

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const activeOfCh = "/v1/channels/default/ch/ingest/active"

// ask sends a body to the active input of the channel.
func (g *rig) ask(method, kind, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, activeOfCh, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	g.server.Admin().ServeHTTP(w, r)
	return w
}

// both uploads segment k of all tracks to both inputs.
func (g *rig) both(k int) {
	g.tb.Helper()
	g.at(noon.Add(time.Duration(k+1) * segmentLength))
	for input := 1; input <= 2; input++ {
		g.pushTo(input, k)
	}
}

// pushTo uploads segment k of all tracks to an input.
func (g *rig) pushTo(input, k int) {
	g.tb.Helper()
	for _, name := range []string{"video", "audio"} {
		e := g.tracks[name]
		for _, body := range [][]byte{e.header, e.segment(g.tb, noon.Add(time.Duration(k)*segmentLength))} {
			r := httptest.NewRequest(http.MethodPut, "/in/v1/default/"+strconv.Itoa(input)+"/ch/Streams("+e.name+")", bytes.NewReader(body))
			w := httptest.NewRecorder()
			g.public.ServeHTTP(w, r)
			require.Equal(g.tb, http.StatusOK, w.Code, w.Body)
		}
	}
}

func TestAnInputIsMadeActiveByHand(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	for k := range 3 {
		g.both(k)
	}
	state := func(w *httptest.ResponseRecorder) (active, held string) {
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		return field(t, w, "Active"), field(t, w, "Held")
	}
	active, held := state(g.ask(http.MethodPost, "application/json", `{"Active": 2}`))
	require.Equal(t, []string{"1", "2"}, []string{active, held}, "its next media is awaited")
	g.both(3)
	active, held = state(g.admin(http.MethodGet, activeOfCh))
	require.Equal(t, []string{"2", "2"}, []string{active, held})
	require.Equal(t, http.StatusOK, g.admin(http.MethodHead, activeOfCh).Code)
	active, held = state(g.ask(http.MethodDelete, "", ""))
	require.Equal(t, []string{"2", "null"}, []string{active, held})
	_, held = state(g.ask(http.MethodPut, "application/json; charset=utf-8", `{"Active":1}`))
	require.Equal(t, "1", held)
	_, held = state(g.ask(http.MethodPut, "application/json", `{"Active":null}`))
	require.Equal(t, "null", held)
	var v activeInput
	require.NoError(t, json.Unmarshal(g.admin(http.MethodGet, activeOfCh).Body.Bytes(), &v))
	at := noon.Add(4 * segmentLength)
	two := 2
	require.Equal(t, activeInput{ChannelGroupName: "default", ChannelName: "ch", Active: &two,
		Inputs: []heardInput{{1, false, true, &at}, {2, true, true, &at}}}, v)
}

func TestARequestForAnInputThatCannotBeIsRefused(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.both(0)
	for body, want := range map[string]int{
		"": 400, "2": 400, "{}": 400, "null": 400, "[2]": 400, `{"active":2}`: 400, `{"Active":3}`: 400, `{"Active":"2"}`: 400,
		`{"Active":0}`: 400, `{"Active":2.0}`: 400, `{"Active":2,"More":1}`: 400, `{"Active":2}{}`: 400, `{"Active":true}`: 400,
		`{"Active":2` + strings.Repeat(" ", maxAsked) + "}": 413,
	} {
		w := g.ask(http.MethodPut, "application/json", body)
		require.Equal(t, want, w.Code, body)
		if want == http.StatusBadRequest {
			require.Contains(t, field(t, w, "Message"), "the body must be {'Active': 1}, {'Active': 2} or {'Active': null}")
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json, text/plain"} {
		w := g.ask(http.MethodPost, kind, `{"Active":2}`)
		require.Equal(t, http.StatusBadRequest, w.Code, "as a foreign page can send it")
		require.Contains(t, field(t, w, "Message"), "application/json")
	}
	w := g.ask(http.MethodPatch, "application/json", `{"Active":2}`)
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "GET, HEAD, PUT, POST, DELETE", w.Header().Get("Allow"))
	g.at(g.now().Add(time.Minute))
	w = g.ask(http.MethodPut, "application/json", `{"Active":2}`)
	require.Equal(t, http.StatusConflict, w.Code)
	require.JSONEq(t, `"input_silent"`, field(t, w, "Reason"))
	require.Equal(t, "null", field(t, g.admin(http.MethodGet, activeOfCh), "Held"), "nothing changed")
	w = g.admin(http.MethodGet, "/v1/channels/default/none/ingest/active")
	require.Equal(t, http.StatusNotFound, w.Code)
	require.JSONEq(t, `"no_channel"`, field(t, w, "Reason"))
	require.Equal(t, http.StatusNotFound, g.get(activeOfCh).Code, "not on the public listener")
}

func FuzzAskedInput(f *testing.F) {
	for _, body := range []string{"", `{"Active":1}`, `{"Active":null}`, `{"Active":2,"Active":3}`, "{", "\x00", "null", `{"Active":1e0}`, strings.Repeat("[", maxAsked)} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		number, err := parseAsked(body)
		if number < 0 || number > 2 || err != nil && number != 0 {
			t.Fatalf("%q: %d, %v", body, number, err)
		}
	})
}

func TestASwitchOfInputsIsTold(t *testing.T) {
	var log bytes.Buffer
	g := newRig(t, nil, endpointsOf(standard())...)
	g.server.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	g.public = g.server.Public()
	for k := range 5 {
		g.both(k)
	}
	path := entries[0].path()
	first := g.get(path)
	require.Equal(t, "1", first.Header().Get("X-Amzn-Mediapackage-Active-Input"))
	require.Contains(t, first.Header().Get("Access-Control-Expose-Headers"), "X-Amzn-Mediapackage-Active-Input")
	for k := 5; k < 9; k++ {
		g.at(noon.Add(time.Duration(k+1) * segmentLength))
		g.pushTo(2, k)
	}
	for _, e := range entries {
		require.Equal(t, "2", g.get(e.path()).Header().Get("X-Amzn-Mediapackage-Active-Input"), e.name)
	}
	require.Empty(t, g.get("/out/v1/default/ch/cmaf/segment_video_"+itoa(number(3))+".mp4").Header().Get("X-Amzn-Mediapackage-Active-Input"))
	require.Contains(t, log.String(), `level=WARN msg="input switch"`)
	require.Contains(t, log.String(), "from=1 to=2 reason=silence at=2026-03-02T12:00:16.000Z")
	require.Equal(t, 1, strings.Count(log.String(), "input switch"))

	r := g.pushReport()
	require.Equal(t, 1, r.SwitchCount)
	require.Equal(t, []reportedSwitch{{noon.Add(16 * time.Second), 1, 2, "silence"}}, r.Switches)
	metrics := g.admin(http.MethodGet, "/metrics").Body.String()
	for _, line := range []string{
		`headwater_ingest_active_input{channel="default/ch"} 2`,
		`headwater_ingest_input_up{channel="default/ch",input="1"} 0`,
		`headwater_ingest_input_up{channel="default/ch",input="2"} 1`,
		`headwater_ingest_input_heard_age_seconds{channel="default/ch",input="1"} 8`,
		`headwater_ingest_input_switches_total{channel="default/ch",reason="silence"} 1`,
		`headwater_ingest_input_switches_total{channel="default/ch",reason="manual"} 0`,
	} {
		require.Contains(t, metrics, line+"\n")
	}
}

func TestASwitchOfInputsChangesNoEntityTag(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	for k := range 5 {
		g.both(k)
	}
	path := entries[0].path()
	before := g.get(path)
	require.Equal(t, http.StatusOK, g.ask(http.MethodPut, "application/json", `{"Active":2}`).Code)
	g.pushTo(2, 4) // a copy of what is there
	after := g.get(path, "If-None-Match", before.Header().Get("Etag"))
	require.Equal(t, http.StatusNotModified, after.Code)
	require.Equal(t, "2", after.Header().Get("X-Amzn-Mediapackage-Active-Input"), "a cache takes over what a 304 says")
}
