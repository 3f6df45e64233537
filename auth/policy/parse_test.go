package policy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth/policy"
)

func TestParseTakes(t *testing.T) {
	for name, text := range map[string]string{
		"one statement without a list": `{'Version':'2012-10-17','Id':'x','Statement':{'Effect':'Allow','Principal':'*','Action':'*','Resource':'*'}}`,
		"no version":                   `{'Statement':{'Effect':'Deny','Principal':'*','Action':'*','Resource':'*'}}`,
		"elements in any order":        `{'Statement':[{'Resource':['*'],'Action':['*'],'Principal':{'AWS':['*']},'Effect':'Allow','Sid':''}],'Version':'2008-10-17'}`,
		"escapes":                      `{'Statement':{'Effect':'Allow','Principal':'*','Action':'\u002a','Resource':'NAME/\u00e9/*'}}`,
		"white space":                  "\n{ 'Statement' :\t{'Effect':'Allow','Principal':'*','Action':'*','Resource':'*'} }\r\n",
	} {
		_, err := policy.Parse([]byte(jsonText(text)), policy.ContainerRules(container, true))
		require.NoError(t, err, name)
	}
}

func TestParseRefusesDocuments(t *testing.T) {
	statement := `{'Effect':'Allow','Principal':'*','Action':'*','Resource':'*'}`
	for _, tt := range []struct{ name, text, problem string }{
		{"nothing", "", "the document is empty"},
		{"a document that is too long", "{" + strings.Repeat(" ", policy.MaxDocumentBytes) + "}", "8194 bytes, more than 8192"},
		{"characters outside of ASCII", `{'Id':'é'}`, "byte 7 is not ASCII"},
		{"what is not JSON", `{'Statement':`, "not JSON"},
		{"a comma too many", `{'Statement':[` + statement + `,]}`, "not JSON"},
		{"a second document", `{'Statement':` + statement + `} {}`, "not JSON"},
		{"another value", `[` + statement + `]`, "not a JSON object"},
		{"null", `null`, "not a JSON object"},
		{"deep nesting", strings.Repeat(`{'a':`, 7) + `1` + strings.Repeat(`}`, 7), "more than 6 deep"},
		{"very deep nesting", strings.Repeat(`[`, 8000), "not JSON"},
		{"an unknown version", `{'Version':'2012-10-18','Statement':` + statement + `}`, `Version must be "2012-10-17"`},
		{"a version that is no string", `{'Version':2012,'Statement':` + statement + `}`, `Version must be a string`},
		{"an id that is no string", `{'Id':1,'Statement':` + statement + `}`, `Id must be a string`},
		{"an unknown element", `{'version':'2012-10-17','Statement':` + statement + `}`, `unknown element "version" in the document`},
		{"an element that stands twice", `{'Statement':` + statement + `,'Statement':` + statement + `}`, "Statement stands twice in the document"},
		{"no statement", `{'Version':'2012-10-17'}`, "Statement is missing"},
		{"an empty list of statements", `{'Statement':[]}`, "Statement is an empty list"},
		{"a statement that is no object", `{'Statement':['x']}`, "Statement 1: a statement must be an object"},
	} {
		_, err := policy.Parse([]byte(jsonText(tt.text)), policy.ContainerRules(container, true))
		require.ErrorIs(t, err, policy.ErrInvalid, tt.name)
		require.ErrorContains(t, err, tt.problem, tt.name)
	}
	longest := `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`
	longest += strings.Repeat(" ", policy.MaxDocumentBytes-len(longest))
	_, err := policy.Parse([]byte(longest), policy.ContainerRules(container, true))
	require.NoError(t, err, "the longest document")
}

// refusals are elements of a statement that Parse refuses, and what it says of them after the statement's name.
var refusals = []struct{ name, statement, problem string }{
	{"an unknown element", `'Effects':'Allow'`, `unknown element "Effects" in a statement`},
	{"an element that stands twice", `'Sid':'x','Sid':'EncoderWrites'`, `Sid stands twice in a statement`},
	{"an effect in another case", `'Effect':'allow'`, `Effect must be "Allow" or "Deny"`},
	{"an effect that is no string", `'Effect':['Allow']`, `Effect must be "Allow" or "Deny"`},
	{"both forms of an element", `'Principal':'*','NotPrincipal':'*'`, `Principal and NotPrincipal exclude each other`},

	{"a principal without a type", `'Principal':'arn:aws:iam::ACCT:root'`, `Principal must be "*" or an object`},
	{"a list of principals without a type", `'Principal':['*']`, `Principal must be "*" or an object`},
	{"a principal of another type", `'Principal':{'Federated':'x'}`, `unknown element "Federated" in Principal`},
	{"a type of principals that stands twice", `'Principal':{'AWS':'*','AWS':'*'}`, `AWS stands twice in Principal`},
	{"an empty object of principals", `'Principal':{}`, `Principal names nobody`},
	{"an empty list of principals", `'Principal':{'AWS':[]}`, `Principal AWS is an empty list`},
	{"a user with a wildcard", `'Principal':{'AWS':'arn:aws:iam::ACCT:user/*'}`, `Principal AWS "arn:aws:iam::` + account + `:user/*": "*" stands for everyone`},
	{"a user in NotPrincipal with a wildcard", `'NotPrincipal':{'AWS':'arn:aws:iam::ACCT:user/a?'}`, `NotPrincipal AWS "arn`},
	{"an account that is too short", `'Principal':{'AWS':'12345'}`, `Principal AWS "12345": write "*"`},
	{"a user without a name", `'Principal':{'AWS':'arn:aws:iam::ACCT:user/'}`, `write "*"`},
	{"a group", `'Principal':{'AWS':'arn:aws:iam::ACCT:group/x'}`, `write "*"`},
	{"a session without a name", `'Principal':{'AWS':'arn:aws:sts::ACCT:assumed-role/x'}`, `write "*"`},
	{"a user with a region", `'Principal':{'AWS':'arn:aws:iam:eu-west-1:ACCT:user/x'}`, `write "*"`},
	{"a user of no account", `'Principal':{'AWS':'arn:aws:iam::cloudfront:user/x'}`, `write "*"`},
	{"a service without a domain", `'Principal':{'Service':'cloudfront'}`, `Principal Service "cloudfront": write the name of a service`},
	{"all services", `'Principal':{'Service':'*'}`, `Principal Service "*"`},

	{"an action of another service", `'Action':'s3:GetObject'`, `Action "s3:GetObject" does not begin with "mediastore:"`},
	{"an action with a slip in the service", `'Action':['mediastor:GetObject']`, `Action "mediastor:GetObject" does not begin`},
	{"an action without a service", `'NotAction':'GetObject'`, `NotAction "GetObject" does not begin`},
	{"an action of several services", `'Action':'media*:GetObject'`, `does not begin`},
	{"an action without a name", `'Action':'mediastore:'`, `Action "mediastore:" names no operation`},
	{"an action with a space", `'Action':'mediastore:GetObject '`, `names no operation`},
	{"an action that is a number", `'Action':1`, `Action must be a string or a list of strings`},
	{"an empty list of actions", `'Action':[]`, `Action is an empty list`},

	{"a resource of another container", `'Resource':'NAME_2/*'`, `Resource "` + container + `_2/*" is outside of what the policy is for: write "` + container + `/*"`},
	{"a resource that ends in a wildcard too early", `'Resource':'NAME*'`, `is outside`},
	{"a resource of any region", `'Resource':'arn:aws:mediastore:*:ACCT:container/harbor_live/*'`, `is outside`},
	{"a resource that is no ARN", `'NotResource':'/ch1/*'`, `NotResource "/ch1/*" is outside`},
	{"an object as resource", `'Resource':{}`, `Resource must be a string or a list of strings`},
	{"a variable that does not end", `'Resource':'NAME/${aws:username/*'`, `a policy variable is not written ${key}`},
	{"a variable without a name", `'Resource':'NAME/${}/*'`, `a policy variable is not written ${key}`},
	{"a variable with a default", `'Resource':'NAME/${aws:username, x}/*'`, `default values of policy variables`},

	{"a condition that is no object", `'Condition':[]`, `Condition must be an object`},
	{"an unknown operator", `'Condition':{'StringEqual':{'aws:Referer':'x'}}`, `Condition "StringEqual" "aws:Referer": unknown operator`},
	{"an operator in another case", `'Condition':{'stringlike':{'aws:Referer':'x'}}`, `unknown operator: write StringLike`},
	{"an operator with an unknown prefix", `'Condition':{'ForSomeValues:StringLike':{'aws:Referer':'x'}}`, `unknown operator`},
	{"Null with IfExists", `'Condition':{'NullIfExists':{'aws:Referer':'true'}}`, `no prefix and no IfExists go with Null`},
	{"an operator without keys", `'Condition':{'Bool':{}}`, `Condition "Bool" must be an object with at least one key`},
	{"an operator with a value", `'Condition':{'Bool':'true'}`, `Condition "Bool" must be an object with at least one key`},
	{"an operator that stands twice", `'Condition':{'Bool':{'aws:SecureTransport':true},'Bool':{'aws:ViaAWSService':true}}`, `Condition "Bool" stands twice`},
	{"a key that stands twice", `'Condition':{'Bool':{'aws:SecureTransport':true,'AWS:SecureTransport':true}}`, `the key stands twice`},
	{"an unknown key", `'Condition':{'StringEquals':{'aws:UserAgents':'x'}}`, `Condition "StringEquals" "aws:UserAgents": unknown key`},
	{"a key of another service", `'Condition':{'StringEquals':{'s3:prefix':'x'}}`, `unknown key`},
	{"a tag without a name", `'Condition':{'StringEquals':{'aws:ResourceTag/':'x'}}`, `unknown key`},
	{"an empty list of values", `'Condition':{'StringEquals':{'aws:Referer':[]}}`, `is an empty list`},
	{"null as value", `'Condition':{'StringEquals':{'aws:Referer':null}}`, `must be a string, number or boolean`},
	{"a list in a list", `'Condition':{'StringEquals':{'aws:username':{'a':1}}}`, `must be a string, number or boolean`},
	{"a range that is none", `'Condition':{'IpAddress':{'aws:SourceIp':['192.0.2.0/24','192.0.2.0/33']}}`, `Condition "IpAddress" "aws:SourceIp": "192.0.2.0/33": not an address or CIDR range`},
	{"an address with a zone", `'Condition':{'NotIpAddress':{'aws:SourceIp':'fe80::1%eth0'}}`, `not an address`},
	{"a variable as address", `'Condition':{'IpAddress':{'aws:SourceIp':'${aws:SourceIp}'}}`, `not an address`},
	{"a date that is none", `'Condition':{'DateLessThan':{'aws:CurrentTime':'2026-13-01'}}`, `"2026-13-01": not a date`},
	{"a year alone, which reads like seconds", `'Condition':{'DateLessThan':{'aws:CurrentTime':'2026'}}`, `not a date`},
	{"a date in very many seconds", `'Condition':{'DateLessThan':{'aws:CurrentTime':99999999999999999999}}`, `not a date`},
	{"a number that is none", `'Condition':{'NumericEquals':{'aws:EpochTime':'0x10'}}`, `"0x10": not a number`},
	{"a number beyond all", `'Condition':{'NumericEquals':{'aws:EpochTime':1e999}}`, `not a number`},
	{"infinity", `'Condition':{'NumericEquals':{'aws:EpochTime':'Inf'}}`, `not a number`},
	{"a truth value that is none", `'Condition':{'Bool':{'aws:SecureTransport':'yes'}}`, `"yes": not "true" or "false"`},
	{"Null with what is no truth value", `'Condition':{'Null':{'aws:Referer':'${aws:username}'}}`, `not "true" or "false"`},
	{"what is not base64", `'Condition':{'BinaryEquals':{'aws:userid':'*'}}`, `"*": not base64`},
	{"what is no ARN", `'Condition':{'ArnLike':{'aws:SourceArn':'arn:aws:cloudfront:*'}}`, `"arn:aws:cloudfront:*": not an ARN of six parts`},
	{"an ARN with half a variable", `'Condition':{'ArnLike':{'aws:SourceArn':'arn:aws:x:::${aws'}}`, `a policy variable is not written`},
}

func TestParseRefusesStatements(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			named := tt.statement
			if !strings.Contains(named, "'Sid'") {
				named = "'Sid':'EncoderWrites'," + named
			}
			_, err := policy.Parse([]byte(document("2012-10-17", "'Sid':'First'", named)), policy.ContainerRules(container, true))
			require.ErrorIs(t, err, policy.ErrInvalid)
			require.ErrorContains(t, err, `Statement 2 (Sid "EncoderWrites"): `)
			require.ErrorContains(t, err, tt.problem)
			require.NotContains(t, err.Error(), "Statement 1")
			require.NotContains(t, err.Error(), "; ", "one mistake is one problem")
		})
	}
}

func TestParseNamesMissingElements(t *testing.T) {
	_, err := policy.Parse([]byte(`{"Statement":[{}]}`), policy.ContainerRules(container, true))
	require.EqualError(t, err, `invalid policy: Statement 1: Effect must be "Allow" or "Deny", spelled so; `+
		`Statement 1: Principal or NotPrincipal is missing; Statement 1: Action or NotAction is missing; `+
		`Statement 1: Resource or NotResource is missing`)
}

func TestParseNamesAStatementWithoutSid(t *testing.T) {
	_, err := policy.Parse([]byte(document("2012-10-17", "'Sid':7")), policy.ContainerRules(container, true))
	require.EqualError(t, err, "invalid policy: Statement 1: Sid must be a string")
}

func TestParseReportsAllProblemsButNotWithoutEnd(t *testing.T) {
	_, err := policy.Parse([]byte(document("2012-10-18", "'Sid':'A','Action':'x'", "'Sid':'B','Action':'y'")), policy.ContainerRules(container, true))
	require.ErrorContains(t, err, "Version must be")
	require.ErrorContains(t, err, `Statement 1 (Sid "A"): Action "x"`)
	require.ErrorContains(t, err, `Statement 2 (Sid "B"): Action "y"`)

	_, err = policy.Parse([]byte(`{"Statement":[`+strings.Repeat(`{},`, 2000)+`{}]}`), policy.ContainerRules(container, true))
	require.ErrorContains(t, err, "and 7984 more problems")
	_, err = policy.Parse([]byte(document("2012-10-17", "'Action':'"+strings.Repeat("x", 5000)+"'")), policy.ContainerRules(container, true))
	require.Less(t, len(err.Error()), 300, "a long text is not repeated")
}

func TestParseQuotesNoSecret(t *testing.T) {
	for _, condition := range []string{"'StringEquals':{'aws:UserAgent':'s3cret${'}", "'BinaryEquals':{'aws:Referer':'s3cret'}",
		"'IpAddress':{'aws:UserAgent':'s3cret'}", "'Bool':{'AWS:UserAgent':'s3cret'}", "'StringEqual':{'aws:UserAgent':'s3cret'}"} {
		_, err := policy.Parse([]byte(document("2012-10-17", "'Condition':{"+condition+"}")), policy.ContainerRules(container, true))
		require.ErrorIs(t, err, policy.ErrInvalid)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func TestAllowingPutObjectRequiresHTTPS(t *testing.T) {
	const problem = `Statement 1 (Sid "Writes"): it allows mediastore:PutObject without requiring HTTPS`
	for _, tt := range []struct {
		name, statement string
		valid           bool
	}{
		{"PutObject without a condition", `'Action':'mediastore:PutObject'`, no},
		{"all actions without a condition", `'Action':'*'`, no},
		{"a wildcard that takes in PutObject", `'Action':['mediastore:Get*','mediastore:p*']`, no},
		{"NotAction that leaves PutObject in", `'NotAction':'mediastore:DeleteObject'`, no},
		{"NotAction that leaves PutObject out", `'NotAction':'mediastore:PutObject'`, yes},
		{"other actions", `'Action':['mediastore:GetObject','mediastore:DeleteObject']`, yes},
		{"a Deny of PutObject", `'Effect':'Deny','Action':'mediastore:PutObject'`, yes},
		{"PutObject over HTTPS", `'Action':'mediastore:PutObject','Condition':{'Bool':{'aws:SecureTransport':'true'}}`, yes},
		{"PutObject over HTTPS, as a truth value", `'Condition':{'Bool':{'AWS:securetransport':[true]}}`, yes},
		{"PutObject over HTTPS and with more", `'Condition':{'IpAddress':{'aws:SourceIp':'192.0.2.0/24'},'Bool':{'aws:SecureTransport':'true'}}`, yes},
		{"PutObject over HTTP or HTTPS", `'Condition':{'Bool':{'aws:SecureTransport':['true','false']}}`, no},
		{"PutObject over HTTP", `'Condition':{'Bool':{'aws:SecureTransport':'false'}}`, no},
		{"PutObject over HTTPS if it were known", `'Condition':{'BoolIfExists':{'aws:SecureTransport':'true'}}`, no},
		{"PutObject for all of no values", `'Condition':{'ForAllValues:Bool':{'aws:SecureTransport':'true'}}`, no},
		{"PutObject over what a variable says", `'Condition':{'Bool':{'aws:SecureTransport':'${aws:ViaAWSService}'}}`, no},
		{"PutObject when the key is there", `'Condition':{'Null':{'aws:SecureTransport':'false'}}`, no},
		{"PutObject with another condition", `'Condition':{'Bool':{'aws:ViaAWSService':'true'}}`, no},
	} {
		text := []byte(document("2012-10-17", "'Sid':'Writes',"+tt.statement))
		_, err := policy.Parse(text, policy.ContainerRules(container, false))
		if tt.valid {
			require.NoError(t, err, tt.name)
		} else {
			require.ErrorContains(t, err, problem, tt.name)
		}
		_, err = policy.Parse(text, policy.ContainerRules(container, true))
		require.NoError(t, err, "%s, where HTTP is permitted", tt.name)
	}
}

func TestRulesOfOtherServices(t *testing.T) {
	rules := policy.Rules{Service: "mediapackagev2", Keys: []string{"mediapackagev2:"}}
	text := func(resource, key string) []byte {
		return []byte(jsonText(`{'Version':'2012-10-17','Statement':{'Effect':'Allow','Principal':'*','Action':'mediapackagev2:GetObject',
			'Resource':'` + resource + `','Condition':{'Bool':{'` + key + `':'true'}}}}`))
	}
	endpoint := "arn:aws:mediapackagev2:eu-west-1:" + account + ":channelGroup/g/channel/c/originEndpoint/e"
	p, err := policy.Parse(text(endpoint, "MediaPackageV2:RequestHasMatchingCdnAuthHeader"), rules)
	require.NoError(t, err)
	r := policy.Request{Action: "mediapackagev2:GetObject", Resources: []string{endpoint}, Context: policy.Context{}}
	require.False(t, p.Evaluate(r).Allowed())
	r.Context.Set("mediapackagev2:RequestHasMatchingCdnAuthHeader", "true")
	require.True(t, p.Evaluate(r).Allowed())

	for _, tt := range []struct{ resource, key, problem string }{
		{endpoint, "mediapackagev2:", "unknown key"},
		{endpoint, "mediastore:x", "unknown key"},
		{"channelGroup/g", "aws:SecureTransport", "is not an ARN of six parts"},
		{"arn:aws:mediapackagev2:${aws:RequestedRegion}:1:x", "aws:SecureTransport", "only in an ARN's last part"},
	} {
		_, err := policy.Parse(text(tt.resource, tt.key), rules)
		require.ErrorContains(t, err, tt.problem)
	}
}
