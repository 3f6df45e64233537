package policy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth/policy"
)

const (
	account   = "210987654321"
	container = "arn:aws:mediastore:eu-west-1:" + account + ":container/harbor_live"
	encoder   = "arn:aws:iam::" + account + ":user/encoder-a"
	session   = "arn:aws:sts::" + account + ":assumed-role/Packager/run-1"
	edge      = "cloudfront.amazonaws.com"
)

// jsonText writes a policy's text with ' for ", NAME for the container's ARN and ACCT for its account.
func jsonText(s string) string {
	return strings.NewReplacer("'", `"`, "NAME", container, "ACCT", account).Replace(s)
}

// document returns a policy of statements whose elements are given; those left out are for everyone, any action and the
// whole container.
func document(version string, statements ...string) string {
	for i, s := range statements {
		for element, rest := range map[string]string{"Effect": `'Allow'`, "Principal": `'*'`, "Action": `'mediastore:*'`, "Resource": `'NAME/*'`} {
			if !strings.Contains(s, element+"':") {
				s = "'" + element + "':" + rest + "," + s
			}
		}
		statements[i] = "{" + strings.TrimRight(s, ",") + "}"
	}
	return jsonText("{'Version':'" + version + "','Statement':[" + strings.Join(statements, ",") + "]}")
}

func parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text), policy.ContainerRules(container, true))
	require.NoError(t, err)
	return p
}

// option changes a request.
type option func(*policy.Request)

// request is an anonymous GetObject of ch1/index.m3u8 over HTTPS from 198.51.100.7, changed by options.
func request(options ...option) policy.Request {
	r := policy.Request{Action: policy.ActionGetObject, Resources: []string{container + "/ch1/index.m3u8"}, Context: policy.Context{}}
	r.Context.Set("aws:SecureTransport", "true")
	r.Context.Set("aws:SourceIp", "198.51.100.7")
	for _, o := range options {
		o(&r)
	}
	return r
}

func by(arn string) option {
	return func(r *policy.Request) { r.Principal = policy.Principal{Account: strings.Split(arn, ":")[4], ARN: arn} }
}

func byService(name string) option {
	return func(r *policy.Request) { r.Principal = policy.Principal{Service: name} }
}

func does(operation string) option {
	return func(r *policy.Request) { r.Action = "mediastore:" + operation }
}

func on(paths ...string) option {
	return func(r *policy.Request) {
		r.Resources = nil
		for _, p := range paths {
			r.Resources = append(r.Resources, container+p)
		}
	}
}

func with(key string, values ...string) option {
	return func(r *policy.Request) { r.Context.Set(key, values...) }
}

func without(key string) option {
	return func(r *policy.Request) { delete(r.Context, strings.ToLower(key)) }
}

func overHTTP() option         { return with("aws:SecureTransport", "false") }
func from(addr string) option  { return with("aws:SourceIp", addr) }
func agent(name string) option { return with("aws:UserAgent", name) }

const (
	yes = true
	no  = false
)

// group is one statement and the requests that it is asked about.
type group struct {
	statement string
	rows      []row
}

// row is a request and whether the statement of its group matches it.
type row struct {
	name    string
	request policy.Request
	matches bool
}

// decide checks each row with the statement as an Allow and as a Deny beside an Allow of everything, and that the
// explanation agrees.
func decide(t *testing.T, version string, groups []group) {
	for _, g := range groups {
		allow := parse(t, document(version, g.statement))
		deny := parse(t, document(version, "'Effect':'Deny',"+g.statement, "'Sid':'All','Resource':'*'"))
		for _, row := range g.rows {
			t.Run(row.name, func(t *testing.T) {
				want := policy.Decision{}
				if row.matches {
					want = policy.Decision{Effect: policy.Allow, Statement: 1}
				}
				require.Equal(t, want, allow.Evaluate(row.request), g.statement)
				require.Equal(t, row.matches, allow.Explain(row.request).Statements[0].Matched)
				want = policy.Decision{Effect: policy.Allow, Statement: 2, Sid: "All"}
				if row.matches {
					want = policy.Decision{Effect: policy.Deny, Statement: 1}
				}
				require.Equal(t, want, deny.Evaluate(row.request), g.statement)
			})
		}
	}
}
