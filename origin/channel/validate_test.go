package channel_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
)

func TestDefaultChannelIsValid(t *testing.T) {
	ch := channel.Default(channel.ID{Group: "default", Name: "one"})
	require.NoError(t, ch.Validate())
	var names []string
	for _, e := range ch.Endpoints {
		for _, m := range e.Manifests {
			names = append(names, fmt.Sprintf("%s %s %s/%s", e.Name, e.Container, m.Name, m.Type))
		}
		require.Equal(t, 60*time.Second, e.ManifestWindow)
		require.Equal(t, 6*time.Hour, e.StartoverWindow)
	}
	require.Equal(t, []string{"cmaf CMAF index/hls", "cmaf CMAF index/dash", "ts TS index/hls", "ism ISM index/mss"}, names)
	require.Equal(t, 2, ch.Endpoints[2].LookAhead)
	require.True(t, ch.Ingest.Empty())
}

func TestValidate(t *testing.T) {
	long := strings.Repeat("a", 257)
	tests := []struct {
		name  string
		spoil func(*channel.Channel)
		path  string // of the only problem, "" for none
		kind  string
	}{
		{"a name may hold every allowed character", func(c *channel.Channel) { c.Name = "aZ09_-" }, "", ""},
		{"a name may have 256 characters", func(c *channel.Channel) { c.Name = long[:256] }, "", ""},
		{"a name cannot have 257", func(c *channel.Channel) { c.Name = long }, "name", channel.MemberPattern},
		{"a name cannot hold a dot", func(c *channel.Channel) { c.Group = "a.b" }, "group", channel.MemberPattern},
		{"a name cannot hold a slash", func(c *channel.Channel) { c.Group = "a/b" }, "group", channel.MemberPattern},
		{"a name cannot hold other letters", func(c *channel.Channel) { c.Name = "köln" }, "name", channel.MemberPattern},
		{"a name is needed", func(c *channel.Channel) { c.Name = "" }, "name", channel.MemberMissing},
		{"numbering is one of three", func(c *channel.Channel) { c.Numbering = "time" }, "numbering", channel.MemberEnum},
		{"the preferred input is 1 or 2", func(c *channel.Channel) { c.PreferredInput = 3 }, "preferred_input", channel.MemberInvalid},
		{"an input may be preferred", func(c *channel.Channel) { c.PreferredInput = 2 }, "", ""},
		{"a source is a folder of a container", func(c *channel.Channel) { c.Source = "container/a" }, "source", channel.MemberInvalid},
		{"a source is of a container only", func(c *channel.Channel) { c.Source = "s3/a/b" }, "source", channel.MemberInvalid},
		{"a channel may have a source", func(c *channel.Channel) { c.Source = "container/blog_demo-1/live/a=b" }, "", ""},
		{"a segment lasts at most 30 s", func(c *channel.Channel) { c.SegmentDuration = 31 * time.Second },
			"segment_duration", channel.MemberMax},
		{"a segment lasts at least half a second", func(c *channel.Channel) { c.Endpoints[0].SegmentDuration = time.Millisecond },
			"endpoints.0.segment_duration", channel.MemberMin},
		{"endpoints have different names", func(c *channel.Channel) { c.Endpoints[2].Name = "cmaf" },
			"endpoints.2.name", channel.EndpointCollision},
		{"a channel may have no endpoint yet", func(c *channel.Channel) { c.Endpoints = nil }, "", ""},
		{"a channel has at most 25 endpoints", func(c *channel.Channel) {
			for i := range 23 {
				c.Endpoints = append(c.Endpoints, channel.NewEndpoint(fmt.Sprint("e", i), channel.TS))
			}
		}, "endpoints", channel.MemberMax},
		{"a container is one of three", func(c *channel.Channel) { c.Endpoints[0].Container = "cmaf" },
			"endpoints.0.container", channel.MemberEnum},
		{"an endpoint has a manifest", func(c *channel.Channel) { c.Endpoints[1].Manifests = nil },
			"endpoints.1.manifests", channel.ManifestsLow},
		{"an endpoint has at most 25 manifests", func(c *channel.Channel) {
			for i := range 25 {
				c.Endpoints[1].Manifests = append(c.Endpoints[1].Manifests, channel.Manifest{Name: fmt.Sprint(i), Type: channel.HLS})
			}
		}, "endpoints.1.manifests", channel.ManifestsHigh},
		{"a manifest's name cannot hold an underscore", func(c *channel.Channel) { c.Endpoints[1].Manifests[0].Name = "a_b" },
			"endpoints.1.manifests.0.name", channel.MemberPattern},
		{"two manifests of a type have different names", func(c *channel.Channel) { c.Endpoints[0].Manifests[1].Type = channel.HLS },
			"endpoints.0.manifests.1.name", channel.ManifestCollision},
		{"a manifest type is one of three", func(c *channel.Channel) { c.Endpoints[1].Manifests[0].Type = "hds" },
			"endpoints.1.manifests.0.type", channel.MemberEnum},
		{"TS cannot carry DASH", func(c *channel.Channel) { c.Endpoints[1].Manifests[0].Type = channel.DASH },
			"endpoints.1.manifests.0.type", channel.TSWithDASH},
		{"TS cannot carry MSS", func(c *channel.Channel) { c.Endpoints[1].Manifests[0].Type = channel.MSS },
			"endpoints.1.manifests.0.type", channel.TSWithMSS},
		{"CMAF cannot carry MSS", func(c *channel.Channel) { c.Endpoints[0].Manifests[0].Type = channel.MSS },
			"endpoints.0.manifests.0.type", channel.CMAFWithMSS},
		{"ISM cannot carry HLS", func(c *channel.Channel) { c.Endpoints[2].Manifests[0].Type = channel.HLS },
			"endpoints.2.manifests.0.type", channel.ISMWithHLS},
		{"ISM cannot carry DASH", func(c *channel.Channel) { c.Endpoints[2].Manifests[0].Type = channel.DASH },
			"endpoints.2.manifests.0.type", channel.ISMWithDASH},
		{"only DASH has a template", func(c *channel.Channel) { c.Endpoints[0].Manifests[0].TimeTemplate = true },
			"endpoints.0.manifests.0.time_template", channel.MemberInvalid},
		{"a manifest lists something", func(c *channel.Channel) { c.Endpoints[0].ManifestWindow = 0 },
			"endpoints.0.manifest_window", channel.MemberMin},
		{"a manifest lists at most a day", func(c *channel.Channel) { c.Endpoints[0].ManifestWindow = 25 * time.Hour },
			"endpoints.0.manifest_window", channel.MemberMax},
		{"start-over may be off", func(c *channel.Channel) { c.Endpoints[0].StartoverWindow = 0 }, "", ""},
		{"start-over may reach back 14 days", func(c *channel.Channel) { c.Endpoints[0].StartoverWindow = 14 * 24 * time.Hour }, "", ""},
		{"and not further", func(c *channel.Channel) { c.Endpoints[0].StartoverWindow = 14*24*time.Hour + 1 },
			"endpoints.0.startover_window", channel.MemberMax},
		{"a delay is less than the start-over window", func(c *channel.Channel) { c.Endpoints[0].TimeDelay = 6 * time.Hour },
			"endpoints.0.time_delay", channel.InvalidTimeDelay},
		{"a delay without start-over is at most a day", func(c *channel.Channel) {
			c.Endpoints[0].StartoverWindow, c.Endpoints[0].TimeDelay = 0, 25*time.Hour
		}, "endpoints.0.time_delay", channel.InvalidTimeDelay},
		{"a delay is not negative", func(c *channel.Channel) { c.Endpoints[0].TimeDelay = -1 },
			"endpoints.0.time_delay", channel.InvalidTimeDelay},
		{"Smooth looks ahead", func(c *channel.Channel) { c.Endpoints[2].LookAhead = 0 },
			"endpoints.2.look_ahead", channel.MemberInvalid},
		{"but not by nine", func(c *channel.Channel) { c.Endpoints[2].LookAhead = 9 },
			"endpoints.2.look_ahead", channel.MemberInvalid},
		{"nothing else looks ahead", func(c *channel.Channel) { c.Endpoints[0].LookAhead = 2 },
			"endpoints.0.look_ahead", channel.MemberInvalid},
		{"only TS has audio groups", func(c *channel.Channel) { c.Endpoints[0].AudioGroups = true },
			"endpoints.0.audio_groups", channel.MemberInvalid},
		{"a playback secret is not empty", func(c *channel.Channel) { c.Endpoints[0].Access.UserAgentSecrets = []string{"ok", ""} },
			"endpoints.0.access.user_agent_secrets.1", channel.MemberMissing},
		{"a playback secret fits into a header", func(c *channel.Channel) { c.Endpoints[0].Access.UserAgentSecrets = []string{"a\nb"} },
			"endpoints.0.access.user_agent_secrets.0", channel.MemberPattern},
		{"a playback secret is not endless", func(c *channel.Channel) { c.Endpoints[0].Access.UserAgentSecrets = []string{long} },
			"endpoints.0.access.user_agent_secrets.0", channel.MemberMaxLength},
		{"an allowed prefix is one", func(c *channel.Channel) { c.Endpoints[0].Access.AllowIPs = []netip.Prefix{{}} },
			"endpoints.0.access.allow_ips.0", channel.MemberInvalid},
		{"a source has a name", func(c *channel.Channel) { c.Endpoints[0].Access.AllowSources = []string{""} },
			"endpoints.0.access.allow_sources.0", channel.MemberMissing},
		{"a user has a password", func(c *channel.Channel) { c.Ingest.Users = []channel.User{{Name: "enc"}} },
			"ingest.users.0.password", channel.MemberMissing},
		{"a user's name has no colon", func(c *channel.Channel) { c.Ingest.Users = []channel.User{{Name: "e:c", Password: "x"}} },
			"ingest.users.0.name", channel.MemberPattern},
		{"a token has no space", func(c *channel.Channel) { c.Ingest.Tokens = []string{"a b"} },
			"ingest.tokens.0", channel.MemberPattern},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ch := channel.Default(channel.ID{Group: "default", Name: "one"})
			tt.spoil(&ch)
			err := ch.Validate()
			if tt.path == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, channel.ErrInvalid)
			problems := channel.Problems(fmt.Errorf("wrapped: %w", err))
			require.Len(t, problems, 1, "%v", err)
			require.Equal(t, tt.path, problems[0].Path)
			require.Equal(t, tt.kind, problems[0].Type)
		})
	}
}

func TestValidateReportsEverythingAtOnce(t *testing.T) {
	ch := channel.Channel{Endpoints: []channel.Endpoint{{}, {}}}
	require.GreaterOrEqual(t, len(channel.Problems(ch.Validate())), 9)
	require.Nil(t, channel.Problems(nil))
}

func TestSecretsOfChannelsAreNeverPrinted(t *testing.T) {
	ch := channel.Default(channel.ID{Group: "default", Name: "one"})
	ch.Ingest = channel.IngestAuth{Users: []channel.User{{Name: "enc", Password: "s3cret"}}, Tokens: []string{"t0ken"}}
	ch.V2.Inputs = []channel.InputV2{{Users: []channel.User{{Name: "one", Password: "v2secret"}}}}
	ch.Endpoints[0].Access.UserAgentSecrets = []string{"4gent"}
	body, err := json.Marshal(ch)
	require.NoError(t, err)
	out := string(body)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		out += fmt.Sprintf(verb+verb+verb+verb, ch, ch.Ingest, ch.Endpoints, ch.Ingest.Users)
	}
	for _, secret := range []string{"s3cret", "t0ken", "4gent", "v2secret"} {
		require.NotContains(t, out, secret)
	}
	require.Contains(t, out, "1 user-agent secrets")
	require.Len(t, ch.Ingest.Credentials().Users, 1)
}
