package control

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth"
	"headwater/origin/container"
	"headwater/origin/reply"
)

// inputs holds an input of each operation that is right for a container that has everything.
var inputs = map[string]string{
	"CreateContainer":       `{'ContainerName':'other'}`,
	"DescribeContainer":     `{'ContainerName':'harbor'}`,
	"ListContainers":        `{}`,
	"PutContainerPolicy":    `{'ContainerName':'harbor','Policy':'{}'}`,
	"GetContainerPolicy":    `{'ContainerName':'harbor'}`,
	"PutCorsPolicy":         `{'ContainerName':'harbor','CorsPolicy':[]}`,
	"GetCorsPolicy":         `{'ContainerName':'harbor'}`,
	"DeleteCorsPolicy":      `{'ContainerName':'harbor'}`,
	"PutLifecyclePolicy":    `{'ContainerName':'harbor','LifecyclePolicy':'{}'}`,
	"GetLifecyclePolicy":    `{'ContainerName':'harbor'}`,
	"DeleteLifecyclePolicy": `{'ContainerName':'harbor'}`,
	"PutMetricPolicy":       `{'ContainerName':'harbor','MetricPolicy':{'ContainerLevelMetrics':'ENABLED'}}`,
	"GetMetricPolicy":       `{'ContainerName':'harbor'}`,
	"DeleteMetricPolicy":    `{'ContainerName':'harbor'}`,
	"StartAccessLogging":    `{'ContainerName':'harbor'}`,
	"StopAccessLogging":     `{'ContainerName':'harbor'}`,
	"TagResource":           `{'Resource':'ARN/harbor','Tags':[{'Key':'k'}]}`,
	"UntagResource":         `{'Resource':'ARN/harbor','TagKeys':['k']}`,
	"ListTagsForResource":   `{'Resource':'ARN/harbor'}`,
	"DeleteContainerPolicy": `{'ContainerName':'harbor'}`,
	"DeleteContainer":       `{'ContainerName':'harbor'}`,
}

// without returns an input in which a member has another name, which no operation has.
func without(in, member string) string { return strings.Replace(in, "'"+member+"'", "'x'", 1) }

func TestThereAreTheOperationsOfMediaStore(t *testing.T) {
	require.Len(t, operations, 21)
	for name := range inputs {
		require.Contains(t, operations, name)
	}
}

func TestWhatAnOperationNeedsIsNamedWhenItIsMissing(t *testing.T) {
	g := newRig(t).with("harbor")
	for name, op := range operations {
		for _, member := range op.needs {
			g.fails(name, without(inputs[name], member), "ValidationException", member+" is required")
			g.fails(name, `{'`+member+`':null}`, "ValidationException", " is required")
			g.fails(name, `{'`+strings.ToLower(member)+`':'harbor'}`, "ValidationException", " is required")
		}
	}
}

func TestOnlyContainersThatExistCanBeWorkedWith(t *testing.T) {
	g := newRig(t)
	for name, op := range operations {
		if len(op.needs) > 0 && !op.makes {
			g.fails(name, inputs[name], "ContainerNotFoundException", "No such container")
		}
	}
}

func TestNamesOfContainersAreChecked(t *testing.T) {
	g := newRig(t)
	for _, name := range []string{"", "a b", "a/b", "é", strings.Repeat("a", 256)} {
		for _, op := range []string{"CreateContainer", "DescribeContainer", "DeleteContainer", "GetContainerPolicy"} {
			g.fails(op, `{`+text("ContainerName", name)+`}`, "ValidationException", "a container name has")
		}
	}
}

func TestAContainerOfTheConfigurationIsNotChanged(t *testing.T) {
	g := newRig(t).declared(container.Declaration{Name: "harbor", Tags: []container.Tag{{Key: "k", Value: "v"}}})
	before, err := g.registry.Get("harbor")
	require.NoError(t, err)
	for name, op := range operations {
		if !op.reads && !op.makes {
			g.refused(g.call(name, inputs[name]), http.StatusForbidden, "AccessDeniedException", "declared in the configuration")
		}
	}
	g.fails("CreateContainer", `{'ContainerName':'harbor'}`, "ContainerInUseException", "exists")
	after, err := g.registry.Get("harbor")
	require.NoError(t, err)
	require.Same(t, before, after)
	g.succeeds("ListTagsForResource", `{'Resource':'ARN/harbor'}`, `{'Tags':[{'Key':'k','Value':'v'}]}`)
	g.succeeds("DescribeContainer", `{`+harbor+`}`, `{'Container':{'ARN':'ARN/harbor','AccessLoggingEnabled':false,'CreationTime':0.0,
		'Endpoint':'http://`+before.ID+`.data.mediastore.test:8080','Name':'harbor','Status':'ACTIVE'}}`)
}

func TestRequestsThatAreNotRightGetAnExceptionThatSaysWhy(t *testing.T) {
	g := newRig(t).with("harbor")
	target := func(op string) []string { return []string{targetHeader, op} }
	for _, c := range []struct {
		why     string
		body    string
		headers []string
		status  int
		kind    string
		text    string
	}{
		{"no target", `{}`, nil, 400, "UnknownOperationException", "X-Amz-Target names an operation"},
		{"no such operation", `{}`, target(targetPrefix + "RenameContainer"), 400, "UnknownOperationException", "No such operation"},
		{"an operation in another case", `{}`, target(targetPrefix + "listContainers"), 400, "UnknownOperationException", ""},
		{"an operation without a service", `{}`, target("ListContainers"), 400, "UnknownOperationException", ""},
		{"another service", `{}`, target("DynamoDB_20120810.ListContainers"), 400, "UnknownOperationException", ""},
		{"no JSON", `{"a"`, target(targetPrefix + "ListContainers"), 400, "SerializationException", "not JSON"},
		{"no object", `[]`, target(targetPrefix + "ListContainers"), 400, "SerializationException", "not a JSON object"},
		{"null", `null`, target(targetPrefix + "ListContainers"), 400, "SerializationException", "not a JSON object"},
		{"two objects", `{}{}`, target(targetPrefix + "ListContainers"), 400, "SerializationException", "something follows"},
		{"a member twice", `{"MaxResults":1,"MaxResults":2}`, target(targetPrefix + "ListContainers"), 400, "SerializationException", "stands twice"},
		{"no UTF-8", "{\"a\":\"\xff\"}", target(targetPrefix + "ListContainers"), 400, "SerializationException", "not UTF-8"},
		{"a member of the wrong type", `{"MaxResults":"ten"}`, target(targetPrefix + "ListContainers"), 400, "SerializationException", "MaxResults has the wrong type"},
		{"a part of a number", `{"MaxResults":1.5}`, target(targetPrefix + "ListContainers"), 400, "SerializationException", "MaxResults has the wrong type"},
		{"too long a body", `{"x":"` + strings.Repeat("a", maxBody) + `"}`, target(targetPrefix + "ListContainers"), 413, "RequestEntityTooLargeException", "too large"},
	} {
		t.Run(c.why, func(t *testing.T) {
			g.t = t
			g.refused(g.do(http.MethodPost, "/", c.body, c.headers...), c.status, c.kind, c.text)
		})
	}
}

func TestWhatAnOperationDoesNotKnowIsIgnored(t *testing.T) {
	g := newRig(t)
	g.succeeds("ListContainers", `{'ContainerName':7,'Future':{'a':[null]}}`, `{'Containers':[]}`)
}

func TestTheContentTypeAndPathDoNotMatterNorAnEmptyBody(t *testing.T) {
	g := newRig(t)
	for _, kind := range []string{"", "text/plain", "application/json", "application/x-amz-json-1.0"} {
		for _, body := range []string{"", " \n", "{}"} {
			a := g.do(http.MethodPost, "/any/path", body, targetHeader, targetPrefix+"ListContainers", "Content-Type", kind)
			require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		}
	}
}

func TestOtherMethodsThanPOSTAreNotAllowed(t *testing.T) {
	g := newRig(t)
	for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS", "PATCH"} {
		a := g.do(method, "/", "", targetHeader, targetPrefix+"ListContainers")
		g.refused(a, http.StatusMethodNotAllowed, "MethodNotAllowedException", "")
		require.Equal(t, "POST", a.Header.Get("Allow"))
	}
	require.Equal(t, http.StatusMethodNotAllowed, g.do(http.MethodHead, "/", "").StatusCode)
}

func TestTheAuthorizerHearsTheDigestTheOperationAndTheContainer(t *testing.T) {
	for name, op := range operations {
		t.Run(name, func(t *testing.T) {
			g := newRig(t).with("harbor")
			g.call(name, inputs[name])
			sum := sha256.Sum256([]byte(jsonText(inputs[name])))
			want := asked{hex.EncodeToString(sum[:]), name, arn + "harbor"}
			if op.makes || len(op.needs) == 0 {
				want.resource = "*"
			}
			require.Equal(t, []asked{want}, g.asked)
		})
	}
}

func TestWhoeverMayNotIsRefusedBeforeAnythingIsDone(t *testing.T) {
	g := newRig(t).with("harbor")
	g.deny = true
	before := g.registry.List()
	for name := range operations {
		g.refused(g.call(name, inputs[name]), http.StatusForbidden, "AccessDeniedException", "Access denied")
	}
	require.Equal(t, before, g.registry.List())
	g.refused(g.call("DeleteContainer", `{`), http.StatusForbidden, "AccessDeniedException", "")
	require.Equal(t, "*", g.asked[len(g.asked)-1].resource, "a request that names no container as it should is about none")
}

func TestChangesAreLoggedWithWhoMadeThem(t *testing.T) {
	g := newRig(t)
	var log bytes.Buffer
	h := reply.Requests(slog.New(slog.NewTextHandler(&log, nil)), nil)(g.handler)
	send := func(op, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set(targetHeader, targetPrefix+op)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	send("ListContainers", `{}`)
	require.Empty(t, log.String())
	send("CreateContainer", `{"ContainerName":"harbor"}`)
	require.Contains(t, log.String(), "operation=CreateContainer container=harbor requester="+admin)
}

func TestWhoIsUnknownIsAskedForCredentials(t *testing.T) {
	w := httptest.NewRecorder()
	reply.WriteAWSJSON(w, httptest.NewRequest(http.MethodPost, "/", nil), answers, auth.ErrUnauthenticated)
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Contains(t, w.Body.String(), `"__type":"UnauthorizedException"`)
}
