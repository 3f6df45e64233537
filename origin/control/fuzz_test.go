package control

import (
	"encoding/json"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/origin/container"
)

// FuzzRead parses bodies for every operation: what is accepted has all that the operation needs, and what is refused says why.
func FuzzRead(f *testing.F) {
	names := slices.Sorted(maps.Keys(operations))
	for _, in := range inputs {
		f.Add([]byte(jsonText(in)))
	}
	for _, in := range []string{"", "{", "null", `{"a":1}{}`, `{"a":1,"a":1}`, `{"Tags":[null]}`, `{"CorsPolicy":[{"AllowedOrigins":[null],"AllowedHeaders":[]}]}`,
		`{"MaxResults":1e99}`, strings.Repeat("[", 20_000), strings.Repeat(`{"a":`, 20_000), "\xff", `{"ContainerName":"\ud800"}`} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, name := range names {
			op := operations[name]
			in, err := op.read(body)
			require.NotNil(t, in)
			if err != nil {
				require.True(t, errors.Is(err, errMalformed) || errors.Is(err, container.ErrInvalid), "%s: %v", name, err)
				require.NotEqual(t, 500, answers.Describe(err).Status)
				continue
			}
			var whole map[string]any
			if len(op.needs) > 0 {
				require.NoError(t, json.Unmarshal(body, &whole))
			}
			for _, member := range op.needs {
				require.NotNil(t, whole[member], "%s without %s", name, member)
			}
		}
	})
}

// FuzzReadToken reads tokens of lists: what is accepted is what is written.
func FuzzReadToken(f *testing.F) {
	for _, s := range []string{"", "YQ==", "YQ", "YR==", "\n", strings.Repeat("YWFh", 85), strings.Repeat("YWFh", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, err := readToken(s); err == nil {
			require.Equal(t, s, writeToken(name))
			require.NoError(t, container.CheckName(name))
		} else {
			require.ErrorIs(t, err, container.ErrInvalid)
		}
	})
}

// FuzzReadQuestion reads questions of dry runs as far as the request that they describe.
func FuzzReadQuestion(f *testing.F) {
	for _, in := range []string{"", `{}`, `{'Action':'GetObject','Path':'a','Principal':'anonymous','SourceIp':'::1','UserAgent':'','Referer':'r','SecureTransport':false}`,
		`{'Action':'ListItems','Path':'/','SourceIp':'10.0.0.1','Context':{'a':'b','c':['d','e'],'f':[]}}`, `{'Context':{'a':null}}`, `{'Policy':'{}'}`,
		`{'Action':'ListContainers','SourceIp':'::'}`} {
		f.Add([]byte(jsonText(in)))
	}
	c := &container.Container{Name: "harbor", ARN: arn + "harbor"}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := readQuestion(body)
		if err != nil {
			require.ErrorIs(t, err, errMalformed)
			return
		}
		r, err := q.request(c, region, noon)
		if err != nil {
			require.ErrorIs(t, err, container.ErrInvalid)
			return
		}
		require.NotEmpty(t, r.Resources)
		require.True(t, strings.HasPrefix(r.Action, "mediastore:"))
		require.NotNil(t, net.ParseIP(q.SourceIP))
	})
}
