package playback

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/timeline"
)

func TestParseTime(t *testing.T) {
	want := time.Date(2024, 3, 1, 10, 0, 0, 0, time.UTC)
	for _, s := range []string{"2024-03-01T10:00:00Z", "2024-03-01T10:00:00+00:00", "2024-03-01T12:00:00+02:00", "2024-03-01T12:00:00 02:00",
		"2024-03-01T05:00:00-0500", "2024-03-01T12:00:00+02", "20240301T100000Z", "2024-03-01T10:00Z", "2024-03-01T10:00:00.000Z",
		"1709287200", "1709287200.0", "1709287200.", "01709287200"} {
		got, err := parseTime("start", s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	got, err := parseTime("end", "1709287200.25")
	require.NoError(t, err)
	require.Equal(t, want.Add(250*time.Millisecond), got)
	got, err = parseTime("end", "")
	require.NoError(t, err)
	require.True(t, got.IsZero())
	for _, s := range []string{"now", "0", "-5", "+5", "1e9", "2024-03-01", "2024-03-01T10:00:00", "2024-13-01T10:00:00Z", "1969-12-31T23:59:59Z",
		"99999999999", "123456789012", "2262-01-01T00:00:00Z", "1.2.3", ".5", " ", strings.Repeat("1", 1000), "2024-03-01T10:00:00+25:00"} {
		_, err := parseTime("start", s)
		require.ErrorIs(t, err, timeline.ErrBadWindow, s)
	}
}

func TestParseShift(t *testing.T) {
	tests := []struct {
		rest, query       string
		name, base, carry string
		m                 string
		start, end        int64
	}{
		{"index.m3u8", "", "index.m3u8", "", "", "", 0, 0},
		{"index.m3u8", "start=5&foo=bar&end=9&m=2", "index.m3u8", "", "end=9&m=2&start=5", "m=2", 5, 9},
		{"start/5/end/9/index.m3u8", "", "index.m3u8", "../../../../", "", "", 5, 9},
		{"end/9/start/5/index.m3u8", "", "index.m3u8", "../../../../", "", "", 5, 9},
		{"start/5/index.m3u8", "end=9", "index.m3u8", "../../", "end=9", "", 5, 9},
		{"start/5/index.m3u8", "start=7", "index.m3u8", "../../", "", "", 5, 0},
		{"start/5/index.ism/Manifest", "m=1", "index.ism/Manifest", "../../../", "m=1", "m=1", 5, 0},
		{"start/5/start/6/index.m3u8", "", "start/6/index.m3u8", "../../../../", "", "", 5, 0},
		{"index.ism/Manifest", "start=5", "index.ism/Manifest", "", "start=5", "", 5, 0},
		{"index.m3u8", "m=a%26b%3D%22&m=2", "index.m3u8", "", "m=a%26b%3D%22", "m=a%26b%3D%22", 0, 0},
		{"index.m3u8", "m=&start=&end=", "index.m3u8", "", "", "", 0, 0},
		{"start/", "", "start/", "", "", "", 0, 0},
		{"start//index.m3u8", "", "start//index.m3u8", "", "", "", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.rest+"?"+tt.query, func(t *testing.T) {
			q, err := url.ParseQuery(tt.query)
			require.NoError(t, err)
			s, err := parseShift(tt.rest, q)
			require.NoError(t, err)
			require.Equal(t, tt.name, s.name)
			require.Equal(t, tt.base, s.base)
			require.Equal(t, tt.carry, s.query)
			require.Equal(t, tt.m, s.m)
			for _, at := range []struct {
				want int64
				got  time.Time
			}{{tt.start, s.start}, {tt.end, s.end}} {
				require.Equal(t, at.want == 0, at.got.IsZero())
				if at.want != 0 {
					require.Equal(t, at.want, at.got.Unix())
				}
			}
		})
	}
	for _, query := range []string{"start=5&start=6", "end=x", "m=" + strings.Repeat("1", maxM+1)} {
		q, err := url.ParseQuery(query)
		require.NoError(t, err)
		_, err = parseShift("index.m3u8", q)
		require.ErrorIs(t, err, timeline.ErrBadWindow, query)
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"", "0", "1709287200.5", "2024-03-01T10:00:00+00:00", "20240301T100000Z", "99999999999", "1.", "2024-03-01T10:00Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseTime("start", s)
		if err != nil {
			require.ErrorIs(t, err, timeline.ErrBadWindow)
			require.True(t, got.IsZero())
			return
		}
		require.Equal(t, s == "", got.IsZero())
		if s != "" {
			require.Equal(t, got, time.Unix(0, got.UnixNano()).UTC(), "it fits nanoseconds")
		}
	})
}

func FuzzParseShift(f *testing.F) {
	f.Add("start/5/end/9/index.m3u8", "start=5&m=1")
	f.Add("index.ism/Manifest", "end=2024-03-01T10:00:00+00:00")
	f.Add("start/start/end/end/x/y/z", "m=%00&m=a")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, rest, query string) {
		q, _ := url.ParseQuery(query) // what can be read of it
		s, err := parseShift(rest, q)
		if err != nil {
			require.ErrorIs(t, err, timeline.ErrBadWindow)
			return
		}
		require.True(t, strings.HasSuffix(rest, s.name))
		again, err := url.ParseQuery(s.query)
		require.NoError(t, err)
		child, err := parseShift(rest, again)
		require.NoError(t, err)
		require.Equal(t, s, child, "what is carried means the same to the child")
	})
}
