// Package policy decides requests by resource policies: JSON documents in the language of IAM, which say who may do what
// to a resource and under which conditions. Parse checks and compiles a document once; Evaluate then takes about a
// microsecond and allocates nothing.
//
// It knows no HTTP and keeps no policies: its caller says who asks for what (Request), with the context keys, and combines
// the Decision with what the caller's own rules and identity policies say. It verifies no signature. Of the language it
// leaves out what a resource policy of a single account has no use for: principals other than AWS and Service, session and
// permission boundaries, organisations, default values of variables ("${key, 'default'}"), and every global key that no
// request here could carry. What it does not know it refuses at Parse, so that no line of a policy is without effect.
//
// Sources: the IAM User Guide, "IAM JSON policy elements reference" (elements, condition operators, multivalued keys,
// variables), its grammar and its evaluation logic, and the MediaStore User Guide, "Container policies"; gathered in
// reference/mediastore.md, sections 4.1 to 4.5. Where they leave a gap, the comment of the code that decides it says so.
package policy

import (
	"fmt"
	"strings"

	"headwater/auth"
)

// Policy is a parsed document. It is immutable and safe for concurrent use. Create with Parse.
type Policy struct {
	statements []*statement // in the order of the document
	denies     []*statement
	allows     []*statement
}

// String tells how many statements there are and nothing of them: their conditions may hold secrets.
func (p *Policy) String() string { return fmt.Sprintf("policy of %d statements", len(p.statements)) }

// Format keeps the secrets out of every fmt verb.
func (p *Policy) Format(f fmt.State, _ rune) { fmt.Fprint(f, p.String()) }

// Request is what is to be decided.
type Request struct {
	Principal Principal
	// Action is "service:Operation". Its case does not matter.
	Action string
	// Resources are the spellings of the one resource that is asked for, ARNs; mostly there is one. A list request at a
	// container's root has two, with and without a slash at the end. Resource matches when any of them does, and
	// NotResource when none does. An action that is about no resource has "*"; with none at all nothing is allowed.
	Resources []string
	Context   Context
}

// Principal is who asks. The zero Principal is anonymous: only "*" in a policy means it.
type Principal struct {
	Account string // twelve digits, of a user, role or session; a policy may name it alone
	ARN     string // of the user or of the role's session (arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION)
	Service string // such as cloudfront.amazonaws.com, when a service asks; then the others are empty
}

// Context holds the values of a request's condition keys, under names in lower case: use Set. A name that is not there
// is a missing key, which is not the same as one with an empty value or with no values. An aws:UserAgent that is empty
// counts as missing, because HTTP servers do not tell the two apart.
type Context map[string][]string

// Set gives the key its values. The key's case does not matter.
func (c Context) Set(key string, values ...string) { c[strings.ToLower(key)] = values }

// lookup returns the values of a key in lower case, and whether the request has it.
func (c Context) lookup(key string) (values []string, present bool) {
	values, present = c[key]
	if key == keyUserAgent && len(values) == 1 && values[0] == "" {
		return nil, false
	}
	return values, present
}

// variable returns what stands for a policy variable; a key with several values cannot.
func (c Context) variable(key string) (string, bool) {
	values, _ := c.lookup(key)
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}

// Effect is what a statement or a whole policy says about a request.
type Effect uint8

// The effects. A policy none of whose statements matches denies implicitly; something else may still allow the request,
// but nothing can after a Deny.
const (
	ImplicitDeny Effect = iota
	Deny
	Allow
)

// String returns the effect as a policy spells it.
func (e Effect) String() string { return [...]string{"implicit deny", "Deny", "Allow"}[e] }

// Decision is what a policy says about a request. The zero Decision is an implicit deny.
type Decision struct {
	Effect    Effect
	Statement int    // the first statement that decided, counted from 1; 0 for an implicit deny
	Sid       string // its Sid, when it has one
}

// Reasons of a Decision as an auth.Decision.
const (
	ReasonAllow        = "policy_allows"
	ReasonDeny         = "policy_denies"
	ReasonImplicitDeny = "policy_does_not_allow"
)

// Allowed reports whether the policy allows the request.
func (d Decision) Allowed() bool { return d.Effect == Allow }

// String names the effect and the statement.
func (d Decision) String() string {
	if d.Statement == 0 {
		return d.Effect.String()
	}
	return d.Effect.String() + " by " + name(d.Statement, d.Sid)
}

// Auth returns the decision as the server's checks give theirs. The statement is left out: it is for logs, not clients.
func (d Decision) Auth() auth.Decision {
	switch d.Effect {
	case Allow:
		return auth.Allow(ReasonAllow)
	case Deny:
		return auth.Deny(ReasonDeny)
	default:
		return auth.Deny(ReasonImplicitDeny)
	}
}

// Evaluate decides: any matching Deny denies, else any matching Allow allows, else the deny is implicit
// (reference/mediastore.md, section 4.3). The order of statements is irrelevant to the effect.
func (p *Policy) Evaluate(r Request) Decision {
	for _, s := range p.denies {
		if s.matches(&r) {
			return s.decision()
		}
	}
	for _, s := range p.allows {
		if s.matches(&r) {
			return s.decision()
		}
	}
	return Decision{}
}

// statement is a compiled statement: it matches when each of its elements does.
type statement struct {
	number int // counted from 1
	sid    string
	effect Effect

	principals                           []principal
	actions, resources                   []pattern
	notPrincipal, notAction, notResource bool // the element is spelled NotPrincipal, NotAction, NotResource
	conditions                           []clause
	variables                            []string // keys that the request must have one value of, in lower case
}

func (s *statement) decision() Decision { return Decision{s.effect, s.number, s.sid} }

func (s *statement) matches(r *Request) bool {
	if !s.matchesAction(r.Action) || !s.matchesPrincipal(&r.Principal) {
		return false
	}
	// Before anything that could use them: a statement with a variable that cannot be replaced matches nothing, not even
	// by NotResource or a negated operator (section 4.1).
	for _, key := range s.variables {
		if _, ok := r.Context.variable(key); !ok {
			return false
		}
	}
	if !s.matchesResource(r) {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].matches(r.Context) {
			return false
		}
	}
	return true
}

func (s *statement) matchesPrincipal(p *Principal) bool {
	for i := range s.principals {
		if s.principals[i].matches(p) {
			return !s.notPrincipal
		}
	}
	return s.notPrincipal
}

func (s *statement) matchesAction(action string) bool {
	for i := range s.actions {
		if s.actions[i].match(action, nil) {
			return !s.notAction
		}
	}
	return s.notAction
}

func (s *statement) matchesResource(r *Request) bool {
	for i := range s.resources {
		for _, resource := range r.Resources {
			if s.resources[i].match(resource, r.Context) {
				return !s.notResource
			}
		}
	}
	return s.notResource && len(r.Resources) > 0
}

// name is how messages call a statement.
func name(number int, sid string) string {
	if sid == "" {
		return fmt.Sprintf("Statement %d", number)
	}
	return fmt.Sprintf("Statement %d (Sid %q)", number, shorten(sid))
}
