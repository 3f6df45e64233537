package access_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/auth"
	"headwater/origin/access"
	"headwater/origin/channel"
)

func TestAnInputKnownByItsGUIDTakesItsOwnCredentialsAlone(t *testing.T) {
	const guid = "3a1f0c5e8d2b4796a0e1c2d3f4b5a697"
	ch := &channel.Channel{Ingest: channel.IngestAuth{Users: []channel.User{{Name: "all", Password: "p"}}}}
	ch.V2 = channel.IngestV2{ID: guid, Inputs: []channel.InputV2{{ID: guid, Users: []channel.User{{Name: "one", Password: "p"}}}, {ID: "other"}}}
	for _, tt := range []struct {
		name, user string
		by         access.Door
		want       error
	}{
		{"by its number it takes those of the channel", "all", access.Door{Input: 1}, nil},
		{"by its number it does not take its own", "one", access.Door{Input: 1}, auth.ErrUnauthenticated},
		{"by its GUID it takes its own", "one", access.Door{Input: 1, GUID: guid}, nil},
		{"by its GUID it does not take those of the channel", "all", access.Door{Input: 1, GUID: guid}, auth.ErrUnauthenticated},
		{"without any of its own it takes those of the channel", "all", access.Door{Input: 2, GUID: "other"}, nil},
		{"a GUID that went is not found", "all", access.Door{Input: 2, GUID: guid}, channel.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request(http.MethodPut, "203.0.113.1:1")
			r.SetBasicAuth(tt.user, "p")
			err := access.NewEncoders().Check(r, ch, tt.by)
			require.ErrorIs(t, err, tt.want)
			require.False(t, access.Begins(err))
		})
	}
}

func TestWhatADialogueWithAnEncoderBeginsWith(t *testing.T) {
	ch := &channel.Channel{Ingest: channel.IngestAuth{Users: []channel.User{{Name: "enc", Password: "p"}}}}
	e := access.NewEncoders()
	err := e.Check(request(http.MethodPut, "203.0.113.1:1"), ch, access.Door{Input: 1, Began: time.Unix(0, 0)})
	require.True(t, access.Begins(err), "no credentials")
	err = e.Check(request(http.MethodPut, "203.0.113.1:1", "Authorization: Digest x"), ch, access.Door{Input: 1})
	require.ErrorIs(t, err, auth.ErrUnauthenticated)
	require.False(t, access.Begins(err))
	require.False(t, access.Begins(nil))
}
