package policy_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"headwater/auth/policy"
)

// Few values of each element, so that statements and requests meet often.
var (
	somePrincipals = []string{"'Principal':'*'", "'Principal':{'AWS':'ACCT'}", "'Principal':{'AWS':'arn:aws:iam::ACCT:user/encoder-a'}",
		"'Principal':{'Service':'cloudfront.amazonaws.com'}", "'NotPrincipal':{'AWS':'arn:aws:iam::ACCT:role/Packager'}"}
	someActions = []string{"'Action':'*'", "'Action':'mediastore:Get*'", "'Action':['mediastore:PutObject','mediastore:DeleteObject']",
		"'NotAction':'mediastore:PutObject'"}
	someResources = []string{"'Resource':'*'", "'Resource':'NAME/ch1/*'", "'Resource':'NAME/${aws:username}/*'", "'NotResource':'NAME/ch?/*'"}
	someOperators = []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIfExists",
		"StringNotEqualsIgnoreCase", "ForAllValues:StringEquals", "ForAnyValue:StringNotEquals"}
	someKeys   = []string{"aws:UserAgent", "aws:Referer", "aws:username"}
	someValues = []string{"a", "ab", "A*", "${aws:Referer}", ""}
)

// drawStatement returns a statement with the given effect.
func drawStatement(t *rapid.T, effect string) string {
	of := func(list []string, label string) string { return rapid.SampledFrom(list).Draw(t, label) }
	elements := []string{"'Effect':'" + effect + "'", of(somePrincipals, "principal"), of(someActions, "action"), of(someResources, "resource")}
	if rapid.Bool().Draw(t, "conditional") {
		values := rapid.SliceOfN(rapid.SampledFrom(someValues), 1, 2).Draw(t, "values")
		elements = append(elements, "'Condition':{'"+of(someOperators, "operator")+"':{'"+of(someKeys, "key")+"':['"+strings.Join(values, "','")+"']}}")
	}
	return strings.Join(elements, ",")
}

func drawStatements(t *rapid.T) []string {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		return drawStatement(t, rapid.SampledFrom([]string{"Allow", "Allow", "Deny"}).Draw(t, "effect"))
	}), 1, 5).Draw(t, "statements")
}

func drawRequest(t *rapid.T) policy.Request {
	options := []option{
		rapid.SampledFrom([]option{by(encoder), by(session), byService(edge), func(*policy.Request) {}}).Draw(t, "principal"),
		does(rapid.SampledFrom([]string{"GetObject", "PutObject", "ListItems"}).Draw(t, "action")),
		on(rapid.SampledFrom([]string{"/ch1/x", "/ch2/x", "/a/x", "/"}).Draw(t, "path")),
	}
	for _, key := range someKeys {
		if values := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "ab", "A", ""}), 0, 2).Draw(t, key); rapid.Bool().Draw(t, "has "+key) {
			options = append(options, with(key, values...))
		}
	}
	return request(options...)
}

func mustParse(t *rapid.T, statements []string) *policy.Policy {
	p, err := policy.Parse([]byte(document("2012-10-17", slices.Clone(statements)...)), policy.ContainerRules(container, true))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestADenyMoreNeverAllowsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		statements, r := drawStatements(t), drawRequest(t)
		before := mustParse(t, statements).Evaluate(r)
		at := rapid.IntRange(0, len(statements)).Draw(t, "where")
		after := mustParse(t, slices.Insert(slices.Clone(statements), at, drawStatement(t, "Deny"))).Evaluate(r)
		if after.Allowed() && !before.Allowed() || before.Effect == policy.Deny && after.Effect != policy.Deny {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

func TestAnAllowMoreNeverDeniesMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		statements, r := drawStatements(t), drawRequest(t)
		before := mustParse(t, statements).Evaluate(r)
		after := mustParse(t, append(slices.Clone(statements), drawStatement(t, "Allow"))).Evaluate(r)
		if before.Allowed() && !after.Allowed() || (before.Effect == policy.Deny) != (after.Effect == policy.Deny) {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

func TestTheOrderOfStatementsIsIrrelevant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		statements, r := drawStatements(t), drawRequest(t)
		shuffled := rapid.Permutation(statements).Draw(t, "shuffled")
		if a, b := mustParse(t, statements).Evaluate(r), mustParse(t, shuffled).Evaluate(r); a.Effect != b.Effect {
			t.Fatalf("%v in one order, %v in another", a, b)
		}
	})
}

func TestTheExplanationAgreesWithTheDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, r := mustParse(t, drawStatements(t)), drawRequest(t)
		if wrong := contradiction(p.Evaluate(r), p.Explain(r)); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

// contradiction returns how an explanation differs from the decision it explains, or "".
func contradiction(d policy.Decision, e policy.Explanation) string {
	want := policy.Decision{}
	for _, s := range e.Statements {
		all := true
		for _, el := range s.Elements {
			all = all && el.Matched
		}
		if all != s.Matched {
			return "a statement does not follow from its elements: " + e.String()
		}
		if s.Matched && (want.Effect == policy.ImplicitDeny || want.Effect == policy.Allow && s.Effect == policy.Deny) {
			want = policy.Decision{Effect: s.Effect, Statement: s.Statement, Sid: s.Sid}
		}
	}
	if d != want || e.Decision != d {
		return "the decision is " + d.String() + " and the statements say " + want.String() + ": " + e.String()
	}
	return ""
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "{}", "[]", harbor, string(policy.DefaultContainerPolicy(container, account)),
		strings.Repeat("[", 9000), strings.Repeat(`{"a":`, 1000), "{" + strings.Repeat(" ", policy.MaxDocumentBytes-2) + "}"} {
		f.Add([]byte(s))
	}
	for _, tt := range refusals {
		f.Add([]byte(document("2012-10-17", tt.statement)))
	}
	for i := range somePrincipals {
		for _, op := range someOperators {
			f.Add([]byte(document("2012-10-17", somePrincipals[i], "'Condition':{'"+op+"':{'"+someKeys[i%len(someKeys)]+"':'"+someValues[i]+"'}}")))
		}
	}
	requests := []policy.Request{{}, request(), request(by(encoder), does("PutObject"), with("aws:username", "encoder-a")),
		request(by(session), agent("a"), with("aws:Referer"), with("aws:TagKeys", "a", "b"), with("aws:CurrentTime", "2026-05-01T12:00:00Z")),
		request(byService(edge), with("aws:SourceArn", container), with("aws:EpochTime", "1777636800"))}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse(data, policy.ContainerRules(container, false))
		if err != nil {
			if len(err.Error()) > 1<<15 {
				t.Fatalf("the error has %d bytes", len(err.Error()))
			}
			return
		}
		for _, r := range requests {
			d := p.Evaluate(r)
			if wrong := contradiction(d, p.Explain(r)); wrong != "" {
				t.Fatal(wrong)
			}
			if d.Allowed() && len(r.Resources) == 0 {
				t.Fatal("a request about nothing is allowed")
			}
			r.Action, r.Context = policy.ActionPutObject, policy.Context{"aws:securetransport": {"false"}}
			if p.Evaluate(r).Allowed() {
				t.Fatal("a policy that was taken allows PutObject over HTTP")
			}
		}
	})
}
