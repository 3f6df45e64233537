package origin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// FuzzPlayback asks for arbitrary paths and queries of a live channel: nothing panics, and nothing is the server's fault.
func FuzzPlayback(f *testing.F) {
	g := newRig(f, nil, endpointsOf(standard())...)
	g.push(0, 9)
	for _, e := range entries {
		f.Add("GET", e.root()[len("/out/v1/"):]+e.manifest, "", "gzip")
		f.Add("HEAD", e.root()[len("/out/v1/"):]+"start/1772452800/end/2026-03-02T12:00:09Z/"+e.manifest, "m=1", "")
	}
	f.Add("GET", "default/ch/cmaf/segment_video_"+itoa(number(3))+".mp4", "start=1", "")
	f.Add("GET", "default/ch/cmaf/segment_video_t9223372036854775807.mp4", "", "")
	f.Add("GET", "default/ch/cmaf/segment_video_9223372036854775807.mp4", "", "")
	f.Add("GET", "default/ch/ts/segment_video.audio_"+itoa(number(3))+".ts", "end=99999999999", "")
	f.Add("GET", "default/ch/ts/segment_audio.audio_"+itoa(number(3))+".ts", "", "")
	f.Add("GET", "default/ch/ism/index.ism/QualityLevels(2000)/FragmentInfo(video=1772452800000000)", "", "")
	f.Add("GET", "default/ch/ism/index.ism/QualityLevels(2000)/Fragments(video=9223372036854775807)", "", "")
	f.Add("OPTIONS", "default//ch/../ts/", "%zz&=&start", "*;q=0")
	f.Fuzz(func(t *testing.T, method, path, query, accept string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method = method
		r.URL = &url.URL{Path: "/out/v1/" + path, RawQuery: query}
		r.Header.Set("Accept-Encoding", accept)
		r.Header.Set("Range", accept)
		r.Header.Set("If-None-Match", query)
		w := httptest.NewRecorder()
		g.public.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code < 200 {
			t.Fatalf("%s %q?%q: %d %s", method, path, query, w.Code, w.Body)
		}
	})
}
