package container

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/storage/mem"
)

var account = Account{ID: "123456789012", Region: "eu-west-1"}

func options() Options {
	return Options{Account: account, Now: func() time.Time { return noon },
		Policies: func(document, _ string) error {
			if document == "bad" {
				return errors.New("statement 1: no Effect")
			}
			return nil
		}}
}

func open(t *testing.T, j *mem.Engine) *Registry {
	t.Helper()
	r, err := Open(t.Context(), j, options())
	require.NoError(t, err)
	return r
}

func TestAContainerIsFoundByNameAndByTheLabelOfItsEndpoint(t *testing.T) {
	r := open(t, mem.New(time.Now))
	c, err := r.Create(t.Context(), "blogdemo", []Tag{{"b", "2"}, {"a", "1"}})
	require.NoError(t, err)
	require.Equal(t, "arn:aws:mediastore:eu-west-1:123456789012:container/blogdemo", c.ARN)
	require.Regexp(t, `^[a-z][a-z0-9]{13}$`, c.ID)
	require.Equal(t, []Tag{{"a", "1"}, {"b", "2"}}, c.Tags)
	got, err := r.Get("blogdemo")
	require.NoError(t, err)
	require.Same(t, c, got)
	byID, ok := r.ByID(c.ID)
	require.True(t, ok)
	require.Same(t, c, byID)
	_, err = r.Get("Blogdemo")
	require.ErrorIs(t, err, ErrNotFound, "names keep their case")
}

func TestWhatTheAPIMadeIsThereAfterARestart(t *testing.T) {
	j := mem.New(time.Now)
	r := open(t, j)
	ctx := t.Context()
	for _, name := range []string{"a", "b", "c"} {
		_, err := r.Create(ctx, name, nil)
		require.NoError(t, err)
	}
	_, err := r.Change(ctx, "b", func(c *Container) error {
		c.Policy, c.CORS, c.Metric = "{}", []CORSRule{players}, &MetricPolicy{ContainerLevelMetrics: "ENABLED"}
		c.Lifecycle, c.AccessLogging = rule(playlists, seconds15, "EXPIRE"), true
		return c.Tag([]Tag{{"k", "v"}})
	})
	require.NoError(t, err)
	require.NoError(t, r.Delete(ctx, "c", func(*Container) (bool, error) { return true, nil }))

	again := open(t, j)
	require.Len(t, again.List(), 2)
	before, err := r.Get("b")
	require.NoError(t, err)
	after, err := again.Get("b")
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.True(t, after.Fate("ch1/a.m3u8", noon).Transient, "the lifecycle policy is in force")
}

func TestTheSameNameHasTheSameEndpointAgain(t *testing.T) {
	r := open(t, mem.New(time.Now))
	first, err := r.Create(t.Context(), "a", nil)
	require.NoError(t, err)
	require.NoError(t, r.Delete(t.Context(), "a", func(*Container) (bool, error) { return true, nil }))
	second, err := r.Create(t.Context(), "a", nil)
	require.NoError(t, err)
	require.Equal(t, first.ID, second.ID)
	other, err := Open(t.Context(), mem.New(time.Now), Options{Account: Account{ID: "123456789012", Region: "us-east-1"}, Now: time.Now})
	require.NoError(t, err)
	third, err := other.Create(t.Context(), "a", nil)
	require.NoError(t, err)
	require.NotEqual(t, first.ID, third.ID)
}

func TestAContainerWithObjectsIsNotDeleted(t *testing.T) {
	r := open(t, mem.New(time.Now))
	ctx := t.Context()
	_, err := r.Create(ctx, "a", nil)
	require.NoError(t, err)
	err = r.Delete(ctx, "a", func(c *Container) (bool, error) {
		require.Equal(t, Deleting, c.Status)
		_, err := r.Change(ctx, "a", func(*Container) error { return nil })
		require.ErrorIs(t, err, ErrInUse)
		require.ErrorContains(t, err, "must be ACTIVE")
		return false, nil
	})
	require.ErrorIs(t, err, ErrInUse)
	c, err := r.Get("a")
	require.NoError(t, err)
	require.Equal(t, Active, c.Status)
}

func TestWhatIsRefusedChangesNothing(t *testing.T) {
	r := open(t, mem.New(time.Now))
	ctx := t.Context()
	c, err := r.Create(ctx, "a", nil)
	require.NoError(t, err)
	for name, change := range map[string]func(*Container) error{
		"policy":    func(c *Container) error { c.Policy = "bad"; return nil },
		"CORS":      func(c *Container) error { c.CORS = []CORSRule{{}}; return nil },
		"lifecycle": func(c *Container) error { c.Lifecycle = "{}"; return nil },
		"metric":    func(c *Container) error { c.Metric = &MetricPolicy{}; return nil },
		"tags":      func(c *Container) error { return c.Tag([]Tag{{"aws:x", ""}}) },
	} {
		_, err := r.Change(ctx, "a", change)
		require.ErrorIs(t, err, ErrInvalid, name)
	}
	_, err = r.Create(ctx, "a", nil)
	require.ErrorIs(t, err, ErrInUse)
	for _, name := range []string{"", "a/b", "a b", "ä", strings.Repeat("a", 256)} {
		_, err = r.Create(ctx, name, nil)
		require.ErrorIs(t, err, ErrInvalid, name)
	}
	now, err := r.Get("a")
	require.NoError(t, err)
	require.Same(t, c, now)
}

func TestThereAreAHundredContainersAndFiftyTagsAtMost(t *testing.T) {
	r := open(t, mem.New(time.Now))
	ctx := t.Context()
	for i := range MaxContainers {
		_, err := r.Create(ctx, fmt.Sprint("c", i), nil)
		require.NoError(t, err)
	}
	_, err := r.Create(ctx, "more", nil)
	require.ErrorIs(t, err, ErrLimit)
	var tags []Tag
	for i := range MaxTags + 1 {
		tags = append(tags, Tag{Key: fmt.Sprint(i)})
	}
	_, err = r.Change(ctx, "c1", func(c *Container) error { return c.Tag(tags) })
	require.ErrorIs(t, err, ErrLimit)
	require.NoError(t, r.Delete(ctx, "c1", func(*Container) (bool, error) { return true, nil }))
	_, err = r.Create(ctx, "more", nil)
	require.NoError(t, err)
}

func TestAContainerOfTheConfigurationIsChangedThereOnly(t *testing.T) {
	j := mem.New(time.Now)
	r := open(t, j)
	ctx := t.Context()
	_, err := r.Create(ctx, "both", []Tag{{"from", "the API"}})
	require.NoError(t, err)
	require.NoError(t, r.Declare([]Declaration{{Name: "both"}, {Name: "declared", Settings: Settings{CORS: []CORSRule{players}}}}))
	for _, name := range []string{"both", "declared"} {
		_, err = r.Change(ctx, name, func(*Container) error { return nil })
		require.ErrorIs(t, err, ErrConfigured)
		require.ErrorIs(t, r.Delete(ctx, name, nil), ErrConfigured)
		_, err = r.Create(ctx, name, nil)
		require.ErrorIs(t, err, ErrInUse)
	}
	require.NoError(t, r.Declare(nil))
	require.Len(t, r.List(), 1)
	c, err := r.Get("both")
	require.NoError(t, err)
	require.Equal(t, []Tag{{"from", "the API"}}, c.Tags)
	require.Len(t, open(t, j).List(), 1)
}

func TestABadDeclarationTellsAllProblemsAndChangesNothing(t *testing.T) {
	r := open(t, mem.New(time.Now))
	require.NoError(t, r.Declare([]Declaration{{Name: "a"}}))
	err := r.Declare([]Declaration{{Name: "b"}, {Name: "b"}, {Name: "c d"}, {Name: "e", Settings: Settings{Policy: "bad"}}})
	require.ErrorContains(t, err, "declared twice")
	require.ErrorContains(t, err, "c d")
	require.ErrorContains(t, err, "statement 1: no Effect")
	_, err = r.Get("a")
	require.NoError(t, err)
}

func TestTheJournalOfContainersStaysShort(t *testing.T) {
	j := mem.New(time.Now)
	r := open(t, j)
	ctx := context.Background()
	_, err := r.Create(ctx, "a", nil)
	require.NoError(t, err)
	for i := range 2 * compactAt {
		_, err := r.Change(ctx, "a", func(c *Container) error { return c.Tag([]Tag{{"n", fmt.Sprint(i)}}) })
		require.NoError(t, err)
	}
	n := 0
	for _, err := range j.Read(ctx, stream, 0) {
		require.NoError(t, err)
		n++
	}
	require.LessOrEqual(t, n, compactAt)
	c, err := open(t, j).Get("a")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(2*compactAt-1), c.Tags[0].Value)
}

func TestPathsOfObjects(t *testing.T) {
	for path, want := range map[string]string{"a": "a", "/a/b": "a/b", "//a///b": "a/b", "a=1:b~c/d-e_f.ts": "a=1:b~c/d-e_f.ts",
		strings.Repeat("a/", 10) + "b": strings.Repeat("a/", 10) + "b"} {
		got, err := CleanPath(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, path := range []string{"", "/", "a/", "a/../b", "./a", "a b", "ä", "a\x00", "a%b", strings.Repeat("a/", 11) + "b", strings.Repeat("a", 901)} {
		_, err := CleanPath(path)
		require.ErrorIs(t, err, ErrInvalid, path)
	}
	for path, want := range map[string]string{"": "", "/": "", "a": "a", "/a/b/": "a/b"} {
		got, err := CleanFolder(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestObjectsAreMeasuredByTheGroupsTheyAreIn(t *testing.T) {
	c := &Container{Settings: Settings{Metric: &MetricPolicy{ContainerLevelMetrics: "ENABLED", MetricPolicyRules: []MetricRule{
		{"*.m3u8", "playlists"}, {"/baseball/saturday/", "saturday"}, {"baseball", "baseball"}}}}}
	require.NoError(t, checkMetric(c.Metric))
	groups, whole := c.Measured("baseball/saturday/index.m3u8")
	require.True(t, whole)
	require.Equal(t, []string{"playlists", "saturday", "baseball"}, groups)
	groups, _ = c.Measured("baseball2/a.ts")
	require.Empty(t, groups)
	for _, p := range []MetricPolicy{{}, {ContainerLevelMetrics: "ON"}, {"ENABLED", []MetricRule{{"", "a"}}}, {"ENABLED", []MetricRule{{"a", ""}}},
		{"ENABLED", []MetricRule{{"a", "a-b"}}}, {"ENABLED", []MetricRule{{"a b", "a"}}}} {
		require.ErrorIs(t, checkMetric(&p), ErrInvalid)
	}
}
