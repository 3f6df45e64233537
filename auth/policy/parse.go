package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalid is matched by every error of Parse. The error's text names the statements and everything that is wrong with
// them, and quotes no value that may be a secret.
var ErrInvalid = errors.New("invalid policy")

// Rules are what a service asks of the policies of one of its resources.
type Rules struct {
	Service string // what the names of its actions begin with, before the colon. Others are refused
	// Resource is the ARN of what the policy belongs to. Each Resource must be it, be below it ("ARN/..."), or be "*".
	// With "" any ARN will do.
	Resource string
	// Keys are beginnings of condition keys that the service has beside the global ones, e.g. "mediapackagev2:".
	Keys []string
	// HTTPSOnly are actions that a statement may allow only under the condition that the request came by HTTPS.
	HTTPSOnly []string
}

// The versions of the language. The older one, which is meant when none is given, has no variables.
const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

// Bounds of what an error tells, so that a document full of mistakes makes no answer a hundred times as long.
const (
	maxProblems   = 20
	maxQuotedText = 100 // bytes
)

// Parse checks a document strictly and compiles it. It reports all that is wrong at once. Errors: ErrInvalid.
func Parse(document []byte, rules Rules) (*Policy, error) {
	root, err := readDocument(document)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	p := parser{rules: rules}
	statements := p.document(root)
	if n := len(p.problems); n > maxProblems {
		p.problems = append(p.problems[:maxProblems], fmt.Sprintf("and %d more problems", n-maxProblems))
	}
	if len(p.problems) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrInvalid, strings.Join(p.problems, "; "))
	}
	policy := &Policy{statements: statements}
	for _, s := range statements {
		if s.effect == Deny {
			policy.denies = append(policy.denies, s)
		} else {
			policy.allows = append(policy.allows, s)
		}
	}
	return policy, nil
}

// parser collects the problems of a document. Its methods go on after a problem with whatever value they have.
type parser struct {
	rules     Rules
	variables bool   // the document's version has them
	where     string // the statement that is parsed, or ""
	problems  []string
}

func (p *parser) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.where != "" {
		text = p.where + ": " + text
	}
	p.problems = append(p.problems, text)
}

// shorten returns the beginning of a text for a message.
func shorten(s string) string {
	if len(s) <= maxQuotedText {
		return s
	}
	return s[:maxQuotedText] + "..."
}

// fields returns the members of v, which must be an object with no other names than those given and none of them twice.
// In messages it is called what.
func (p *parser) fields(v any, what string, names ...string) map[string]any {
	o, ok := v.(object)
	if !ok {
		p.fail("%s must be an object", what)
		return nil
	}
	fields := make(map[string]any, len(o))
	for _, f := range o {
		if !slices.Contains(names, f.name) {
			p.fail("unknown element %q in %s (there are %s)", shorten(f.name), what, strings.Join(names, ", "))
		} else if _, twice := fields[f.name]; twice {
			p.fail("%s stands twice in %s", f.name, what)
		}
		fields[f.name] = f.value
	}
	return fields
}

// text returns an optional member that is a string.
func (p *parser) text(fields map[string]any, name string) string {
	v, has := fields[name]
	s, ok := v.(string)
	if has && !ok {
		p.fail("%s must be a string", name)
	}
	return s
}

// list returns v as strings: it is one value or an array of at least one. Numbers and booleans are taken where scalars
// is true.
func (p *parser) list(v any, what string, scalars bool) []string {
	array, ok := v.([]any)
	if !ok {
		array = []any{v}
	}
	if len(array) == 0 {
		p.fail("%s is an empty list", what)
	}
	var all []string
	for _, v := range array {
		switch v := v.(type) {
		case string:
			all = append(all, v)
			continue
		case json.Number:
			if scalars {
				all = append(all, v.String())
				continue
			}
		case bool:
			if scalars {
				all = append(all, fmt.Sprint(v))
				continue
			}
		}
		if scalars {
			p.fail("%s must be a string, number or boolean, or a list of them", what)
		} else {
			p.fail("%s must be a string or a list of strings", what)
		}
		return nil
	}
	return all
}

// document parses the outermost object (reference/mediastore.md, section 4.1).
func (p *parser) document(root object) []*statement {
	fields := p.fields(root, "the document", "Version", "Id", "Statement")
	p.text(fields, "Id")
	version := p.text(fields, "Version")
	if _, has := fields["Version"]; has && version != version2008 && version != version2012 {
		p.fail("Version must be %q, or %q without variables", version2012, version2008)
	}
	p.variables = version == version2012
	v, has := fields["Statement"]
	if !has {
		p.fail("Statement is missing")
		return nil
	}
	array, ok := v.([]any)
	if !ok {
		array = []any{v}
	}
	if len(array) == 0 {
		p.fail("Statement is an empty list")
	}
	statements := make([]*statement, 0, len(array))
	for i, v := range array {
		statements = append(statements, p.statement(v, i+1))
	}
	return statements
}

// statement parses one statement; its number counts from 1.
func (p *parser) statement(v any, number int) *statement {
	s := &statement{number: number}
	if o, ok := v.(object); ok { // the Sid first, for the messages
		for _, f := range o {
			if sid, ok := f.value.(string); ok && f.name == "Sid" {
				s.sid = sid
			}
		}
	}
	p.where = name(number, s.sid)
	defer func() { p.where = "" }()
	if _, ok := v.(object); !ok {
		p.fail("a statement must be an object")
		return s
	}
	before := len(p.problems)
	fields := p.fields(v, "a statement", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction",
		"Resource", "NotResource", "Condition")
	p.text(fields, "Sid")
	switch effect := fields["Effect"]; effect {
	case "Allow":
		s.effect = Allow
	case "Deny":
		s.effect = Deny
	default:
		p.fail(`Effect must be "Allow" or "Deny", spelled so`)
	}
	if v, element, ok := p.either(fields, "Principal", &s.notPrincipal); ok {
		s.principals = p.principals(v, element)
	}
	if v, element, ok := p.either(fields, "Action", &s.notAction); ok {
		for _, text := range p.list(v, element, false) {
			s.actions = append(s.actions, p.action(text, element))
		}
	}
	if v, element, ok := p.either(fields, "Resource", &s.notResource); ok {
		for _, text := range p.list(v, element, false) {
			r := p.resource(text, element)
			s.resources = append(s.resources, r)
			s.variables = append(s.variables, r.variables()...)
		}
	}
	if v, has := fields["Condition"]; has {
		s.conditions = p.condition(v)
		for i := range s.conditions {
			s.variables = append(s.variables, s.conditions[i].variables...)
		}
	}
	if len(p.problems) == before {
		p.checkHTTPS(s)
	}
	return s
}

// either returns the value of exactly one of an element and its Not form, and how it is spelled.
func (p *parser) either(fields map[string]any, element string, not *bool) (v any, spelled string, ok bool) {
	v, has := fields[element]
	notV, hasNot := fields["Not"+element]
	switch {
	case has && hasNot:
		p.fail("%s and Not%s exclude each other", element, element)
	case !has && !hasNot:
		p.fail("%s or Not%s is missing", element, element)
	case hasNot:
		*not = true
		return notV, "Not" + element, true
	default:
		return v, element, true
	}
	return nil, "", false
}

func (p *parser) principals(v any, element string) []principal {
	if v == "*" {
		return []principal{{everyone: true}}
	}
	if _, ok := v.(object); !ok {
		p.fail(`%s must be "*" or an object with AWS or Service`, element)
		return nil
	}
	fields := p.fields(v, element, "AWS", "Service")
	var all []principal
	for _, kind := range []struct {
		name  string
		parse func(string) (principal, error)
	}{{"AWS", parsePrincipal}, {"Service", parseService}} {
		v, has := fields[kind.name]
		if !has {
			continue
		}
		for _, text := range p.list(v, element+" "+kind.name, false) {
			who, err := kind.parse(text)
			if err != nil {
				p.fail("%s %s %q: %v", element, kind.name, shorten(text), err)
			}
			all = append(all, who)
		}
	}
	if len(fields) == 0 {
		p.fail("%s names nobody", element)
	}
	return all
}

// action parses one action. Names of operations are letters, and the service is spelled out, so that a policy for another
// service is not taken for one that allows nothing here.
func (p *parser) action(text, element string) pattern {
	a, _ := compile(text, syntax{wildcards: true, fold: true})
	if text == "*" {
		return a
	}
	service, operation, _ := strings.Cut(text, ":")
	if !strings.EqualFold(service, p.rules.Service) {
		p.fail("%s %q does not begin with %q", element, shorten(text), p.rules.Service+":")
		return a
	}
	odd := func(r rune) bool {
		return r != '*' && r != '?' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	if operation == "" || strings.ContainsFunc(operation, odd) {
		p.fail("%s %q names no operation", element, shorten(text))
	}
	return a
}

// resource parses one resource. Variables can stand only in its last part: in the others a request could choose what the
// statement is about.
func (p *parser) resource(text, element string) pattern {
	r, err := compile(text, syntax{wildcards: true, variables: p.variables})
	if err != nil {
		p.fail("%s %q: %v", element, shorten(text), err)
	}
	if text == "*" {
		return r
	}
	if arn := p.rules.Resource; arn != "" {
		if rest, ok := strings.CutPrefix(text, arn); !ok || rest != "" && rest[0] != '/' {
			p.fail("%s %q is outside of what the policy is for: write %q, a path below it, or \"*\"", element,
				shorten(text), arn+"/*")
		}
		return r
	}
	parts, ok := splitARN(text)
	switch {
	case !ok:
		p.fail("%s %q is not an ARN of six parts", element, shorten(text))
	case p.variables && strings.Contains(strings.Join(parts[:arnParts-1], ":"), "${"):
		p.fail("%s %q: variables are possible only in an ARN's last part", element, shorten(text))
	}
	return r
}

// condition parses a Condition. One that is empty is always true, as one that is missing.
func (p *parser) condition(v any) []clause {
	operators, ok := v.(object)
	if !ok {
		p.fail("Condition must be an object")
		return nil
	}
	var all []clause
	seen := map[[2]string]bool{}
	for _, op := range operators {
		keys, ok := op.value.(object)
		if !ok || len(keys) == 0 {
			p.fail("Condition %q must be an object with at least one key", shorten(op.name))
			continue
		}
		if seen[[2]string{op.name}] {
			p.fail("Condition %q stands twice", shorten(op.name))
		}
		seen[[2]string{op.name}] = true
		for _, key := range keys {
			what := fmt.Sprintf("Condition %q %q", shorten(op.name), shorten(key.name))
			lower := strings.ToLower(key.name)
			if seen[[2]string{op.name, lower}] {
				p.fail("%s: the key stands twice (its case does not matter)", what)
			}
			seen[[2]string{op.name, lower}] = true
			if !knownKey(lower, p.rules.Keys) {
				p.fail("%s: unknown key", what)
			}
			cl, err := compileClause(op.name, key.name, p.list(key.value, what, true), usage{variables: p.variables})
			if err != nil {
				p.fail("%s: %v", what, err)
			}
			all = append(all, cl)
		}
	}
	return all
}

// checkHTTPS refuses a statement that allows one of the actions of Rules.HTTPSOnly over HTTP
// (reference/mediastore.md, section 4.3).
func (p *parser) checkHTTPS(s *statement) {
	requires := func(cl clause) bool { return cl.requiresHTTPS() }
	if s.effect != Allow || slices.ContainsFunc(s.conditions, requires) {
		return
	}
	for _, action := range p.rules.HTTPSOnly {
		if s.matchesAction(action) {
			p.fail(`it allows %s without requiring HTTPS: add the condition "Bool": {"aws:SecureTransport": "true"}`, action)
		}
	}
}
