package origin

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/origin/ingest"
	"headwater/origin/ingest/demux"
	"headwater/origin/timeline"
	"headwater/storage"
)

func TestErrorTable(t *testing.T) {
	tests := []struct {
		err    error
		status int
		reason string
		soon   bool
	}{
		{channel.ErrNotFound, 404, "no_channel", true},
		{channel.ErrTooMany, 429, "max_channels", false},
		{channel.ID{Group: "a b", Name: "c"}.Validate(), 400, "invalid_name", false},
		{timeline.ErrNotYet, 404, "too_early", true},
		{timeline.ErrGone, 404, "gone", false},
		{ingest.ErrTooManyTracks, 409, "max_tracks", false},
		{timeline.ErrBackwards, 409, "number_backwards", false},
		{timeline.ErrBadWindow, 400, "bad_window", false},
		{ingest.ErrBitrate, 429, "max_bitrate", false},
		{ingest.ErrRequestRate, 429, "max_request_rate", false},
		{ingest.ErrConcurrent, 429, "max_concurrent", false},
		{demux.ErrMalformed, 400, "malformed", false},
		{demux.ErrUnsupported, 415, "unsupported_media", false},
		{demux.ErrNoInit, 412, "no_init", false},
		{demux.ErrTooLarge, 413, "media_limit", false},
		{storage.ErrNoSpace, 507, "no_space", false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v is %d", tt.err, tt.status), func(t *testing.T) {
			a := errorTable().Describe(fmt.Errorf("reading: %w", tt.err))
			require.Equal(t, tt.status, a.Status)
			require.Equal(t, tt.reason, a.Reason)
			require.Equal(t, tt.soon, a.Soon)
		})
	}
	reasons := make(map[string]int)
	for _, rule := range errorTable() {
		require.Regexp(t, regexp.MustCompile(`^[ \w:.?-]+$`), rule.Text)
		reasons[rule.Reason]++
		require.Equal(t, 1, reasons[rule.Reason], "a reason names one rule: %s", rule.Reason)
	}
}
