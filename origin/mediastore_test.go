package origin

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/auth/iprange"
	"headwater/auth/sigv4"
	"headwater/origin/access"
	"headwater/origin/channel"
	"headwater/origin/container"
	"headwater/origin/metrics"
	"headwater/storage"
	"headwater/storage/mem"
)

const storeAccount = "210987654321"

// storeRig is a Server with an object store that has the container "demo".
type storeRig struct {
	t             *testing.T
	public, admin http.Handler
	containers    *container.Registry
	identities    *access.Identities
}

// newStoreRig returns a rig whose demo has a policy, "" for the default.
func newStoreRig(t *testing.T, policy string) *storeRig {
	t.Helper()
	now := func() time.Time { return noon }
	engine := mem.New(now)
	containers, err := container.Open(t.Context(), engine, container.Options{Account: container.Account{ID: storeAccount, Region: "eu-west-1"}, Now: now})
	require.NoError(t, err)
	_, err = containers.Create(t.Context(), "demo", nil)
	require.NoError(t, err)
	_, err = containers.Change(t.Context(), "demo", func(c *container.Container) error { c.Policy = policy; return nil })
	require.NoError(t, err)
	trusted, err := iprange.Parse("10.0.0.0/8")
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	r := &storeRig{t: t, containers: containers, identities: access.NewIdentities(storeAccount)}
	r.identities.Set(access.Credentials{
		Keys: []access.AccessKey{{ID: "AKIA1", Key: sigv4.Key{Secret: "s"}, Person: access.Person{Admin: true}}},
		Users: []access.BasicUser{
			{Password: "pw", Person: access.Person{User: "admin", Admin: true}},
			{Password: "pw", Person: access.Person{User: "encoder"}},
		},
		Tokens: []access.Token{{Secret: "t0ken", Person: access.Person{User: "encoder"}}},
	})
	s, err := New(Config{
		Channels: channel.NewRegistry(), Store: storage.New(engine, storage.Options{}), Journal: engine,
		Access:  access.NewChecker(trusted, iprange.NewSources(log)),
		Metrics: metrics.New(func(channel.ID) bool { return false }), Logger: log, Now: now, PublicAddr: "127.0.0.1:8080",
		MediaStore: &MediaStore{Containers: containers, Index: engine, Identities: r.identities,
			Endpoint: Endpoints("http://127.0.0.1:8080", "eu-west-1", "localhost")},
	})
	require.NoError(t, err)
	r.public, r.admin = s.Public(), s.Admin()
	return r
}

// ask sends a request; with are names and values of headers, and of the Host.
func (r *storeRig) ask(method, target, body string, with ...string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(with); i += 2 {
		switch with[i] {
		case "Host":
			q.Host = with[i+1]
		case "user":
			q.SetBasicAuth(with[i+1], "pw")
		case "peer":
			q.RemoteAddr = with[i+1]
		default:
			q.Header.Set(with[i], with[i+1])
		}
	}
	w := httptest.NewRecorder()
	r.public.ServeHTTP(w, q)
	return w
}

const demoARN = "arn:aws:mediastore:eu-west-1:" + storeAccount + ":container/demo"

// edgePolicy lets whoever knows the secret read over HTTPS, and the encoder write below live/.
const edgePolicy = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Principal":"*","Action":["mediastore:GetObject","mediastore:DescribeObject"],"Resource":"` + demoARN + `/*",
	 "Condition":{"StringEquals":{"aws:UserAgent":"secret"},"Bool":{"aws:SecureTransport":"true"}}},
	{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + storeAccount + `:user/encoder"},"Action":["mediastore:PutObject"],
	 "Resource":"` + demoARN + `/live/*","Condition":{"Bool":{"aws:SecureTransport":["true","false"]}}},
	{"Effect":"Deny","Principal":"*","Action":"mediastore:*","Resource":"` + demoARN + `/*","Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}]}`

func TestObjectsAreFoundByTheHostOfTheirContainerAndByItsPath(t *testing.T) {
	r := newStoreRig(t, "")
	c, err := r.containers.Get("demo")
	require.NoError(t, err)
	host := c.ID + ".data.mediastore.eu-west-1.localhost:8080"
	require.Equal(t, 200, r.ask("PUT", "//a/b.txt", "hello", "Host", host, "user", "admin").Code)
	for _, w := range []*httptest.ResponseRecorder{
		r.ask("GET", "/a/b.txt", "", "Host", strings.ToUpper(host), "user", "admin"),
		r.ask("GET", "/a%2Fb.txt", "", "Host", c.ID+".data.mediastore.us-west-2.amazonaws.com", "user", "admin"),
		r.ask("GET", "/containers/demo/a/b.txt", "", "user", "admin"),
	} {
		require.Equal(t, 200, w.Code)
		require.Equal(t, "hello", w.Body.String())
	}
	for _, target := range []string{"/containers/demo", "/containers/demo/"} {
		require.Contains(t, r.ask("GET", target, "", "user", "admin").Body.String(), `"Name":"a"`, target)
	}
	for _, w := range []*httptest.ResponseRecorder{
		r.ask("GET", "/a/b.txt", "", "Host", "zzz.data.mediastore.eu-west-1.localhost"),
		r.ask("GET", "/containers/other/a", ""),
	} {
		require.Equal(t, 404, w.Code)
		require.Equal(t, "ContainerNotFoundException", w.Header().Get("X-Amzn-Errortype"))
		require.NotEmpty(t, w.Header().Get("X-Amzn-Requestid"))
	}
}

func TestTheContainersPolicyDecidesUnlessAnAdministratorAsks(t *testing.T) {
	r := newStoreRig(t, edgePolicy)
	require.Equal(t, 200, r.ask("PUT", "/containers/demo/live/a.ts", "x", "user", "encoder").Code, "the encoder writes")
	https := []string{"peer", "10.1.1.1:99", "X-Forwarded-Proto", "https", "X-Forwarded-For", "198.51.100.7", "User-Agent", "secret"}
	for name, c := range map[string]struct {
		method, target string
		status         int
		kind           string
		with           []string
	}{
		"the edge reads":                     {"GET", "/live/a.ts", 200, "", https},
		"without the secret":                 {"GET", "/live/a.ts", 403, "AccessDeniedException", append(https[:6:6], "User-Agent", "Secret")},
		"without HTTPS":                      {"GET", "/live/a.ts", 403, "AccessDeniedException", []string{"User-Agent", "secret"}},
		"HTTPS by the word of a stranger":    {"GET", "/live/a.ts", 403, "AccessDeniedException", append([]string{"peer", "192.0.2.1:9"}, https[2:]...)},
		"a banned address":                   {"GET", "/live/a.ts", 403, "AccessDeniedException", append(https[:8:8], "X-Forwarded-For", "203.0.113.9")},
		"a Deny wins over an administrator":  {"GET", "/live/a.ts", 403, "AccessDeniedException", []string{"user", "admin", "peer", "203.0.113.9:1"}},
		"an administrator":                   {"GET", "/live/a.ts", 200, "", []string{"user", "admin"}},
		"the encoder elsewhere":              {"PUT", "/other/a.ts", 403, "AccessDeniedException", []string{"user", "encoder"}},
		"the encoder does not read":          {"GET", "/live/a.ts", 403, "AccessDeniedException", []string{"user", "encoder"}},
		"the encoder by its token":           {"PUT", "/live/b.ts", 200, "", []string{"Authorization", "Bearer t0ken"}},
		"a wrong token":                      {"GET", "/live/a.ts", 401, "UnauthorizedException", append(https[:8:8], "Authorization", "Bearer x")},
		"a wrong user is not anonymous":      {"GET", "/live/a.ts", 401, "UnauthorizedException", append(https[:8:8], "user", "nobody")},
		"a writer is asked for credentials":  {"PUT", "/live/b.ts", 401, "UnauthorizedException", nil},
		"an unknown scheme":                  {"GET", "/live/a.ts", 400, "IncompleteSignatureException", append(https[:8:8], "Authorization", "Digest x")},
		"half a signature":                   {"GET", "/live/a.ts", 400, "IncompleteSignatureException", append(https[:8:8], "Authorization", "AWS4-HMAC-SHA256 x")},
		"a presigned URL that is none":       {"GET", "/live/a.ts?X-Amz-Signature=00", 400, "IncompleteSignatureException", https},
		"a list is not the edge's":           {"GET", "/", 403, "AccessDeniedException", https},
		"what is not there, of the edge":     {"GET", "/live/none.ts", 404, "ObjectNotFoundException", https},
		"what is not there, without secrets": {"GET", "/live/none.ts", 403, "AccessDeniedException", nil},
		"a name that breaks a rule":          {"GET", "/live/a%21", 400, "ValidationException", https},
	} {
		t.Run(name, func(t *testing.T) {
			w := r.ask(c.method, "/containers/demo"+c.target, "x", c.with...)
			require.Equal(t, c.status, w.Code, w.Body.String())
			require.Equal(t, c.kind, w.Header().Get("X-Amzn-Errortype"))
			if c.status == http.StatusUnauthorized {
				require.Contains(t, w.Header().Get("Www-Authenticate"), "Basic")
			}
		})
	}
}

func TestOnlyTheOwnersPeopleReachTheControlPlane(t *testing.T) {
	r := newStoreRig(t, "")
	call := func(op, body string, with ...string) (int, string) {
		q := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		q.Header.Set("X-Amz-Target", "MediaStore_20170901."+op)
		for i := 0; i+1 < len(with); i += 2 {
			q.SetBasicAuth(with[i+1], "pw")
		}
		w := httptest.NewRecorder()
		r.admin.ServeHTTP(w, q)
		return w.Code, w.Header().Get("X-Amzn-Errortype") + w.Body.String()
	}
	status, body := call("DescribeContainer", `{"ContainerName":"demo"}`, "user", "admin")
	require.Equal(t, 200, status)
	require.Contains(t, body, ".data.mediastore.eu-west-1.localhost:8080")
	status, body = call("DescribeContainer", `{"ContainerName":"demo"}`)
	require.Equal(t, 403, status)
	require.Contains(t, body, "MissingAuthenticationTokenException")
	status, body = call("DescribeContainer", `{"ContainerName":"demo"}`, "user", "encoder")
	require.Equal(t, 403, status)
	require.Contains(t, body, "AccessDeniedException")
	status, body = call("DescribeContainer", `{"ContainerName":"none"}`, "user", "admin")
	require.Equal(t, 400, status)
	require.Contains(t, body, "ContainerNotFoundException")
}

func TestAnySignatureIsGoodOnlyWhereNoCredentialsAre(t *testing.T) {
	r := newStoreRig(t, "")
	const bogus = "AWS4-HMAC-SHA256 Credential=a/20260302/eu-west-1/mediastore/aws4_request, SignedHeaders=host, Signature=00"
	r.identities.Set(access.Credentials{Open: true})
	require.Equal(t, 200, r.ask("PUT", "/containers/demo/a", "x", "Authorization", bogus).Code)
	require.Equal(t, 403, r.ask("GET", "/containers/demo/a", "").Code, "who does not sign stays anonymous")
	r.identities.Set(access.Credentials{})
	require.NotEqual(t, 200, r.ask("GET", "/containers/demo/a", "", "Authorization", bogus).Code)
	r.identities.Set(access.Credentials{Open: true, Tokens: []access.Token{{Secret: "t"}}})
	require.NotEqual(t, 200, r.ask("GET", "/containers/demo/a", "", "Authorization", bogus).Code)
}

func TestTheEndpointHasThePortOfItsListenerWhereItIsNotTheUsualOne(t *testing.T) {
	for base, want := range map[string]string{
		"http://127.0.0.1:8080":     "http://x.data.mediastore.r.d:8080",
		"https://[::]:443":          "https://x.data.mediastore.r.d",
		"https://live.example.com/": "https://x.data.mediastore.r.d",
	} {
		require.Equal(t, want, Endpoints(base, "r", "d")("x"), base)
	}
}
