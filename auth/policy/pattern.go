package policy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Errors of a pattern's text.
var (
	errVariable        = errors.New(`a policy variable is not written ${key}`)
	errVariableDefault = errors.New("default values of policy variables are not supported")
)

// syntax says what is special in a pattern.
type syntax struct {
	wildcards bool // "*" is any run of characters, "/" and ":" among them, and "?" any one character
	variables bool // ${key} is replaced; ${*}, ${?} and ${$} mean the character
	fold      bool // case does not matter
}

// pattern is a compiled text to compare with.
type pattern struct {
	tokens []token
	fold   bool
}

type tokenKind uint8

const (
	literal  tokenKind = iota // text
	variable                  // the value of the key text; what looks like a wildcard in it is none
	one                       // one character
	run                       // any number of characters
)

type token struct {
	kind tokenKind
	text string
}

// compile returns the pattern of s. Errors: errVariable, errVariableDefault.
func compile(s string, x syntax) (pattern, error) {
	p := pattern{fold: x.fold}
	for len(s) > 0 {
		switch {
		case x.wildcards && s[0] == '*':
			p.add(run, "")
			s = s[1:]
		case x.wildcards && s[0] == '?':
			p.add(one, "")
			s = s[1:]
		case x.variables && strings.HasPrefix(s, "${"):
			key, rest, ok := strings.Cut(s[2:], "}")
			if !ok || key == "" || strings.Contains(key, "${") {
				return pattern{}, errVariable
			}
			switch {
			case key == "*" || key == "?" || key == "$":
				p.add(literal, key)
			case strings.Contains(key, ","):
				return pattern{}, errVariableDefault
			default:
				p.add(variable, strings.ToLower(key))
			}
			s = rest
		default:
			n := 1
			for n < len(s) && s[n] != '*' && s[n] != '?' && s[n] != '$' {
				n++
			}
			p.add(literal, s[:n])
			s = s[n:]
		}
	}
	return p, nil
}

// add appends a token; neighbours that are one are made one.
func (p *pattern) add(kind tokenKind, text string) {
	if n := len(p.tokens); n > 0 && p.tokens[n-1].kind == kind {
		switch kind {
		case run:
			return
		case literal:
			p.tokens[n-1].text += text
			return
		}
	}
	p.tokens = append(p.tokens, token{kind, text})
}

// constant returns the text that is the only one that the pattern matches, if it is such a pattern.
func (p *pattern) constant() (string, bool) {
	switch {
	case p.fold || len(p.tokens) > 1:
		return "", false
	case len(p.tokens) == 0:
		return "", true
	default:
		return p.tokens[0].text, p.tokens[0].kind == literal
	}
}

// variables returns the keys that the pattern needs, in lower case.
func (p *pattern) variables() []string {
	var keys []string
	for _, t := range p.tokens {
		if t.kind == variable {
			keys = append(keys, t.text)
		}
	}
	return keys
}

// match reports whether the pattern matches all of s. It goes back only to the last "*", which is enough because what
// stood before it was found as early as possible: each character of s is looked at no more often than the longest piece
// between two "*" is long, whatever s holds.
func (p *pattern) match(s string, c Context) bool {
	i, t := 0, 0        // where in s, and at which token
	back, from := -1, 0 // the token after the last "*", and where in s it was tried last
	for i < len(s) || t < len(p.tokens) {
		if t < len(p.tokens) {
			tok := &p.tokens[t]
			if tok.kind == run {
				if t++; t == len(p.tokens) {
					return true
				}
				back, from = t, i
				continue
			}
			if n := p.step(tok, s[i:], c); n >= 0 {
				i += n
				t++
				continue
			}
		}
		if back < 0 || from >= len(s) {
			return false
		}
		from += width(s[from:])
		i, t = from, back
	}
	return true
}

// step returns how many bytes at the start of s a token other than "*" takes, or -1 when it does not match there.
func (p *pattern) step(tok *token, s string, c Context) int {
	want := tok.text
	switch tok.kind {
	case one:
		if s == "" {
			return -1
		}
		return width(s)
	case variable:
		want, _ = c.variable(tok.text) // statement.matches has seen that it is there
	}
	if len(s) < len(want) {
		return -1
	}
	if head := s[:len(want)]; head == want || p.fold && strings.EqualFold(head, want) {
		return len(want)
	}
	return -1
}

// width returns the length in bytes of the first character of s, which is not empty.
func width(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}
