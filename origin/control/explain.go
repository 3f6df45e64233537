package control

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"headwater/auth/policy"
	"headwater/origin/container"
	"headwater/origin/reply"
)

// question is the input of a dry run: docs/formats/policy-explain.md.
type question struct {
	Action          string            // with or without "mediastore:"
	Path            string            // of the object or folder
	Principal       string            // "anonymous" or "", an account, an ARN, or a service
	SourceIP        string            `json:"SourceIp"` // "": the caller's
	UserAgent       *string           // nil: the request has none; so of Referer
	Referer         *string           //
	SecureTransport *bool             // nil: true
	Context         map[string]values // more condition keys, which replace those above
	Policy          json.RawMessage   // a candidate, as a text or as an object; nil: the policy in force
}

// values of a condition key: one text or a list of them.
type values []string

// UnmarshalJSON reads either form.
func (v *values) UnmarshalJSON(raw []byte) error {
	var single string
	if json.Unmarshal(raw, &single) == nil {
		*v = values{single}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(v))
}

// explained is the output of a dry run.
type explained struct {
	Decision    string   // Allow, Deny or "implicit deny"
	Statement   int      // the statement that decided, counted from 1; 0: none
	Sid         string   // of that statement
	Source      string   // which policy it was: candidate, container or default
	Explanation []string // lines for people
}

// Which policy a dry run was of.
const (
	sourceCandidate = "candidate"
	sourceContainer = "container"
	sourceDefault   = "default"
)

// explainAnswers is the table of the dry run, which is no API of AWS: what is not there is 404.
var explainAnswers = reply.Table{
	line(container.ErrNotFound, http.StatusNotFound, "ContainerNotFoundException", "no_container", "No such container", true),
	line(container.ErrInvalid, http.StatusBadRequest, "ValidationException", "invalid", "Invalid", true),
	line(policy.ErrInvalid, http.StatusBadRequest, "ValidationException", "invalid_policy", "Invalid policy", true),
	line(errMalformed, http.StatusBadRequest, "ValidationException", "malformed", "The request is not as it should be", true),
}

// Explain answers POST /v1/containers/{name}/policy/explain: what the container's policy, or a candidate for it, says of a
// request that is described in the body, and why. It changes nothing. It is for the operator alone: who may call it is not
// asked here.
func (h *Handler) Explain(w http.ResponseWriter, r *http.Request, name string) {
	out, err := h.explain(w, r, name)
	if err == nil {
		err = write(w, "application/json", out)
	}
	if err != nil {
		reply.WriteErrorBy(w, r, explainAnswers, err)
	}
}

func (h *Handler) explain(w http.ResponseWriter, r *http.Request, name string) (out explained, err error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return out, reply.ErrMethod
	}
	c, err := h.opt.Registry.Get(name)
	if err != nil {
		return out, err
	}
	body, err := readBody(w, r)
	if err != nil {
		return out, err
	}
	q, err := readQuestion(body)
	if err != nil {
		return out, err
	}
	if q.SourceIP == "" {
		q.SourceIP, _, _ = net.SplitHostPort(r.RemoteAddr) // of net/http it is always host:port
	}
	request, err := q.request(c, h.opt.Registry.Account().Region, h.opt.Now())
	if err != nil {
		return out, err
	}
	p, source, err := h.policyOf(c, q)
	if err != nil {
		return out, err
	}
	e := p.Explain(request)
	return explained{Decision: e.Decision.Effect.String(), Statement: e.Decision.Statement, Sid: e.Decision.Sid, Source: source,
		Explanation: strings.Split(strings.TrimSuffix(e.String(), "\n"), "\n")}, nil
}

// policyOf returns the policy that a question is about, and which it is. The one in force was checked when it was put, perhaps by
// looser rules than those of today.
func (h *Handler) policyOf(c *container.Container, q *question) (p *policy.Policy, source string, err error) {
	text, source, permitHTTP := c.Policy, sourceContainer, true
	switch {
	case q.Policy != nil:
		source, permitHTTP, text = sourceCandidate, h.opt.PermitHTTP, string(q.Policy)
		if q.Policy[0] == '"' {
			if err := json.Unmarshal(q.Policy, &text); err != nil {
				return nil, source, fmt.Errorf("%w: Policy is no text", errMalformed)
			}
		}
	case text == "":
		text, source = h.defaultPolicy(c), sourceDefault
	}
	p, err = policy.Parse([]byte(text), policy.ContainerRules(c.ARN, permitHTTP))
	return p, source, err
}

// readQuestion parses the body of a dry run, strictly: a member that is misspelt would change the answer. Errors: errMalformed.
func readQuestion(body []byte) (*question, error) {
	o, err := object(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errMalformed, err.Error())
	}
	q := &question{}
	into := fields{"Action": &q.Action, "Path": &q.Path, "Principal": &q.Principal, "SourceIp": &q.SourceIP, "UserAgent": &q.UserAgent,
		"Referer": &q.Referer, "SecureTransport": &q.SecureTransport, "Context": &q.Context, "Policy": &q.Policy}
	for name, raw := range o {
		target, known := into[name]
		if !known {
			return nil, fmt.Errorf("%w: there is no member %.50q", errMalformed, name)
		}
		if o.lacks(name) {
			continue
		}
		if err := decode(raw, name, target); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// dataActions are the operations on objects, which have a path.
var dataActions = []string{policy.ActionGetObject, policy.ActionDescribeObject, policy.ActionPutObject, policy.ActionDeleteObject,
	policy.ActionListItems}

// request returns the request that a question describes. Errors: ErrInvalid.
func (q *question) request(c *container.Container, region string, now time.Time) (r policy.Request, err error) {
	if r.Action, r.Resources, err = q.subject(c); err != nil {
		return r, err
	}
	if r.Principal, err = principal(q.Principal); err != nil {
		return r, err
	}
	if net.ParseIP(q.SourceIP) == nil {
		return r, fmt.Errorf("%w: SourceIp is an IP address", container.ErrInvalid)
	}
	r.Context = policy.Context{}
	r.Context.Set("aws:SecureTransport", strconv.FormatBool(q.SecureTransport == nil || *q.SecureTransport))
	r.Context.Set("aws:SourceIp", q.SourceIP)
	r.Context.Set("aws:CurrentTime", now.UTC().Format(time.RFC3339))
	r.Context.Set("aws:EpochTime", strconv.FormatInt(now.Unix(), 10))
	r.Context.Set("aws:RequestedRegion", region)
	for key, value := range map[string]*string{"aws:UserAgent": q.UserAgent, "aws:Referer": q.Referer} {
		if value != nil {
			r.Context.Set(key, *value)
		}
	}
	if r.Principal.ARN != "" {
		r.Context.Set("aws:PrincipalArn", r.Principal.ARN)
	}
	if r.Principal.Account != "" {
		r.Context.Set("aws:PrincipalAccount", r.Principal.Account)
	}
	for key, list := range q.Context {
		r.Context.Set(key, list...)
	}
	return r, nil
}

// subject returns the action of a question and the spellings of its resource.
func (q *question) subject(c *container.Container) (action string, resources []string, err error) {
	name := strings.TrimPrefix(q.Action, "mediastore:")
	action = "mediastore:" + name
	if op, known := operations[name]; known {
		switch {
		case q.Path != "":
			return "", nil, fmt.Errorf("%w: %s has no Path", container.ErrInvalid, name)
		case op.makes || len(op.needs) == 0:
			return action, []string{anyResource}, nil
		}
		return action, []string{c.ARN}, nil
	}
	if !slices.Contains(dataActions, action) {
		return "", nil, fmt.Errorf("%w: Action is an operation of MediaStore, such as GetObject", container.ErrInvalid)
	}
	clean := container.CleanPath
	if action == policy.ActionListItems {
		clean = container.CleanFolder
	}
	path, err := clean(q.Path)
	if path == "" { // the container's root, of which a policy may have either spelling
		return action, []string{c.ARN, c.ARN + "/"}, err
	}
	return action, []string{c.ARN + "/" + path}, err
}

// anonymous is a principal without credentials, as MediaStore's log calls it.
const anonymous = "anonymous"

// principal returns who a text means. Errors: ErrInvalid.
func principal(s string) (p policy.Principal, err error) {
	parts := strings.SplitN(s, ":", arnParts)
	switch {
	case s == "" || s == anonymous:
		return p, nil
	case isAccount(s):
		return policy.Principal{Account: s}, nil
	case len(parts) == arnParts && parts[0] == "arn" && isAccount(parts[4]) && parts[5] != "":
		return policy.Principal{Account: parts[4], ARN: s}, nil
	case len(parts) == 1 && strings.HasSuffix(s, ".amazonaws.com"):
		return policy.Principal{Service: s}, nil
	}
	return p, fmt.Errorf("%w: Principal is %s, an account, the ARN of a user, role or session, or a service such as cloudfront.amazonaws.com",
		container.ErrInvalid, anonymous)
}
