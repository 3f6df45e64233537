package control

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// edgePolicy lets a CDN with a secret read, an encoder write, and a network do neither.
const edgePolicy = `{"Version":"2012-10-17","Statement":[
	{"Sid":"Edge","Effect":"Allow","Principal":"*","Action":["mediastore:GetObject","mediastore:ListItems"],"Resource":"` + arn + `harbor/*",
	 "Condition":{"StringEquals":{"aws:UserAgent":"edge-secret"}}},
	{"Sid":"Encoder","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + accountID + `:user/encoder"},"Action":"mediastore:PutObject",
	 "Resource":"` + arn + `harbor/ch1/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},
	{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}},
	{"Sid":"Bucket","Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},"Action":"mediastore:GetObject","Resource":"` + arn + `harbor/*",
	 "Condition":{"StringEquals":{"aws:SourceArn":["arn:aws:cloudfront::1:distribution/E1"]}}}]}`

// ask sends a dry run for the container harbor; in is jsonText.
func (g *rig) ask(in string) answer {
	g.t.Helper()
	return g.do(http.MethodPost, "/v1/containers/harbor/policy/explain", jsonText(in))
}

func (g *rig) explains(in string) (out explained) {
	g.t.Helper()
	a := g.ask(in)
	require.Equal(g.t, http.StatusOK, a.StatusCode, a.body)
	require.Equal(g.t, "application/json", a.Header.Get("Content-Type"))
	require.NoError(g.t, json.Unmarshal([]byte(a.body), &out))
	return out
}

func TestADryRunDecidesAsTheContainersPolicyDoes(t *testing.T) {
	g := newRig(t).with("harbor")
	g.does("PutContainerPolicy", `{`+harbor+`,`+text("Policy", edgePolicy)+`}`)
	const encoder = `'Principal':'arn:aws:iam::210987654321:user/encoder'`
	for _, c := range []struct{ why, in, decision, sid string }{
		{"the edge reads with its secret", `'Action':'GetObject','Path':'ch1/a.ts','UserAgent':'edge-secret'`, "Allow", "Edge"},
		{"an action may have its service", `'Action':'mediastore:GetObject','Path':'/ch1//a.ts','UserAgent':'edge-secret'`, "Allow", "Edge"},
		{"without a User-Agent nobody reads", `'Action':'GetObject','Path':'ch1/a.ts'`, "implicit deny", ""},
		{"another secret is none", `'Action':'GetObject','Path':'ch1/a.ts','UserAgent':'curl','Principal':'anonymous'`, "implicit deny", ""},
		{"the edge does not write", `'Action':'PutObject','Path':'ch1/a.ts','UserAgent':'edge-secret'`, "implicit deny", ""},
		{"the edge lists the root", `'Action':'ListItems','UserAgent':'edge-secret'`, "Allow", "Edge"},
		{"the edge lists a folder", `'Action':'ListItems','Path':'/ch1/','UserAgent':'edge-secret'`, "Allow", "Edge"},
		{"the encoder writes over HTTPS", `'Action':'PutObject','Path':'ch1/a.ts',` + encoder, "Allow", "Encoder"},
		{"the encoder does not write over HTTP", `'Action':'PutObject','Path':'ch1/a.ts','SecureTransport':false,` + encoder, "implicit deny", ""},
		{"the encoder writes in its folder only", `'Action':'PutObject','Path':'ch2/a.ts',` + encoder, "implicit deny", ""},
		{"the account is not the encoder", `'Action':'PutObject','Path':'ch1/a.ts','Principal':'210987654321'`, "implicit deny", ""},
		{"an address is shut out", `'Action':'PutObject','Path':'ch1/a.ts','SourceIp':'203.0.113.9',` + encoder, "Deny", ""},
		{"a service comes with a key of its own", `'Action':'GetObject','Path':'a','Principal':'cloudfront.amazonaws.com',
			'Context':{'AWS:SourceArn':'arn:aws:cloudfront::1:distribution/E1'}`, "Allow", "Bucket"},
		{"a key may have several values", `'Action':'GetObject','Path':'a','Context':{'aws:useragent':['edge-secret']}`, "Allow", "Edge"},
		{"an operation on the container", `'Action':'PutCorsPolicy','SourceIp':'203.0.113.9'`, "Deny", ""},
		{"an operation on none", `'Action':'ListContainers','SourceIp':'203.0.113.9'`, "Deny", ""},
	} {
		t.Run(c.why, func(t *testing.T) {
			g.t = t
			out := g.explains(`{` + c.in + `}`)
			require.Equal(t, c.decision, out.Decision, out.Explanation)
			require.Equal(t, c.sid, out.Sid)
			require.Equal(t, sourceContainer, out.Source)
			require.Equal(t, c.decision == "implicit deny", out.Statement == 0)
		})
	}
}

func TestADryRunTellsWhyWithoutSecrets(t *testing.T) {
	g := newRig(t).with("harbor")
	g.does("PutContainerPolicy", `{`+harbor+`,`+text("Policy", edgePolicy)+`}`)
	g.asked = nil
	out := g.explains(`{'Action':'GetObject','Path':'ch1/a.ts'}`)
	require.Equal(t, "implicit deny", out.Explanation[0])
	require.Contains(t, out.Explanation, "  Condition StringEquals aws:UserAgent: does not match (not in the request)")
	require.Contains(t, out.Explanation, "  Resource: matches")
	require.NotContains(t, strings.Join(out.Explanation, ""), "edge-secret")
	require.Empty(t, g.asked, "nobody is asked who may: it is for the operator")
}

func TestADryRunKnowsWhenItIs(t *testing.T) {
	g := newRig(t).with("harbor")
	candidate := text("Policy", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"mediastore:GetObject","Resource":"*",
		"Condition":{"DateLessThan":{"aws:CurrentTime":"2026-03-01T12:30:00Z"},"NumericGreaterThan":{"aws:EpochTime":1},
		"StringEquals":{"aws:RequestedRegion":"eu-west-1"},"IpAddress":{"aws:SourceIp":"127.0.0.1"}}}}`)
	in := `'Action':'GetObject','Path':'a',` + candidate
	require.Equal(t, "Allow", g.explains(`{`+in+`}`).Decision, "by default it is now, and the caller asks")
	require.Equal(t, "implicit deny", g.explains(`{`+in+`,'Context':{'aws:CurrentTime':'2026-03-01T13:00:00Z'}}`).Decision)
}

func TestADryRunKnowsWhoAsks(t *testing.T) {
	g := newRig(t).with("harbor")
	candidate := text("Policy", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"mediastore:GetObject","Resource":"*",
		"Condition":{"StringEquals":{"aws:PrincipalAccount":"210987654321"},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/enc*"}}}}`)
	require.Equal(t, "Allow", g.explains(`{'Action':'GetObject','Path':'a','Principal':'arn:aws:iam::210987654321:user/encoder',`+candidate+`}`).Decision)
	require.Equal(t, "implicit deny", g.explains(`{'Action':'GetObject','Path':'a',`+candidate+`}`).Decision)
}

func TestADryRunOfAnUntouchedContainerIsOfTheDefaultPolicy(t *testing.T) {
	g := newRig(t).with("harbor")
	out := g.explains(`{'Action':'GetObject','Path':'a','Principal':'210987654321'}`)
	require.Equal(t, explained{"Allow", 1, "MediaStoreFullAccess", sourceDefault, out.Explanation}, out)
	require.Equal(t, "implicit deny", g.explains(`{'Action':'GetObject','Path':'a'}`).Decision)
}

func TestACandidateIsTriedAndNotPut(t *testing.T) {
	g := newRig(t).with("harbor")
	for _, candidate := range []string{text("Policy", publicRead), `'Policy':` + publicRead} {
		out := g.explains(`{'Action':'GetObject','Path':'a',` + candidate + `}`)
		require.Equal(t, "Allow", out.Decision)
		require.Equal(t, sourceCandidate, out.Source)
	}
	require.Equal(t, sourceDefault, g.explains(`{'Action':'GetObject','Path':'a','Policy':null}`).Source)
}

func TestQuestionsThatAreNotRightAreRefused(t *testing.T) {
	g := newRig(t).with("harbor")
	for _, c := range []struct{ in, text string }{
		{``, "not a JSON object"},
		{`{'Action':'GetObject','Path':'a','UserAgnet':'x'}`, "there is no member"},
		{`{'action':'GetObject'}`, "there is no member"},
		{`{'Action':'GetObject','Path':'a','SecureTransport':'yes'}`, "SecureTransport has the wrong type"},
		{`{'Action':'GetObject','Path':'a','Context':{'aws:Referer':7}}`, "Context has the wrong type"},
		{`{}`, "Action is an operation of MediaStore"},
		{`{'Action':'s3:GetObject','Path':'a'}`, "Action is an operation of MediaStore"},
		{`{'Action':'GetObject'}`, "a path has 1 to"},
		{`{'Action':'GetObject','Path':'a b'}`, "a path has letters"},
		{`{'Action':'PutCorsPolicy','Path':'a'}`, "PutCorsPolicy has no Path"},
		{`{'Action':'GetObject','Path':'a','Principal':'encoder'}`, "Principal is anonymous"},
		{`{'Action':'GetObject','Path':'a','Principal':'arn:aws:iam::1:user/x'}`, "Principal is anonymous"},
		{`{'Action':'GetObject','Path':'a','SourceIp':'localhost'}`, "SourceIp is an IP address"},
		{`{'Action':'GetObject','Path':'a','Policy':{}}`, "Statement is missing"},
		{`{'Action':'GetObject','Path':'a','Policy':7}`, "not a JSON object"},
		{`{'Action':'GetObject','Path':'a',` + text("Policy", httpWrite) + `}`, "without requiring HTTPS"},
	} {
		a := g.ask(c.in)
		require.Equal(t, http.StatusBadRequest, a.StatusCode, c.in)
		require.Equal(t, "ValidationException", a.Header.Get("X-Amzn-Errortype"))
		require.Contains(t, a.body, c.text)
		require.NotContains(t, a.body, "__type")
	}
	a := g.do(http.MethodPost, "/v1/containers/quay/policy/explain", `{}`)
	require.Equal(t, http.StatusNotFound, a.StatusCode)
	require.Contains(t, a.body, `"Reason":"no_container"`)
	a = g.do(http.MethodGet, "/v1/containers/harbor/policy/explain", "")
	require.Equal(t, http.StatusMethodNotAllowed, a.StatusCode)
	require.Equal(t, "POST", a.Header.Get("Allow"))
	require.Equal(t, http.StatusRequestEntityTooLarge, g.ask(strings.Repeat(" ", maxBody+1)).StatusCode)
}

func TestWritingOverHTTPIsPermittedToCandidatesWhereItIsToPolicies(t *testing.T) {
	g := newRig(t).with("harbor")
	g.handler.opt.PermitHTTP = true
	require.Equal(t, "Allow", g.explains(`{'Action':'PutObject','Path':'a','SecureTransport':false,`+text("Policy", httpWrite)+`}`).Decision)
}
