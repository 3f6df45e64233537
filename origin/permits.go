package origin

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"headwater/auth"
	"headwater/auth/policy"
	"headwater/auth/sigv4"
	"headwater/origin/access"
	"headwater/origin/container"
	"headwater/origin/objects"
	"headwater/origin/reply"
)

// permits decides who may do what with containers and objects (reference/mediastore.md, 4.3): an explicit Deny of the
// container's policy wins; then an administrator of the account may do everything; others, and who is anonymous, may do what
// that policy allows.
type permits struct {
	cfg    *MediaStore
	access *access.Checker
	now    func() time.Time

	mu       sync.Mutex
	compiled map[string]compiled // by Container.ID
}

// compiled is a container's policy, ready for use.
type compiled struct {
	text   string
	policy *policy.Policy
}

func newPermits(cfg *Config) *permits {
	return &permits{cfg: cfg.MediaStore, access: cfg.Access, now: cfg.Now, compiled: map[string]compiled{}}
}

// maxCompiled bounds the policies that are kept ready, those of containers that are gone included.
const maxCompiled = 10 * container.MaxContainers

// policyOf returns the policy of a container, which was checked when it was put on it, perhaps by looser rules than today's.
func (p *permits) policyOf(c *container.Container) (*policy.Policy, error) {
	p.mu.Lock()
	have, ok := p.compiled[c.ID]
	p.mu.Unlock()
	if ok && have.text == c.Policy {
		return have.policy, nil
	}
	text := []byte(c.Policy)
	if c.Policy == "" {
		text = policy.DefaultContainerPolicy(c.ARN, p.cfg.Containers.Account().ID)
	}
	parsed, err := policy.Parse(text, policy.ContainerRules(c.ARN, true))
	if err != nil {
		return nil, fmt.Errorf("policy of container %s: %s", c.Name, err.Error()) // no mistake of this request
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.compiled) >= maxCompiled {
		clear(p.compiled)
	}
	p.compiled[c.ID] = compiled{c.Policy, parsed}
	return parsed, nil
}

// decide asks the policy of a container, nil for what is about none.
func (p *permits) decide(r *http.Request, c *container.Container, who access.Caller, op string, resources []string) error {
	d := policy.Decision{}
	if c != nil {
		document, err := p.policyOf(c)
		if err != nil {
			return err
		}
		d = document.Evaluate(policy.Request{Principal: who.Principal(), Action: "mediastore:" + op, Resources: resources,
			Context: p.context(r, who)})
	}
	switch {
	case d.Allowed():
		return nil
	case d.Effect == policy.Deny:
	case who.Admin:
		return nil
	}
	p.explain(r.Context(), who, op, resources, d)
	return d.Auth().Err()
}

// explain logs which statement refused, which clients are not told.
func (p *permits) explain(ctx context.Context, who access.Caller, op string, resources []string, d policy.Decision) {
	reply.Logger(ctx).Debug("policy refuses", "requester", who.Name(), "operation", op, "resource", resources[0],
		"decision", d.String())
}

// context returns the condition keys of a request (reference/mediastore.md, 4.2). aws:SourceIp is missing where a trusted proxy
// tells no address.
func (p *permits) context(r *http.Request, who access.Caller) policy.Context {
	now := p.now()
	c := policy.Context{}
	c.Set("aws:SecureTransport", strconv.FormatBool(p.access.Secure(r)))
	c.Set("aws:UserAgent", r.Header.Get("User-Agent"))
	c.Set("aws:CurrentTime", now.UTC().Format(time.RFC3339))
	c.Set("aws:EpochTime", strconv.FormatInt(now.Unix(), 10))
	c.Set("aws:RequestedRegion", p.cfg.Containers.Account().Region)
	c.Set("aws:ViaAWSService", "false")
	if client, ok := p.access.Client(r); ok {
		c.Set("aws:SourceIp", client.String())
	}
	if referer := r.Header.Values("Referer"); len(referer) > 0 {
		c.Set("aws:Referer", referer[0])
	}
	switch {
	case who.Anonymous():
		c.Set("aws:PrincipalType", "Anonymous")
		c.Set("aws:userid", access.Anonymous)
		return c
	case who.User == "":
		c.Set("aws:PrincipalType", "Account")
		c.Set("aws:userid", who.Account)
	default:
		c.Set("aws:PrincipalType", "User")
		c.Set("aws:userid", who.User)
		c.Set("aws:username", who.User)
	}
	c.Set("aws:PrincipalArn", who.Name())
	c.Set("aws:PrincipalAccount", who.Account)
	return c
}

// dataPlane is permits for operations on objects.
type dataPlane struct{ *permits }

// Authorize implements objects.Authorizer. Who writes without credentials and may not is asked for some, since encoders that
// cannot sign send theirs only then; a reader is refused as MediaStore refused it.
func (p dataPlane) Authorize(r *http.Request, c *container.Container, op objects.Operation, path string) (objects.Requester, error) {
	who, err := p.cfg.Identities.Identify(r, "", p.now())
	if err != nil {
		return objects.Requester{}, err
	}
	resources := []string{c.ARN + "/" + path}
	if path == "" { // the container's root, of which a policy may have either spelling
		resources = []string{c.ARN, c.ARN + "/"}
	}
	err = p.decide(r, c, who, string(op), resources)
	if err != nil && who.Anonymous() && len(who.Challenge) > 0 && (op == objects.PutObject || op == objects.DeleteObject) {
		err = &auth.RefusedError{Kind: auth.ErrUnauthenticated, Reason: auth.ReasonNoCredentials, Challenge: who.Challenge}
	}
	return objects.Requester{Name: who.Name(), Digest: who.Digest}, err
}

// controlPlane is permits for operations on containers.
type controlPlane struct{ *permits }

// Authorize implements control.Authorizer. Nobody is anonymous here. The account's root can always change a policy that locks
// everybody out, itself too.
func (p controlPlane) Authorize(r *http.Request, digest, op, resourceARN string) (string, error) {
	who, err := p.cfg.Identities.Identify(r, digest, p.now())
	if err == nil && who.Anonymous() {
		err = &sigv4.Error{Kind: sigv4.ErrMissingAuthenticationToken, Reason: sigv4.ReasonUnsigned}
	}
	if err != nil {
		return who.Name(), err
	}
	if who.Admin && who.User == "" && strings.HasSuffix(op, "ContainerPolicy") {
		return who.Name(), nil
	}
	var c *container.Container
	if _, name, ok := strings.Cut(resourceARN, ":container/"); ok {
		if c, err = p.cfg.Containers.Get(name); err != nil {
			c = nil // that it is not there is told to those who may ask
		}
	}
	return who.Name(), p.decide(r, c, who, op, []string{resourceARN})
}
