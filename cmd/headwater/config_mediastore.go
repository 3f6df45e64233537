package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"headwater/auth/policy"
	"headwater/auth/sigv4"
	"headwater/origin/access"
	"headwater/origin/container"
	"headwater/origin/objects"
	"headwater/storage/mem"
)

// This file is the object store in the file: who owns it, who may use it, and the containers that are declared.

// envMediaStoreKey holds an access key of the account's root, id:secret, beside those of the file.
const envMediaStoreKey = "HEADWATER_MEDIASTORE_KEY"

// Defaults and bounds of the object store.
const (
	defaultAccount = "000000000000"
	defaultRegion  = "us-east-1"
	defaultDomain  = "localhost"
	maxObjectSize  = 5 << 40 // bytes; what is larger is a mistake of units
)

type fileMediaStore struct {
	Account           *string         `yaml:"account"`
	Region            *string         `yaml:"region"`
	Domain            *string         `yaml:"domain"`
	AccessKeys        []fileAccessKey `yaml:"access_keys"`
	Users             []fileStoreUser `yaml:"users"`
	Tokens            []fileToken     `yaml:"tokens"`
	PermitHTTP        bool            `yaml:"permit_http"`
	Conditional       bool            `yaml:"conditional"`
	MaxObject         *size           `yaml:"max_object"`
	MaxStreaming      *size           `yaml:"max_streaming"`
	ExtendedLifecycle bool            `yaml:"extended_lifecycle"`
	Quotas            *string         `yaml:"quotas"`
	AccessLog         string          `yaml:"access_log"`
}

// filePerson is whose a credential is.
type filePerson struct {
	User  string `yaml:"user"`
	Admin *bool  `yaml:"admin"`
}

type fileAccessKey struct {
	ID           string     `yaml:"id"`
	Secret       secret     `yaml:"secret"`
	SessionToken secret     `yaml:"session_token"`
	Expires      *time.Time `yaml:"expires"`
	filePerson   `yaml:",inline"`
}

type fileStoreUser struct {
	Name     string `yaml:"name"`
	Password secret `yaml:"password"`
	Admin    *bool  `yaml:"admin"`
}

type fileToken struct {
	Token      secret `yaml:"token"`
	filePerson `yaml:",inline"`
}

// MediaStoreConfig is the object store as configured.
type MediaStoreConfig struct {
	Account     container.Account
	Domain      string // below which the endpoints of containers are
	Credentials access.Credentials

	PermitHTTP, Conditional, ExtendedLifecycle bool
	MaxObject, MaxStreaming                    int64 // bytes

	Quotas    bool   // MediaStore's requests per second, of each container
	AccessLog string // file, or "-" for standard output; "": none

	Containers []container.Declaration
}

// fixed returns what only a start can put in force.
func (m *MediaStoreConfig) fixed() string {
	return fmt.Sprint(m.Account, m.Domain, m.PermitHTTP, m.Conditional, m.ExtendedLifecycle, m.MaxObject, m.MaxStreaming, m.Quotas, m.AccessLog)
}

// Registry returns the options of the registry of containers.
func (m *MediaStoreConfig) Registry(now func() time.Time) container.Options {
	return container.Options{Account: m.Account, Extended: m.ExtendedLifecycle, Now: now, Policies: func(document, arn string) error {
		_, err := policy.Parse([]byte(document), policy.ContainerRules(arn, m.PermitHTTP))
		return err
	}}
}

var (
	accountPattern = regexp.MustCompile(`^\d{12}$`)
	regionPattern  = regexp.MustCompile(`^[a-z]+-[a-z]+-\d$`)                // as ARNs of containers have it
	domainPattern  = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`) // no port, which is the listener's
	keyIDPattern   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	userPattern    = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{1,64}$`) // of IAM users
)

// mediaStore builds and checks the object store.
func (b *builder) mediaStore(c *Config) {
	f, m := &b.file.MediaStore, &c.MediaStore
	m.Account = container.Account{ID: first(defaultAccount, f.Account), Region: first(defaultRegion, f.Region)}
	m.Domain = first(domainOf(c.PublicURL), f.Domain)
	m.PermitHTTP, m.Conditional, m.ExtendedLifecycle = f.PermitHTTP, f.Conditional, f.ExtendedLifecycle
	m.AccessLog = f.AccessLog
	switch quotas := first("none", f.Quotas); quotas {
	case "none":
	case "mediastore":
		m.Quotas = true
	default:
		b.bad("mediastore.quotas", "mediastore.quotas: %q is neither none nor mediastore", quotas)
	}
	m.MaxObject = first(objects.MaxObject, (*int64)(f.MaxObject))
	m.MaxStreaming = first(objects.MaxStreaming, (*int64)(f.MaxStreaming))
	const path = "mediastore."
	if !accountPattern.MatchString(m.Account.ID) {
		b.bad(path+"account", "mediastore.account: an account has 12 digits")
	}
	if !regionPattern.MatchString(m.Account.Region) {
		b.bad(path+"region", "mediastore.region: a region is like %s", defaultRegion)
	}
	if !domainPattern.MatchString(m.Domain) {
		b.bad(path+"domain", "mediastore.domain: a domain is like media.example.com, without a port")
	}
	for key, value := range map[string]int64{"max_object": m.MaxObject, "max_streaming": m.MaxStreaming} {
		if value < 1 || value > maxObjectSize {
			b.bad(path+key, "mediastore.%s: %d is not between 1 and %d bytes", key, value, int64(maxObjectSize))
		}
	}
	b.accessKeys(m, f.AccessKeys)
	b.storeUsers(m, f)
	// Nobody else can reach it, and nothing stands in front of it that others could reach.
	m.Credentials.Open = loopback(c.Listen) && loopback(b.listening) && loopback(c.Admin) && c.PublicURL == "" && c.TrustedProxies.Len() == 0
	b.containers(m)
}

// domainOf returns the host of a URL without its port, or the default where it has none that a domain could be made of.
func domainOf(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil || !domainPattern.MatchString(u.Hostname()) || net.ParseIP(u.Hostname()) != nil {
		return defaultDomain
	}
	return u.Hostname()
}

// person checks whose a credential is; of nobody's name it is the account's root.
func (b *builder) person(path string, f filePerson) access.Person {
	if f.User != "" && !userPattern.MatchString(f.User) {
		b.bad(path+".user", "%s.user: a user name has 1 to 64 letters, digits and _+=,.@-", path)
	}
	return access.Person{User: f.User, Admin: first(true, f.Admin)}
}

func (b *builder) accessKeys(m *MediaStoreConfig, list []fileAccessKey) {
	if pair, _ := b.env(envMediaStoreKey); pair != "" {
		id, value, found := strings.Cut(pair, ":")
		if !found || value == "" || !keyIDPattern.MatchString(id) {
			b.problems = append(b.problems, &Problem{Text: envMediaStoreKey + " is not id:secret"})
		}
		m.Credentials.Keys = append(m.Credentials.Keys, access.AccessKey{ID: id, Key: sigv4.Key{Secret: value}, Person: access.Person{Admin: true}})
	}
	for i := range list {
		f, path := &list[i], fmt.Sprintf("mediastore.access_keys.%d", i)
		if !keyIDPattern.MatchString(f.ID) {
			b.bad(path+".id", "%s.id: an access key id has 1 to 128 letters, digits, _ and -", path)
		}
		for _, have := range m.Credentials.Keys {
			if have.ID == f.ID {
				b.bad(path+".id", "%s.id: there is such a key already", path)
			}
		}
		key := access.AccessKey{ID: f.ID, Person: b.person(path, f.filePerson)}
		key.Key.Secret = b.single(path+".secret", f.Secret)
		if f.SessionToken.line != 0 {
			key.Key.SessionToken = b.single(path+".session_token", f.SessionToken)
		}
		if f.Expires != nil {
			key.Key.Expires = *f.Expires
		}
		m.Credentials.Keys = append(m.Credentials.Keys, key)
	}
}

// single resolves a secret that has one value: of two, a key of AWS has two IDs.
func (b *builder) single(path string, s secret) string {
	values := b.resolve(path, s)
	if len(values) > 1 {
		b.bad(path, "%s: one value is needed: for another secret make another access key of the same user", path)
	}
	return strings.Join(values, "")
}

func (b *builder) storeUsers(m *MediaStoreConfig, f *fileMediaStore) {
	for i := range f.Users {
		path := fmt.Sprintf("mediastore.users.%d", i)
		if !userPattern.MatchString(f.Users[i].Name) {
			b.bad(path+".name", "%s.name: a user name has 1 to 64 letters, digits and _+=,.@-", path)
		}
		person := access.Person{User: f.Users[i].Name, Admin: first(true, f.Users[i].Admin)}
		for _, password := range b.resolve(path+".password", f.Users[i].Password) {
			m.Credentials.Users = append(m.Credentials.Users, access.BasicUser{Password: password, Person: person})
		}
	}
	for i := range f.Tokens {
		path := fmt.Sprintf("mediastore.tokens.%d", i)
		person := b.person(path, f.Tokens[i].filePerson)
		for _, token := range b.resolve(path+".token", f.Tokens[i].Token) {
			m.Credentials.Tokens = append(m.Credentials.Tokens, access.Token{Secret: token, Person: person})
		}
	}
}

// containers builds and checks the declared containers, as the registry that runs will.
func (b *builder) containers(m *MediaStoreConfig) {
	ctx := context.Background()
	registry, err := container.Open(ctx, mem.New(time.Now), m.Registry(time.Now))
	if err != nil {
		b.bad("containers", "containers: %v", err)
		return
	}
	defined := map[string]int{}
	for i := range b.file.Containers {
		path := fmt.Sprintf("containers.%d", i)
		d, err := b.file.Containers[i].declaration()
		if err == nil {
			err = registry.Declare([]container.Declaration{d})
		}
		if err != nil {
			b.bad(path, "%s: %v", path, err)
		}
		if before, twice := defined[d.Name]; twice {
			b.bad(path+".name", "%s: %q is containers.%d already", path, d.Name, before)
		}
		defined[d.Name] = i
		m.Containers = append(m.Containers, d)
	}
}

// summary adds the object store to a Summary.
func (m *MediaStoreConfig) summary(line func(name, format string, args ...any)) {
	line("object store", "account %s, region %s, endpoints below %s, %v", m.Account.ID, m.Account.Region, m.Domain, m.Credentials)
	for _, d := range m.Containers {
		policies := []string{}
		for name, has := range map[string]bool{"policy": d.Policy != "", "cors": d.CORS != nil, "lifecycle": d.Lifecycle != "", "metric": d.Metric != nil} {
			if has {
				policies = append(policies, name)
			}
		}
		line("container "+d.Name, "%s; access logging %t, %d tags", strings.Join(policies, ", "), d.AccessLogging, len(d.Tags))
	}
}
