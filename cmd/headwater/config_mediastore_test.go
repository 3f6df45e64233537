package main

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProblemsOfTheObjectStoreNameTheirLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an account of eleven digits": {"mediastore:\n  account: \"12345678901\"\n", "2: mediastore.account: an account has 12 digits"},
		"a region of another shape":   {"mediastore:\n  region: Ireland\n", "2: mediastore.region: a region is like us-east-1"},
		"a domain with a port":        {"mediastore:\n  domain: a.example:80\n", "2: mediastore.domain: a domain is like media.example.com, without a port"},
		"a size of nothing":           {"mediastore:\n  max_object: 0\n", "2: mediastore.max_object: 0 is not between 1 and 5497558138880 bytes"},
		"an unknown key":              {"mediastore:\n  acount: x\n", `2: unknown key "acount"`},
		"a key without a secret":      {"mediastore:\n  access_keys:\n  - id: A\n", "3: mediastore.access_keys.0.secret: a secret is needed"},
		"an id with a slash":          {"mediastore:\n  access_keys:\n  - {id: A/B, secret: x}\n", "3: mediastore.access_keys.0.id: an access key id has 1 to 128 letters, digits, _ and -"},
		"one id twice": {"mediastore:\n  access_keys:\n  - {id: A, secret: x}\n  - {id: A, secret: y}\n",
			"4: mediastore.access_keys.1.id: there is such a key already"},
		"a user with a slash":       {"mediastore:\n  users:\n  - {name: a/b, password: x}\n", "3: mediastore.users.0.name: a user name has 1 to 64 letters, digits and _+=,.@-"},
		"a container without name":  {"containers:\n- {}\n", "2: containers.0: "},
		"a container twice":         {"containers:\n- name: a\n- name: a\n", `3: containers.1: "a" is containers.0 already`},
		"a policy of another":       {"containers:\n- name: a\n  policy: {Version: 2012-10-17, Statement: []}\n", "2: containers.0: "},
		"an unknown member of CORS": {"containers:\n- name: a\n  cors: [{Origins: []}]\n", "2: containers.0: cors: "},
		"an endless document":       {"containers:\n- name: a\n  policy: &p [*p]\n", "3: "},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, "\n"+strings.Join(problems(t, c.text, none), "\n"), "\n"+c.want)
		})
	}
}

func TestPoliciesOfContainersAreWrittenInYAMLOrJSON(t *testing.T) {
	const arn = "arn:aws:mediastore:us-east-1:000000000000:container/a/*"
	c, err := load(yamlFile(t, `
containers:
  - name: a
    policy:
      Version: 2012-10-17
      Statement: {Effect: Allow, Principal: "*", Action: "mediastore:GetObject", Resource: "`+arn+`", Condition: {Bool: {"aws:SecureTransport": true}}}
    cors: '[{"AllowedOrigins":["*"],"AllowedMethods":["GET"],"AllowedHeaders":[],"MaxAgeSeconds":5}]'
    lifecycle: {rules: [{definition: {path: [{wildcard: "<*>"}], seconds_since_create: [{numeric: [">", 15]}]}, action: EXPIRE}]}
`), none)
	require.NoError(t, err)
	d := c.MediaStore.Containers[0]
	require.Equal(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"mediastore:GetObject","Resource":"`+arn+
		`","Condition":{"Bool":{"aws:SecureTransport":true}}}}`, d.Policy)
	require.Equal(t, 5, d.CORS[0].MaxAgeSeconds)
	require.Contains(t, d.Lifecycle, `"wildcard":"<*>"`)
}

func TestOnlyAServerThatItsOwnMachineAloneReachesTakesAnySignature(t *testing.T) {
	for text, open := range map[string]bool{
		"":                                     true,
		"admin: \":9090\"\n":                   false,
		"listen: \":8080\"\ninsecure: true\n":  false,
		"public_url: https://live.example\n":   false,
		"trusted_proxies: [127.0.0.1]\n":       false,
		"listen: localhost:1\nadmin: ::1:2\n":  true,
		"listen: example.com:1\ninsecure: yes": false,
	} {
		c, err := load(yamlFile(t, strings.Replace(text, "::1:2", `"[::1]:2"`, 1)), none)
		require.NoError(t, err, text)
		require.Equal(t, open, c.MediaStore.Credentials.Open, text)
	}
}

func TestSecretsOfTheObjectStoreAreNeverShown(t *testing.T) {
	c, err := load(yamlFile(t, `
mediastore:
  access_keys: [{id: A, secret: s3cretvalue, session_token: s3cretvalue}]
  users: [{name: u, password: s3cretvalue}]
  tokens: [{token: s3cretvalue}]
`), vars("HEADWATER_MEDIASTORE_KEY=B:s3cretvalue"))
	require.NoError(t, err)
	require.Contains(t, c.Summary(), "2 access keys, 1 users, 1 tokens")
	require.NotContains(t, c.Summary(), "s3cretvalue")
}

func TestReloadPutsContainersAndCredentialsInForce(t *testing.T) {
	const addresses = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"
	fl := yamlFile(t, addresses+"containers: [{name: one}]\n")
	dir := t.TempDir()
	fl.Data = &dir
	r := start(t, fl, nil)
	require.Contains(t, r.log.String(), "takes any AWS credentials")
	list := func(container, user string) int {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.public+"/containers/"+container, nil)
		require.NoError(t, err)
		q.SetBasicAuth(user, "pw")
		res, err := http.DefaultClient.Do(q)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	require.Equal(t, http.StatusUnauthorized, list("one", "me"))
	require.NoError(t, os.WriteFile(fl.Config, []byte(addresses+"mediastore: {users: [{name: me, password: pw}]}\ncontainers: [{name: two}]\n"), 0o600))
	r.reload(t)
	require.Equal(t, http.StatusOK, list("two", "me"))
	require.Equal(t, http.StatusNotFound, list("one", "me"))
	require.NotContains(t, r.log.String(), "need a restart")
	r.end(t)
}
