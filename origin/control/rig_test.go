package control

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/auth"
	"headwater/auth/policy"
	"headwater/origin/container"
	"headwater/origin/reply"
	"headwater/storage"
	"headwater/storage/mem"
)

const (
	accountID = "210987654321"
	region    = "eu-west-1"
	arn       = "arn:aws:mediastore:" + region + ":" + accountID + ":container/" // and a name
	admin     = "arn:aws:iam::" + accountID + ":user/admin"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// asked is what an Authorizer was asked.
type asked struct{ digest, op, resource string }

// rig is a control plane behind a real listener.
type rig struct {
	t        *testing.T
	url      string
	now      time.Time
	registry *container.Registry
	engine   engine
	store    *storage.Store
	handler  *Handler
	deny     bool
	asked    []asked
}

type engine interface {
	storage.Driver
	storage.Journal
	storage.Index
}

func (g *rig) Authorize(_ *http.Request, digest, op, resource string) (string, error) {
	g.asked = append(g.asked, asked{digest, op, resource})
	if g.deny {
		return "", auth.Deny("policy_denies").Err()
	}
	return admin, nil
}

func newRig(t *testing.T, change ...func(*rig)) *rig {
	t.Helper()
	g := &rig{t: t, now: noon}
	clock := func() time.Time { return g.now }
	g.engine = mem.New(clock)
	for _, f := range change {
		f(g)
	}
	g.store = storage.New(g.engine, storage.Options{})
	check := func(document, arn string) error {
		_, err := policy.Parse([]byte(document), policy.ContainerRules(arn, false))
		return err
	}
	var err error
	g.registry, err = container.Open(t.Context(), g.engine, container.Options{
		Account: container.Account{ID: accountID, Region: region}, Policies: check, Now: clock})
	require.NoError(t, err)
	g.handler = New(Options{Registry: g.registry, Store: g.store, Index: g.engine, Access: g, Now: clock,
		Endpoint: func(id string) string { return "http://" + id + ".data.mediastore.test:8080" }})
	mux := http.NewServeMux()
	mux.Handle("/", g.handler)
	mux.HandleFunc("/v1/containers/{name}/policy/explain", func(w http.ResponseWriter, r *http.Request) {
		g.handler.Explain(w, r, r.PathValue("name"))
	})
	srv := httptest.NewServer(reply.Requests(slog.New(slog.DiscardHandler), nil)(mux))
	t.Cleanup(srv.Close)
	g.url = srv.URL
	return g
}

// with has the rig hold containers from the start.
func (g *rig) with(names ...string) *rig {
	g.t.Helper()
	for _, name := range names {
		_, err := g.registry.Create(g.t.Context(), name, nil)
		require.NoError(g.t, err)
	}
	return g
}

// declared has the rig hold a container of the configuration.
func (g *rig) declared(d container.Declaration) *rig {
	g.t.Helper()
	require.NoError(g.t, g.registry.Declare([]container.Declaration{d}))
	return g
}

// put puts an object into a container.
func (g *rig) put(name, path string) {
	g.t.Helper()
	c, err := g.registry.Get(name)
	require.NoError(g.t, err)
	_, err = g.store.Put(g.t.Context(), storage.Key{Container: c.ID, Path: path}, storage.Attrs{ETag: "e"}, strings.NewReader("x"))
	require.NoError(g.t, err)
}

// answer is what came back.
type answer struct {
	*http.Response
	body string
}

func (g *rig) do(method, path, body string, headers ...string) answer {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, strings.NewReader(body))
	require.NoError(g.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(g.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(g.t, err)
	require.NotEmpty(g.t, res.Header.Get(reply.RequestIDHeader), "every answer has the request's ID")
	return answer{res, string(b)}
}

// jsonText writes JSON with ' for ", and ARN/ for the ARNs of this account.
func jsonText(s string) string { return strings.NewReplacer("'", `"`, "ARN/", arn).Replace(s) }

// call sends an operation as SDKs do; in is jsonText.
func (g *rig) call(op, in string) answer {
	g.t.Helper()
	return g.do(http.MethodPost, "/", jsonText(in), targetHeader, targetPrefix+op, "Content-Type", reply.AWSJSON)
}

// succeeds calls an operation and wants an output; out is jsonText.
func (g *rig) succeeds(op, in, out string) {
	g.t.Helper()
	a := g.call(op, in)
	require.Equal(g.t, http.StatusOK, a.StatusCode, a.body)
	require.Equal(g.t, reply.AWSJSON, a.Header.Get("Content-Type"))
	require.JSONEq(g.t, jsonText(out), a.body)
}

// does calls an operation that has no output.
func (g *rig) does(op, in string) {
	g.t.Helper()
	g.succeeds(op, in, "{}")
}

// fails calls an operation and wants an exception whose message has a text.
func (g *rig) fails(op, in, kind, text string) {
	g.t.Helper()
	g.refused(g.call(op, in), http.StatusBadRequest, kind, text)
}

// refused wants an exception.
func (g *rig) refused(a answer, status int, kind, text string) {
	g.t.Helper()
	require.Equal(g.t, status, a.StatusCode, a.body)
	require.Equal(g.t, kind, a.Header.Get("X-Amzn-Errortype"))
	require.Equal(g.t, reply.AWSJSON, a.Header.Get("Content-Type"))
	var e struct {
		Type      string `json:"__type"`
		Message   string
		RequestId string
	}
	require.NoError(g.t, json.Unmarshal([]byte(a.body), &e), a.body)
	require.Equal(g.t, kind, e.Type)
	require.Contains(g.t, e.Message, text)
	require.Equal(g.t, a.Header.Get(reply.RequestIDHeader), e.RequestId)
}

// output calls an operation and returns a string member of its output.
func (g *rig) output(op, in, member string) string {
	g.t.Helper()
	a := g.call(op, in)
	require.Equal(g.t, http.StatusOK, a.StatusCode, a.body)
	var out map[string]any
	require.NoError(g.t, json.Unmarshal([]byte(a.body), &out))
	s, ok := out[member].(string)
	require.True(g.t, ok, a.body)
	return s
}

// text is a member of an input whose value is a string.
func text(member, value string) string {
	raw, _ := json.Marshal(value)
	return fmt.Sprintf(`'%s':%s`, member, raw)
}

// harbor is a container's name as a member of an input.
const harbor = `'ContainerName':'harbor'`
