package policy

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// naive matches as one would define it: a star takes nothing, or one character and then is there again.
func naive(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	_, n := utf8.DecodeRuneInString(s)
	switch pattern[0] {
	case '*':
		return naive(pattern[1:], s) || s != "" && naive(pattern, s[n:])
	case '?':
		return s != "" && naive(pattern[1:], s[n:])
	default:
		return s != "" && s[0] == pattern[0] && naive(pattern[1:], s[1:])
	}
}

func TestMatchAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab*?€/")), 0, 9, -1).Draw(t, "pattern")
		s := rapid.StringOfN(rapid.SampledFrom([]rune("aabb€/")), 0, 12, -1).Draw(t, "text")
		p, err := compile(text, syntax{wildcards: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.match(s, nil); got != naive(text, s) {
			t.Fatalf("%q with %q: got %v", text, s, got)
		}
		folded, _ := compile(strings.ToUpper(text), syntax{wildcards: true, fold: true})
		if folded.match(s, nil) != p.match(s, nil) {
			t.Fatalf("%q with %q: case matters", text, s)
		}
	})
}

func TestWithoutWildcardsOnlyTheTextItselfMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.StringOfN(rapid.SampledFrom([]rune("a*?${}")), 0, 5, -1)
		text, s := gen.Draw(t, "pattern"), gen.Draw(t, "text")
		p, err := compile(text, syntax{})
		if err != nil {
			t.Fatal(err)
		}
		if p.match(s, nil) != (s == text) {
			t.Fatalf("%q with %q", text, s)
		}
	})
}

func TestMatchTakesLinearTime(t *testing.T) {
	// Going back to every star would take longer than the universe has existed.
	const length = 1 << 17
	for _, text := range []string{"*a*a*a*b", strings.Repeat("*a", 1000) + "*b", strings.Repeat("*a?", 500) + "b", "*" + strings.Repeat("?", 50) + "b"} {
		p, err := compile(text, syntax{wildcards: true})
		require.NoError(t, err)
		s := strings.Repeat("a", length)
		start := time.Now()
		require.False(t, p.match(s, nil))
		require.True(t, p.match(s+"b", nil))
		require.Less(t, time.Since(start), 20*time.Second)
	}
}

func TestCompileReadsVariables(t *testing.T) {
	for text, want := range map[string][]token{
		"":                        nil,
		"a${*}${?}b${$}":          {{literal, "a*?b$"}},
		"**a***":                  {{run, ""}, {literal, "a"}, {run, ""}},
		"??":                      {{one, ""}, {one, ""}},
		"$a$":                     {{literal, "$a$"}},
		"${aws:UserName}${a}":     {{variable, "aws:username"}, {variable, "a"}},
		"x/${aws:PrincipalArn}/*": {{literal, "x/"}, {variable, "aws:principalarn"}, {literal, "/"}, {run, ""}},
	} {
		p, err := compile(text, syntax{wildcards: true, variables: true})
		require.NoError(t, err, text)
		require.Equal(t, want, p.tokens, text)
	}
	for _, text := range []string{"${", "${a", "${}", "${${a}}"} {
		_, err := compile(text, syntax{variables: true})
		require.ErrorIs(t, err, errVariable, text)
	}
}
