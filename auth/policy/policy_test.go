package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth"
	"headwater/auth/policy"
)

// harbor lets a CDN read by a shared secret, of which two are live, an encoder write to one channel, and nobody of one
// network read (reference/mediastore.md, section 4.5).
var harbor = jsonText(`{
  'Version': '2012-10-17',
  'Statement': [
    { 'Sid': 'EdgeRead', 'Effect': 'Allow', 'Principal': '*',
      'Action': ['mediastore:GetObject', 'mediastore:DescribeObject'],
      'Resource': 'NAME/*',
      'Condition': {
        'StringEquals': { 'aws:UserAgent': ['edge-current', 'edge-next'] },
        'Bool': { 'aws:SecureTransport': 'true' } } },
    { 'Sid': 'EncoderWrites', 'Effect': 'Allow',
      'Principal': { 'AWS': 'arn:aws:iam::ACCT:user/encoder-a' },
      'Action': ['mediastore:PutObject', 'mediastore:DeleteObject'],
      'Resource': 'NAME/ch1/*',
      'Condition': { 'Bool': { 'aws:SecureTransport': 'true' } } },
    { 'Sid': 'NoScrapers', 'Effect': 'Deny', 'Principal': { 'AWS': '*' },
      'Action': 'mediastore:Get*',
      'Resource': 'NAME/*',
      'Condition': { 'IpAddress': { 'aws:SourceIp': ['203.0.113.0/24'] } } }
  ]
}`)

func TestHarbor(t *testing.T) {
	p, err := policy.Parse([]byte(harbor), policy.ContainerRules(container, false))
	require.NoError(t, err)
	implicit := policy.Decision{}
	reads := policy.Decision{Effect: policy.Allow, Statement: 1, Sid: "EdgeRead"}
	writes := policy.Decision{Effect: policy.Allow, Statement: 2, Sid: "EncoderWrites"}
	denied := policy.Decision{Effect: policy.Deny, Statement: 3, Sid: "NoScrapers"}
	for _, tt := range []struct {
		name    string
		request policy.Request
		want    policy.Decision
	}{
		{"an edge reads with the current secret", request(agent("edge-current")), reads},
		{"an edge reads with the next secret", request(agent("edge-next")), reads},
		{"an edge asks for headers", request(agent("edge-current"), does("DescribeObject")), reads},
		{"an edge reads any path", request(agent("edge-current"), on("/ch9/a/b.ts")), reads},
		{"an edge does not read over HTTP", request(agent("edge-current"), overHTTP()), implicit},
		{"a player without the secret does not read", request(agent("Mozilla/5.0")), implicit},
		{"a player without User-Agent does not read", request(), implicit},
		{"a secret with something before it does not read", request(agent("x edge-current")), implicit},
		{"an edge does not list", request(agent("edge-current"), does("ListItems"), on("", "/")), implicit},
		{"an edge does not write", request(agent("edge-current"), does("PutObject")), implicit},
		{"an edge does not delete", request(agent("edge-current"), does("DeleteObject")), implicit},
		{"an edge reads no other container", request(agent("edge-current"), on("_2/a.ts")), implicit},
		{"a scraper with the secret is denied", request(agent("edge-current"), from("203.0.113.9")), denied},
		{"a scraper without the secret is denied", request(from("203.0.113.9")), denied},
		{"a scraper may ask for headers: the Deny is about Get only",
			request(agent("edge-current"), does("DescribeObject"), from("203.0.113.9")), reads},
		{"the encoder writes to its channel", request(by(encoder), does("PutObject")), writes},
		{"the encoder deletes from its channel", request(by(encoder), does("DeleteObject")), writes},
		{"the encoder writes from the scraper's network: the Deny is about Get only",
			request(by(encoder), does("PutObject"), from("203.0.113.9")), writes},
		{"the encoder does not write to another channel", request(by(encoder), does("PutObject"), on("/ch2/a.ts")), implicit},
		{"the encoder does not write to a channel whose name goes on", request(by(encoder), does("PutObject"), on("/ch10/a.ts")), implicit},
		{"the encoder does not write over HTTP", request(by(encoder), does("PutObject"), overHTTP()), implicit},
		{"the encoder does not read without the secret", request(by(encoder)), implicit},
		{"the encoder reads with the secret", request(by(encoder), agent("edge-next")), reads},
		{"another user does not write", request(by(encoder+"b"), does("PutObject")), implicit},
		{"who is anonymous does not write", request(does("PutObject")), implicit},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, p.Evaluate(tt.request)) })
	}
}

func TestPublicReadOnlyWithTheSharedSecretOverHTTPS(t *testing.T) {
	p := parse(t, document("2012-10-17", "'Action':'mediastore:GetObject','Condition':{"+
		"'StringEquals':{'aws:UserAgent':'s3cret'},'Bool':{'aws:SecureTransport':'true'}}"))
	require.True(t, p.Evaluate(request(agent("s3cret"))).Allowed(), "the secret over HTTPS")
	require.False(t, p.Evaluate(request(agent("s3cret"), overHTTP())).Allowed(), "the secret over HTTP")
	require.False(t, p.Evaluate(request(agent("S3cret"))).Allowed(), "almost the secret")
	require.False(t, p.Evaluate(request()).Allowed(), "no secret")
	for _, operation := range []string{"PutObject", "DeleteObject", "DescribeObject", "ListItems"} {
		require.False(t, p.Evaluate(request(agent("s3cret"), does(operation))).Allowed(), operation)
	}
}

func TestDefaultContainerPolicy(t *testing.T) {
	text := policy.DefaultContainerPolicy(container, account)
	p, err := policy.Parse(text, policy.ContainerRules(container, false))
	require.NoError(t, err)
	require.JSONEq(t, jsonText(`{'Version':'2012-10-17','Statement':[{'Sid':'MediaStoreFullAccess','Effect':'Allow',
		'Principal':{'AWS':'arn:aws:iam::ACCT:root'},'Action':['mediastore:*'],'Resource':'NAME/*',
		'Condition':{'Bool':{'aws:SecureTransport':'true'}}}]}`), string(text))
	for _, operation := range []string{"GetObject", "DescribeObject", "PutObject", "DeleteObject"} {
		require.Equal(t, policy.Decision{Effect: policy.Allow, Statement: 1, Sid: "MediaStoreFullAccess"},
			p.Evaluate(request(by(encoder), does(operation))), operation)
		require.False(t, p.Evaluate(request(by(encoder), does(operation), overHTTP())).Allowed(), operation+" over HTTP")
		require.False(t, p.Evaluate(request(does(operation))).Allowed(), operation+" by who is anonymous")
		require.False(t, p.Evaluate(request(by("arn:aws:iam::999999999999:user/x"), does(operation))).Allowed(), operation+" by a stranger")
	}
	require.True(t, p.Evaluate(request(by(encoder), does("ListItems"), on("", "/"))).Allowed(), "the root is listed")
	require.Contains(t, string(policy.DefaultContainerPolicy("arn:aws-cn:mediastore:x:1:container/c", account)), "arn:aws-cn:iam::")
}

func TestDecision(t *testing.T) {
	allow := policy.Decision{Effect: policy.Allow, Statement: 2, Sid: "Reads"}
	deny := policy.Decision{Effect: policy.Deny, Statement: 1}
	require.Equal(t, `Allow by Statement 2 (Sid "Reads")`, allow.String())
	require.Equal(t, "Deny by Statement 1", deny.String())
	require.Equal(t, "implicit deny", policy.Decision{}.String())

	require.True(t, allow.Auth().Allowed)
	require.ErrorIs(t, deny.Auth().Err(), auth.ErrDenied)
	require.Equal(t, policy.ReasonDeny, deny.Auth().Reason)
	require.Equal(t, policy.ReasonImplicitDeny, policy.Decision{}.Auth().Reason)
}

func TestTheFirstStatementThatDecidesIsNamed(t *testing.T) {
	p := parse(t, document("2012-10-17", "'Sid':'A','Action':'mediastore:Put*'", "'Sid':'B'", "'Sid':'C'",
		"'Sid':'D','Effect':'Deny','Action':'mediastore:Delete*'", "'Sid':'E','Effect':'Deny','Action':'mediastore:*'"))
	require.Equal(t, policy.Decision{Effect: policy.Deny, Statement: 5, Sid: "E"}, p.Evaluate(request()))
	require.Equal(t, policy.Decision{Effect: policy.Deny, Statement: 4, Sid: "D"}, p.Evaluate(request(does("DeleteObject"))))
	p = parse(t, document("2012-10-17", "'Sid':'A','Action':'mediastore:Put*'", "'Sid':'B'", "'Sid':'C'"))
	require.Equal(t, policy.Decision{Effect: policy.Allow, Statement: 2, Sid: "B"}, p.Evaluate(request()))
}

func TestARequestAboutNoResourceIsNeverAllowed(t *testing.T) {
	p := parse(t, document("2012-10-17", "'Resource':'*'", "'NotResource':'NAME/x'"))
	require.False(t, p.Evaluate(request(on())).Allowed())
	require.False(t, p.Evaluate(policy.Request{}).Allowed(), "nor is the zero request")
}

func TestAnActionWithoutAResourceMatchesStarOnly(t *testing.T) {
	r := request(does("ListContainers"))
	r.Resources = []string{"*"}
	require.True(t, parse(t, document("2012-10-17", "'Resource':'*'")).Evaluate(r).Allowed())
	require.False(t, parse(t, document("2012-10-17", "'Resource':'NAME/*'")).Evaluate(r).Allowed())
}

func TestExplain(t *testing.T) {
	e := parse(t, harbor).Explain(request(agent("edge-current"), overHTTP()))
	require.Equal(t, jsonText(`implicit deny
Statement 1 (Sid 'EdgeRead'): Allow, does not match
  Principal: matches
  Action: matches
  Resource: matches
  Condition StringEquals aws:UserAgent: matches
  Condition Bool aws:SecureTransport: does not match
Statement 2 (Sid 'EncoderWrites'): Allow, does not match
  Principal: does not match
  Action: does not match
  Resource: matches
  Condition Bool aws:SecureTransport: does not match
Statement 3 (Sid 'NoScrapers'): Deny, does not match
  Principal: matches
  Action: matches
  Resource: matches
  Condition IpAddress aws:SourceIp: does not match
`), e.String())

	e = parse(t, document("2012-10-17", "'NotPrincipal':{'AWS':'ACCT'},'NotAction':'mediastore:Put*','NotResource':'NAME/${aws:username}/*',"+
		"'Condition':{'StringNotLike':{'AWS:Referer':'x*'}}")).Explain(request())
	require.Equal(t, `implicit deny
Statement 1: Allow, does not match
  NotPrincipal: matches
  NotAction: matches
  Variable ${aws:username}: does not match (not in the request)
  NotResource: matches
  Condition StringNotLike AWS:Referer: matches (not in the request)
`, e.String())
}

func TestSecretsAreNotPrinted(t *testing.T) {
	p := parse(t, harbor)
	all := fmt.Sprintf("%v %+v %#v %s %x", p, p, p, p, p) + p.Explain(request(agent("edge-current"))).String()
	require.NotContains(t, all, "edge-")
	require.True(t, strings.HasPrefix(all, "policy of 3 statements"))
}

func TestEvaluateAllocatesNothing(t *testing.T) {
	p := parse(t, harbor)
	for _, r := range []policy.Request{
		request(agent("edge-next")), request(agent(strings.Repeat("Mozilla/5.0 ", 20))), request(),
		request(by(encoder), does("PutObject")), request(from("203.0.113.9")),
	} {
		require.Zero(t, testing.AllocsPerRun(20, func() { p.Evaluate(r) }))
	}
}

func BenchmarkEvaluate(b *testing.B) {
	p := parse(b, harbor)
	for _, bm := range []struct {
		name    string
		request policy.Request
	}{
		{"EdgeReads", request(agent("edge-next"))},
		{"PlayerIsRefused", request(agent("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"))},
		{"EncoderWrites", request(by(encoder), does("PutObject"))},
		{"ScraperIsDenied", request(agent("edge-next"), from("203.0.113.9"))},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Evaluate(bm.request)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parse(b, harbor)
	}
}
