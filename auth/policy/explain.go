package policy

import "strings"

// Explanation tells how a decision came about: what each statement of the policy, in the order of the document, has to do
// with the request. It holds names of keys and no values, which may be secrets.
type Explanation struct {
	Decision   Decision
	Statements []StatementTrace
}

// StatementTrace tells which elements of a statement match the request. It matches when all of them do.
type StatementTrace struct {
	Statement int // counted from 1
	Sid       string
	Effect    Effect
	Matched   bool
	Elements  []ElementTrace
}

// ElementTrace tells whether one element matches.
type ElementTrace struct {
	// Element is its name in the document, with "Not" if it has that; for a condition "Condition OPERATOR KEY"; for a
	// policy variable "Variable ${key}".
	Element string
	Matched bool
	Missing bool // the request does not have the condition key, or the variable as a single value
}

// Explain decides as Evaluate does, but looks at every element of every statement and allocates.
func (p *Policy) Explain(r Request) Explanation {
	e := Explanation{Decision: p.Evaluate(r)}
	for _, s := range p.statements {
		e.Statements = append(e.Statements, s.trace(&r))
	}
	return e
}

func (s *statement) trace(r *Request) StatementTrace {
	t := StatementTrace{Statement: s.number, Sid: s.sid, Effect: s.effect, Matched: s.matches(r)}
	add := func(element string, not, matched, missing bool) {
		if not {
			element = "Not" + element
		}
		t.Elements = append(t.Elements, ElementTrace{element, matched, missing})
	}
	add("Principal", s.notPrincipal, s.matchesPrincipal(&r.Principal), false)
	add("Action", s.notAction, s.matchesAction(r.Action), false)
	for _, key := range s.variables {
		_, ok := r.Context.variable(key)
		add("Variable ${"+key+"}", false, ok, !ok)
	}
	add("Resource", s.notResource, s.matchesResource(r), false)
	for i := range s.conditions {
		cl := &s.conditions[i]
		_, present := r.Context.lookup(cl.name)
		add("Condition "+cl.operator+" "+cl.key, false, cl.matches(r.Context), !present)
	}
	return t
}

// String returns the explanation as lines of text: the decision, then each statement with its elements.
func (e Explanation) String() string {
	var b strings.Builder
	b.WriteString(e.Decision.String() + "\n")
	for _, s := range e.Statements {
		b.WriteString(name(s.Statement, s.Sid) + ": " + s.Effect.String() + ", " + matched(s.Matched) + "\n")
		for _, el := range s.Elements {
			b.WriteString("  " + el.Element + ": " + matched(el.Matched))
			if el.Missing {
				b.WriteString(" (not in the request)")
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func matched(yes bool) string {
	if yes {
		return "matches"
	}
	return "does not match"
}
