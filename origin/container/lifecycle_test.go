package container

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func withLifecycle(t *testing.T, text string) *Container {
	t.Helper()
	rules, err := parseLifecycle(text, false)
	require.NoError(t, err)
	return &Container{Settings: Settings{Lifecycle: text, rules: rules}}
}

// rule writes a policy of one rule.
func rule(path, age, action string) string {
	return fmt.Sprintf(`{"rules":[{"definition":{"path":[%s],%s},"action":%q}]}`, path, age, action)
}

const (
	playlists = `{"wildcard":"ch1/*.m3u8"}`
	seconds15 = `"seconds_since_create":[{"numeric":[">",15]}]`
	days30    = `"days_since_create":[{"numeric":[">=",30]}]`
)

func TestAPlaylistThatIsNotRefreshedIsGoneAtTheSecondAfterItsAge(t *testing.T) {
	c := withLifecycle(t, rule(playlists, seconds15, "EXPIRE"))
	f := c.Fate("ch1/low/index.m3u8", noon)
	require.True(t, f.Expires)
	require.True(t, f.Transient)
	require.Equal(t, noon.Add(16*time.Second), f.At)
	require.Zero(t, c.Fate("ch1/seg1.ts", noon))
	require.Zero(t, c.Fate("ch2/index.m3u8", noon))
}

func TestRulesBySecondsAreForWhatWasPutSinceTheyAreInForce(t *testing.T) {
	c := withLifecycle(t, rule(playlists, seconds15, "EXPIRE"))
	c.LifecycleSince = noon
	require.Zero(t, c.Fate("ch1/index.m3u8", noon.Add(-time.Second)))
	require.True(t, c.Fate("ch1/index.m3u8", noon).Transient)
}

func TestRulesByDaysAreForEverything(t *testing.T) {
	c := withLifecycle(t, rule(`{"prefix":"vod/"},{"prefix":"old"}`, days30, "EXPIRE"))
	c.LifecycleSince = noon
	before := noon.Add(-24 * time.Hour)
	require.Equal(t, Fate{Expires: true, At: before.Add(30 * 24 * time.Hour)}, c.Fate("vod/a", before))
	require.True(t, c.Fate("older/a", noon).Expires, "a prefix is of characters")
	require.False(t, c.Fate("a/vod/b", noon).Expires)
}

func TestOfSeveralRulesTheEarliestDecides(t *testing.T) {
	c := withLifecycle(t, `{"rules":[
		{"definition":{"path":[{"wildcard":"*"}],"days_since_create":[{"numeric":[">=",2]}]},"action":"EXPIRE"},
		{"definition":{"path":[{"wildcard":"*.ts"}],"days_since_create":[{"numeric":[">=",1]}]},"action":"EXPIRE"},
		{"definition":{"path":[{"prefix":""}],"days_since_create":[{"numeric":[">=",30]}]},"action":"ARCHIVE"}]}`)
	require.Equal(t, noon.Add(24*time.Hour), c.Fate("a.ts", noon).At)
	require.Equal(t, noon.Add(48*time.Hour), c.Fate("a.m3u8", noon).At)
	require.Equal(t, noon.Add(30*24*time.Hour), c.Fate("a.ts", noon).Archive)
	require.True(t, c.Expires())
}

func TestALifecyclePolicyThatBreaksARuleIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":                            `{`,
		"no rules":                           `{"rules":[]}`,
		"something unknown":                  `{"rules":[],"more":1}`,
		"something behind":                   rule(playlists, seconds15, "EXPIRE") + "{}",
		"eleven rules":                       `{"rules":[` + strings.Repeat(`{},`, 10) + `{}]}`,
		"no such action":                     rule(playlists, seconds15, "DELETE"),
		"no age":                             rule(playlists, `"a":1`, "EXPIRE"),
		"two ages":                           rule(playlists, seconds15+","+days30, "EXPIRE"),
		"something unknown in a definition":  rule(playlists, seconds15+`,"size":1`, "EXPIRE"),
		"seconds of a prefix":                rule(`{"prefix":"a"}`, seconds15, "EXPIRE"),
		"301 seconds":                        rule(playlists, `"seconds_since_create":[{"numeric":[">",301]}]`, "EXPIRE"),
		"no second":                          rule(playlists, `"seconds_since_create":[{"numeric":[">",0]}]`, "EXPIRE"),
		"half a second":                      rule(playlists, `"seconds_since_create":[{"numeric":[">",1.5]}]`, "EXPIRE"),
		"less than":                          rule(playlists, `"seconds_since_create":[{"numeric":["<",5]}]`, "EXPIRE"),
		"a number as text":                   rule(playlists, `"seconds_since_create":[{"numeric":[">","5"]}]`, "EXPIRE"),
		"two conditions":                     rule(playlists, `"seconds_since_create":[{"numeric":[">",5]},{"numeric":[">",6]}]`, "EXPIRE"),
		"more than a hundred years":          rule(playlists, `"days_since_create":[{"numeric":[">",36501]}]`, "EXPIRE"),
		"an archive after 29 days":           rule(playlists, `"days_since_create":[{"numeric":[">=",29]}]`, "ARCHIVE"),
		"an archive after more than 30 days": rule(playlists, `"days_since_create":[{"numeric":[">",30]}]`, "ARCHIVE"),
		"an archive by seconds":              rule(playlists, seconds15, "ARCHIVE"),
		"no path":                            rule("", seconds15, "EXPIRE"),
		"eleven paths":                       rule(strings.Repeat(playlists+",", 10)+playlists, seconds15, "EXPIRE"),
		"paths of both kinds":                rule(playlists+`,{"prefix":"a"}`, days30, "EXPIRE"),
		"a path that is both":                rule(`{"prefix":"a","wildcard":"a"}`, days30, "EXPIRE"),
		"a path that is neither":             rule(`{"suffix":"a"}`, days30, "EXPIRE"),
		"a path that is too long":            rule(`{"prefix":"`+strings.Repeat("a", 901)+`"}`, days30, "EXPIRE"),
		"too much":                           strings.Repeat(" ", 8193),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseLifecycle(text, false)
			require.ErrorIs(t, err, ErrInvalid)
		})
	}
}

func TestExtendedPoliciesMayKeepObjectsForAnyTime(t *testing.T) {
	text := rule(`{"prefix":"live/"}`, `"seconds_since_create":[{"numeric":[">=",7200]}]`, "EXPIRE")
	_, err := parseLifecycle(text, false)
	require.Error(t, err)
	rules, err := parseLifecycle(text, true)
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, rules[0].after)
}

func TestWildcards(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true}, {"*", "a/b", true}, {"a*", "a", true}, {"a*", "ba", false}, {"*a", "ba", true}, {"*a", "ab", false},
		{"a*a", "a", false}, {"a*a", "aa", true}, {"a*b*c", "a/x/b/y/c", true}, {"a*b*c", "acb", false}, {"a**b", "ab", true},
		{"a", "a", true}, {"a", "aa", false}, {"", "", true}, {"", "a", false}, {"*ab*ab", "xab", false}, {"*ab*ab", "abab", true},
		{"a?", "ab", false},
	} {
		require.Equal(t, tt.want, wildcard(tt.pattern, tt.text), "%q %q", tt.pattern, tt.text)
	}
	begin := time.Now()
	require.False(t, wildcard(strings.Repeat("a*", 400)+"b", strings.Repeat("a", 900)))
	require.Less(t, time.Since(begin), time.Second)
}

func FuzzParseLifecycle(f *testing.F) {
	f.Add(rule(playlists, seconds15, "EXPIRE"), "ch1/a.m3u8")
	f.Add(rule(`{"prefix":""}`, days30, "ARCHIVE"), "a")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, text, path string) {
		rules, err := parseLifecycle(text, true)
		if err != nil {
			return
		}
		c := &Container{Settings: Settings{rules: rules}}
		if fate := c.Fate(path, noon); fate.Expires && !fate.At.After(noon) {
			t.Fatalf("%q expires %q at once", text, path)
		}
	})
}

func TestTheLeastLifetimeIsThatOfTheShortestRuleThatExpires(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`{"rules":[{"definition":{"path":[{"prefix":""}],"days_since_create":[{"numeric":[">=",30]}]},"action":"ARCHIVE"}]}`: 0,
		`{"rules":[{"definition":{"path":[{"prefix":""}],"days_since_create":[{"numeric":[">",2]}]},"action":"EXPIRE"}]}`:    48 * time.Hour,
		`{"rules":[{"definition":{"path":[{"prefix":""}],"days_since_create":[{"numeric":[">",2]}]},"action":"EXPIRE"},
			{"definition":{"path":[{"wildcard":"*"}],"seconds_since_create":[{"numeric":[">",15]}]},"action":"EXPIRE"}]}`: 15 * time.Second,
	} {
		rules, err := parseLifecycle(text, false)
		require.NoError(t, err)
		c := Container{Settings: Settings{rules: rules}}
		age, ok := c.LeastLifetime()
		require.Equal(t, want, age)
		require.Equal(t, want > 0, ok)
		require.Equal(t, want > 0, c.Expires())
	}
}
