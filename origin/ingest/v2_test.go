package ingest

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/origin/reply"
)

func TestAnInputOfMediaPackageIsTheInputOfThatNumber(t *testing.T) {
	const one, two = "3a1f0c5e8d2b4796a0e1c2d3f4b5a697", "9b8e7d6c5f4a4312b1a0f9e8d7c6b5a4"
	users := []channel.User{{Name: "u", Password: "p"}}
	with := func(guid string) *channel.Channel {
		return &channel.Channel{ID: chID, V2: channel.IngestV2{ID: one, Inputs: []channel.InputV2{{ID: one}, {ID: guid, Users: users}}}}
	}
	bubble(t, func(t *testing.T, g *rig) {
		put := func(guid, name string, b []byte) int {
			r := httptest.NewRequest(http.MethodPut, "/"+name, bytes.NewReader(b))
			r.SetBasicAuth("u", "p")
			w := httptest.NewRecorder()
			reply.Requests(slog.New(slog.DiscardHandler), table())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				g.h.ServeV2(w, r, chID, 2, guid, name)
			})).ServeHTTP(w, r)
			return w.Code
		}
		list := listing(time.Time{}, "", "channel_1_00001.ts")
		require.Equal(t, http.StatusOK, put(two, "channel_1.m3u8", list))
		require.Equal(t, http.StatusOK, g.request(http.MethodGet, 2, "channel_1.m3u8", nil).Code)
		require.Equal(t, http.StatusNotFound, g.request(http.MethodGet, 1, "channel_1.m3u8", nil).Code)
		require.Equal(t, http.StatusNotFound, put(one, "channel_1.m3u8", list), "the inputs were exchanged meanwhile")
		g.channel = with(one)
		require.Equal(t, http.StatusNotFound, put(two, "channel_1.m3u8", list))
	}, func(g *rig) { g.channel = with(two) })
}
