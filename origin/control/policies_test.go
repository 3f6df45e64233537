package control

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth/policy"
	"headwater/origin/container"
)

// Policies of the container harbor.
const (
	publicRead = `{ "Version":"2012-10-17",` + "\n\t" + `"Statement":[{"Sid":"Read<all>","Effect":"Allow","Principal":"*",
		"Action":"mediastore:GetObject","Resource":"` + arn + `harbor/*"}] }`
	httpWrite = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"mediastore:PutObject","Resource":"` + arn + `harbor/*"}]}`
	transient = `{"rules": [ {"definition":{"path":[{"wildcard":"*.m3u8"}],"seconds_since_create":[{"numeric":[">",15]}]},"action":"EXPIRE"} ]}`
)

func TestPoliciesComeBackAsTheyWerePut(t *testing.T) {
	g := newRig(t).with("harbor")
	g.does("PutContainerPolicy", `{`+harbor+`,`+text("Policy", publicRead)+`}`)
	require.Equal(t, publicRead, g.output("GetContainerPolicy", `{`+harbor+`}`, "Policy"))
	g.does("PutLifecyclePolicy", `{`+harbor+`,`+text("LifecyclePolicy", transient)+`}`)
	require.Equal(t, transient, g.output("GetLifecyclePolicy", `{`+harbor+`}`, "LifecyclePolicy"))
	for _, cors := range []string{
		`[{'AllowedOrigins':['https://*.example.com'],'AllowedMethods':['GET','HEAD'],'AllowedHeaders':['*'],'ExposeHeaders':['Etag'],'MaxAgeSeconds':3000}]`,
		`[{'AllowedOrigins':['*'],'AllowedMethods':['GET'],'AllowedHeaders':[]},{'AllowedOrigins':['http://a'],'AllowedMethods':['PUT'],'AllowedHeaders':['X-*']}]`,
	} {
		g.does("PutCorsPolicy", `{`+harbor+`,'CorsPolicy':`+cors+`}`)
		g.succeeds("GetCorsPolicy", `{`+harbor+`}`, `{'CorsPolicy':`+cors+`}`)
	}
	for _, metric := range []string{
		`{'ContainerLevelMetrics':'ENABLED','MetricPolicyRules':[{'ObjectGroup':'*.m3u8','ObjectGroupName':'playlists'}]}`,
		`{'ContainerLevelMetrics':'DISABLED'}`,
	} {
		g.does("PutMetricPolicy", `{`+harbor+`,'MetricPolicy':`+metric+`}`)
		g.succeeds("GetMetricPolicy", `{`+harbor+`}`, `{'MetricPolicy':`+metric+`}`)
	}
}

func TestAnUntouchedContainerHasTheDefaultPolicyAndNoOther(t *testing.T) {
	g := newRig(t).with("harbor")
	require.Equal(t, string(policy.DefaultContainerPolicy(arn+"harbor", accountID)), g.output("GetContainerPolicy", `{`+harbor+`}`, "Policy"),
		"an assumption: nothing tells what MediaStore answered")
	g.fails("DeleteContainerPolicy", `{`+harbor+`}`, "PolicyNotFoundException", "no such policy")
	for _, verb := range []string{"Get", "Delete"} {
		g.fails(verb+"LifecyclePolicy", `{`+harbor+`}`, "PolicyNotFoundException", "no such policy")
		g.fails(verb+"MetricPolicy", `{`+harbor+`}`, "PolicyNotFoundException", "no such policy")
		g.fails(verb+"CorsPolicy", `{`+harbor+`}`, "CorsPolicyNotFoundException", "no CORS policy")
	}
}

func TestTheDefaultPolicyIsInForceAgainWhenAPolicyIsDeleted(t *testing.T) {
	g := newRig(t).with("harbor")
	before := g.output("GetContainerPolicy", `{`+harbor+`}`, "Policy")
	g.does("PutContainerPolicy", `{`+harbor+`,`+text("Policy", publicRead)+`}`)
	g.does("DeleteContainerPolicy", `{`+harbor+`}`)
	require.Equal(t, before, g.output("GetContainerPolicy", `{`+harbor+`}`, "Policy"))
	g.does("PutContainerPolicy", `{`+harbor+`,`+text("Policy", before)+`}`)
}

func TestPoliciesThatAreDeletedAreGone(t *testing.T) {
	g := newRig(t).with("harbor")
	g.does("PutLifecyclePolicy", `{`+harbor+`,`+text("LifecyclePolicy", transient)+`}`)
	g.does("PutMetricPolicy", inputs["PutMetricPolicy"])
	g.does("PutCorsPolicy", `{`+harbor+`,'CorsPolicy':[{'AllowedOrigins':['*'],'AllowedMethods':['GET'],'AllowedHeaders':['*']}]}`)
	for _, c := range []struct{ kind, exception string }{{"LifecyclePolicy", "PolicyNotFoundException"},
		{"MetricPolicy", "PolicyNotFoundException"}, {"CorsPolicy", "CorsPolicyNotFoundException"}} {
		g.does("Delete"+c.kind, `{`+harbor+`}`)
		g.fails("Get"+c.kind, `{`+harbor+`}`, c.exception, "")
	}
}

func TestAPolicyThatBreaksARuleChangesNothing(t *testing.T) {
	g := newRig(t).with("harbor")
	g.does("PutContainerPolicy", `{`+harbor+`,`+text("Policy", publicRead)+`}`)
	for _, c := range []struct{ why, op, member, kind, text string }{
		{"empty", "PutContainerPolicy", `'Policy':''`, "ValidationException", "Policy is empty"},
		{"no JSON", "PutContainerPolicy", `'Policy':'{'`, "ValidationException", "not JSON"},
		{"no statement", "PutContainerPolicy", `'Policy':'{}'`, "ValidationException", "Statement is missing"},
		{"writing over HTTP", "PutContainerPolicy", text("Policy", httpWrite), "ValidationException", "without requiring HTTPS"},
		{"another container", "PutContainerPolicy", text("Policy", strings.ReplaceAll(publicRead, "harbor", "quay")), "ValidationException", "outside"},
		{"not ASCII", "PutContainerPolicy", text("Policy", strings.ReplaceAll(publicRead, "<all>", "ä")), "ValidationException", "ASCII"},
		{"too long", "PutContainerPolicy", text("Policy", publicRead+strings.Repeat(" ", 8192)), "ValidationException", "more than 8192"},
		{"an object", "PutContainerPolicy", `'Policy':{}`, "SerializationException", "Policy has the wrong type"},

		{"empty", "PutLifecyclePolicy", `'LifecyclePolicy':''`, "ValidationException", "LifecyclePolicy is empty"},
		{"no JSON", "PutLifecyclePolicy", `'LifecyclePolicy':'x'`, "ValidationException", "lifecycle policy"},
		{"six minutes", "PutLifecyclePolicy", text("LifecyclePolicy", strings.ReplaceAll(transient, "15", "360")), "ValidationException", "rule 1"},
		{"a character beyond Latin-1", "PutLifecyclePolicy", text("LifecyclePolicy", strings.ReplaceAll(transient, "*", "*€")), "ValidationException", "U+00FF"},
		{"a control character", "PutLifecyclePolicy", text("LifecyclePolicy", transient+"\v"), "ValidationException", "U+0020"},
		{"a list", "PutLifecyclePolicy", `'LifecyclePolicy':[]`, "SerializationException", "LifecyclePolicy has the wrong type"},

		{"no rule", "PutCorsPolicy", `'CorsPolicy':[]`, "ValidationException", "1 to 100 rules"},
		{"no origins", "PutCorsPolicy", `'CorsPolicy':[{'AllowedHeaders':[]}]`, "ValidationException", "CorsPolicy.1.AllowedOrigins is required"},
		{"no headers", "PutCorsPolicy", `'CorsPolicy':[{'AllowedOrigins':['*']}]`, "ValidationException", "CorsPolicy.1.AllowedHeaders is required"},
		{"no methods", "PutCorsPolicy", `'CorsPolicy':[{'AllowedOrigins':['*'],'AllowedHeaders':[]}]`, "ValidationException", "AllowedMethods are needed"},
		{"another method", "PutCorsPolicy", `'CorsPolicy':[{'AllowedOrigins':['*'],'AllowedHeaders':[],'AllowedMethods':['POST']}]`, "ValidationException", "AllowedMethods are of"},
		{"no list", "PutCorsPolicy", `'CorsPolicy':{}`, "SerializationException", "CorsPolicy has the wrong type"},
		{"no objects", "PutCorsPolicy", `'CorsPolicy':['*']`, "SerializationException", "CorsPolicy.1: it is not a JSON object"},
		{"a text for an age", "PutCorsPolicy", `'CorsPolicy':[{'AllowedOrigins':['*'],'AllowedHeaders':[],'MaxAgeSeconds':'3'}]`, "SerializationException", "CorsPolicy.1.MaxAgeSeconds has the wrong type"},

		{"no level", "PutMetricPolicy", `'MetricPolicy':{}`, "ValidationException", "MetricPolicy.ContainerLevelMetrics is required"},
		{"another level", "PutMetricPolicy", `'MetricPolicy':{'ContainerLevelMetrics':'ON'}`, "ValidationException", "ENABLED or DISABLED"},
		{"a rule without a name", "PutMetricPolicy", `'MetricPolicy':{'ContainerLevelMetrics':'ENABLED','MetricPolicyRules':[{'ObjectGroup':'*'}]}`,
			"ValidationException", "MetricPolicy.MetricPolicyRules.1.ObjectGroupName is required"},
		{"a name with a hyphen", "PutMetricPolicy", `'MetricPolicy':{'ContainerLevelMetrics':'ENABLED','MetricPolicyRules':[{'ObjectGroup':'*','ObjectGroupName':'a-b'}]}`,
			"ValidationException", "ObjectGroupName has"},
	} {
		t.Run(c.op+" with "+c.why, func(t *testing.T) {
			g.t = t
			before := must(g.registry.Get("harbor"))
			g.fails(c.op, `{`+harbor+`,`+c.member+`}`, c.kind, c.text)
			require.Same(t, before, must(g.registry.Get("harbor")))
		})
	}
}

func TestTheLargestCORSPolicyFitsIntoARequest(t *testing.T) {
	g := newRig(t).with("harbor")
	header := "'" + strings.Repeat("h", 3900) + "'"
	rule := `{'AllowedOrigins':['*'],'AllowedMethods':['GET'],'AllowedHeaders':[` + header + `]}`
	g.does("PutCorsPolicy", `{`+harbor+`,'CorsPolicy':[`+strings.Repeat(rule+",", 99)+rule+`]}`)
	g.fails("PutCorsPolicy", `{`+harbor+`,'CorsPolicy':[`+strings.Repeat(rule+",", 100)+rule+`]}`, "ValidationException", "1 to 100 rules")
}

func TestACORSPolicyOfTheConfigurationIsToldWithAllThatClientsExpect(t *testing.T) {
	g := newRig(t).declared(container.Declaration{Name: "harbor", Settings: container.Settings{
		CORS: []container.CORSRule{{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET"}}}}})
	g.succeeds("GetCorsPolicy", `{`+harbor+`}`, `{'CorsPolicy':[{'AllowedOrigins':['*'],'AllowedMethods':['GET'],'AllowedHeaders':[]}]}`)
}
