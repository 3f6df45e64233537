package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/container"
	"headwater/storage"
	"headwater/storage/fs"
)

func TestAContainerIsBeingCreatedInTheAnswerAndActiveAfterwards(t *testing.T) {
	g := newRig(t)
	g.succeeds("CreateContainer", `{'ContainerName':'harbor','Tags':[{'Key':'team','Value':'live'}]}`,
		`{'Container':{'ARN':'ARN/harbor','AccessLoggingEnabled':false,'CreationTime':1772366400.0,'Name':'harbor','Status':'CREATING'}}`)
	c, err := g.registry.Get("harbor")
	require.NoError(t, err)
	active := `{'ARN':'ARN/harbor','AccessLoggingEnabled':false,'CreationTime':1772366400.0,
		'Endpoint':'http://` + c.ID + `.data.mediastore.test:8080','Name':'harbor','Status':'ACTIVE'}`
	g.succeeds("DescribeContainer", `{`+harbor+`}`, `{'Container':`+active+`}`)
	g.succeeds("ListContainers", `{}`, `{'Containers':[`+active+`]}`)
	g.succeeds("ListTagsForResource", `{'Resource':'ARN/harbor'}`, `{'Tags':[{'Key':'team','Value':'live'}]}`)
	require.Contains(t, g.call("DescribeContainer", `{`+harbor+`}`).body, `"CreationTime":1772366400.0`)
}

func TestANameIsTakenOnceAndKeepsItsCase(t *testing.T) {
	g := newRig(t).with("harbor")
	g.fails("CreateContainer", `{`+harbor+`}`, "ContainerInUseException", "harbor exists")
	require.Equal(t, 200, g.call("CreateContainer", `{'ContainerName':'Harbor'}`).StatusCode)
	require.Equal(t, 200, g.call("CreateContainer", `{'ContainerName':'harbor-2_x'}`).StatusCode)
}

func TestThereIsALimitToContainersAndTags(t *testing.T) {
	g := newRig(t)
	var tags []string
	for i := range container.MaxTags + 1 {
		tags = append(tags, fmt.Sprintf(`{'Key':'k%d'}`, i))
	}
	g.fails("CreateContainer", `{`+harbor+`,'Tags':[`+strings.Join(tags, ",")+`]}`, "LimitExceededException", "at most 50 tags")
	for i := range container.MaxContainers {
		g.with(fmt.Sprint("c", i))
	}
	g.fails("CreateContainer", `{`+harbor+`}`, "LimitExceededException", "100 containers already")
	g.fails("TagResource", `{'Resource':'ARN/c0','Tags':[`+strings.Join(tags, ",")+`]}`, "LimitExceededException", "at most 50 tags")
}

// pageOf lists containers and returns their names and the token of what follows.
func (g *rig) pageOf(in string) (names []string, token string) {
	g.t.Helper()
	a := g.call("ListContainers", in)
	require.Equal(g.t, 200, a.StatusCode, a.body)
	var out page
	require.NoError(g.t, json.Unmarshal([]byte(a.body), &out))
	for _, c := range out.Containers {
		names = append(names, c.Name)
	}
	return names, out.NextToken
}

func TestListsComeInOneAnswerUnlessPagesAreAskedFor(t *testing.T) {
	long := strings.Repeat("n", 255)
	g := newRig(t).with("a", "b", "c-_1", "d", long)
	all, token := g.pageOf(`{}`)
	require.Equal(t, []string{"a", "b", "c-_1", "d", long}, all)
	require.Empty(t, token)

	var got []string
	for in := `{'MaxResults':2}`; ; in = `{'MaxResults':2,'NextToken':'` + token + `'}` {
		var names []string
		names, token = g.pageOf(in)
		require.LessOrEqual(t, len(names), 2)
		if got = append(got, names...); token == "" {
			break
		}
		require.Regexp(t, `^[0-9A-Za-z=/+]+$`, token)
	}
	require.Equal(t, all, got)

	_, token = g.pageOf(`{'MaxResults':3}`)
	rest, end := g.pageOf(`{'NextToken':'` + token + `'}`)
	require.Equal(t, []string{"d", long}, rest, "without a size all the rest comes")
	require.Empty(t, end)
	full, end := g.pageOf(`{'MaxResults':5}`)
	require.Len(t, full, 5)
	require.Empty(t, end, "a page that is just full is the last")
	require.LessOrEqual(t, len(writeToken(long)), maxToken)
}

func TestAListGoesOnBehindAContainerThatIsGone(t *testing.T) {
	g := newRig(t).with("a", "b", "c")
	_, token := g.pageOf(`{'MaxResults':2}`)
	g.does("DeleteContainer", `{'ContainerName':'b'}`)
	rest, _ := g.pageOf(`{'MaxResults':2,'NextToken':'` + token + `'}`)
	require.Equal(t, []string{"c"}, rest)
}

func TestPagesHaveOneToAHundredContainersAndATokenOfOurs(t *testing.T) {
	g := newRig(t)
	for _, n := range []string{"0", "-1", "101"} {
		g.fails("ListContainers", `{'MaxResults':`+n+`}`, "ValidationException", "MaxResults is from 1 to 100")
	}
	g.succeeds("ListContainers", `{'MaxResults':100}`, `{'Containers':[]}`)
	for _, token := range []string{"", "x", "a b", "YSBi", "YQ==\n", "YR==", "YQ-_", strings.Repeat("YWFh", 257)} {
		g.fails("ListContainers", `{`+text("NextToken", token)+`}`, "ValidationException", "NextToken")
	}
}

func TestOnlyAnEmptyContainerIsDeleted(t *testing.T) {
	g := newRig(t).with("harbor")
	g.put("harbor", "ch1/index.m3u8")
	g.fails("DeleteContainer", `{`+harbor+`}`, "ContainerInUseException", "harbor is not empty")
	c, err := g.registry.Get("harbor")
	require.NoError(t, err)
	require.Equal(t, container.Active, c.Status, "it can be used on")
	require.NoError(t, g.store.Delete(t.Context(), storage.Key{Container: c.ID, Path: "ch1/index.m3u8"}))
	g.does("DeleteContainer", `{`+harbor+`}`)
	g.fails("DescribeContainer", `{`+harbor+`}`, "ContainerNotFoundException", "harbor")
	g.fails("DeleteContainer", `{`+harbor+`}`, "ContainerNotFoundException", "harbor")
}

// onFiles has the rig use the file engine.
func onFiles(g *rig) {
	e, err := fs.Open(g.t.TempDir(), fs.Options{NoSync: true, Now: func() time.Time { return g.now }})
	require.NoError(g.t, err)
	g.t.Cleanup(func() { require.NoError(g.t, e.Close()) })
	g.engine = e
}

func TestObjectsThatHaveExpiredKeepNoContainerAndDoNotComeBack(t *testing.T) {
	for name, engine := range map[string]func(*rig){"in memory": func(*rig) {}, "on files": onFiles} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, engine).with("harbor")
			g.does("PutLifecyclePolicy", `{`+harbor+`,`+text("LifecyclePolicy", transient)+`}`)
			for i := range 600 {
				g.put("harbor", fmt.Sprintf("ch1/%d.m3u8", i))
			}
			info, err := g.store.Stat(t.Context(), storage.Key{Container: must(g.registry.Get("harbor")).ID, Path: "ch1/0.m3u8"})
			require.NoError(t, err)
			g.now = info.Modified.Add(15 * time.Second)
			g.fails("DeleteContainer", `{`+harbor+`}`, "ContainerInUseException", "not empty")
			g.now = g.now.Add(time.Hour)
			g.does("DeleteContainer", `{`+harbor+`}`)
			g.with("harbor")
			for range g.engine.Attributed(t.Context(), must(g.registry.Get("harbor")).ID, "", "") {
				t.Fatal("an object came back")
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// waiting is an index that waits while a container is looked through.
type waiting struct {
	storage.Index
	asked, goOn chan struct{}
	err         error
}

func (w *waiting) Attributed(ctx context.Context, _, _, _ string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		close(w.asked)
		select {
		case <-w.goOn:
		case <-ctx.Done():
			yield(storage.Info{}, ctx.Err())
			return
		}
		if w.err != nil {
			yield(storage.Info{}, w.err)
		}
	}
}

func (g *rig) wait(err error) *waiting {
	w := &waiting{g.engine, make(chan struct{}), make(chan struct{}), err}
	g.handler.opt.Index = w
	return w
}

func TestAContainerThatIsBeingDeletedCanOnlyBeLookedAt(t *testing.T) {
	g := newRig(t).with("harbor")
	w := g.wait(nil)
	done := make(chan answer)
	go func() { done <- g.call("DeleteContainer", `{`+harbor+`}`) }()
	<-w.asked
	require.Contains(t, g.call("DescribeContainer", `{`+harbor+`}`).body, `"Status":"DELETING"`)
	require.Contains(t, g.call("ListContainers", `{}`).body, `"Status":"DELETING"`)
	for name, op := range operations {
		if op.makes || slices.Contains([]string{"DescribeContainer", "ListContainers"}, name) {
			continue
		}
		g.fails(name, inputs[name], "ContainerInUseException", "Container must be ACTIVE in order to perform this operation")
	}
	close(w.goOn)
	require.Equal(t, 200, (<-done).StatusCode)
	g.fails("DescribeContainer", `{`+harbor+`}`, "ContainerNotFoundException", "")
}

func TestAContainerIsActiveAgainWhenItsDeletionFails(t *testing.T) {
	g := newRig(t).with("harbor")
	close(g.wait(errors.New("disk")).goOn)
	g.refused(g.call("DeleteContainer", `{`+harbor+`}`), 500, "InternalServerError", "Internal error")
	require.Equal(t, container.Active, must(g.registry.Get("harbor")).Status)
}

func TestAContainerIsActiveAgainWhenTheClientLeavesDuringItsDeletion(t *testing.T) {
	g := newRig(t, onFiles).with("harbor")
	w := g.wait(nil)
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := g.handler.deleteContainer(ctx, &input{ContainerName: "harbor"})
		done <- err
	}()
	<-w.asked
	leave()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Equal(t, container.Active, must(g.registry.Get("harbor")).Status)
}

func TestAccessLoggingIsSwitched(t *testing.T) {
	g := newRig(t).with("harbor")
	for _, c := range []struct{ op, want string }{{"StartAccessLogging", "true"}, {"StartAccessLogging", "true"}, {"StopAccessLogging", "false"}} {
		g.does(c.op, `{`+harbor+`}`)
		require.Contains(t, g.call("DescribeContainer", `{`+harbor+`}`).body, `"AccessLoggingEnabled":`+c.want)
	}
}
