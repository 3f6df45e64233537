// Package control is MediaStore's control plane: the operations of its API on containers, in AWS's JSON 1.1 protocol, and the
// dry run of a container's policy (reference/mediastore.md, 3).
//
// It does not say who may do what (Authorizer does), serves no objects and keeps nothing by itself: the containers are in the
// registry of package container, which also checks what is put on them. control.go is where a request enters.
package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"headwater/auth/policy"
	"headwater/origin/container"
	"headwater/origin/reply"
	"headwater/storage"
)

// Authorizer decides who may.
type Authorizer interface {
	// Authorize returns who sent a request (an ARN, or "anonymous"), or an error that refuses it. The body has been read:
	// digest is its SHA-256 in lower-case hexadecimal digits. op is the operation, such as "CreateContainer", and resourceARN
	// the container that it is about, or "*" where there is none: CreateContainer and ListContainers have no resource, nor has
	// a request that names no container as it should, which is refused afterwards.
	Authorize(r *http.Request, digest, op, resourceARN string) (requester string, err error)
}

// Options of a Handler. All fields are required but PermitHTTP.
type Options struct {
	Registry *container.Registry
	Store    *storage.Store
	Index    storage.Index // of the same engine
	Access   Authorizer
	Endpoint func(id string) string // scheme://host[:port] of a container's objects, by Container.ID; clients want no path
	Now      func() time.Time

	PermitHTTP bool // as the registry's check of policies: see policy.ContainerRules
}

// Handler serves the control plane. Create with New. Requests pass reply.Requests before they come here.
type Handler struct{ opt Options }

// New returns a Handler.
func New(opt Options) *Handler { return &Handler{opt} }

// targetPrefix begins the header that names the operation.
const (
	targetHeader = "X-Amz-Target"
	targetPrefix = "MediaStore_20170901."
)

// maxBody is how long a request may be: more than twice the longest there is, a CORS policy of 398,000 characters.
const maxBody = 1 << 20

// Errors of requests, beside those of package container.
var (
	errUnknownOperation = errors.New("no such operation")
	errMalformed        = errors.New("the request is not as it should be") // no JSON object, or a member of the wrong type
)

// answers is the table of the control plane: 400 for whatever MediaStore has an exception for, also for what is not there
// (reference 3.1). The exceptions that its model does not have are named as other AWS services name them.
//
// A container of the configuration is refused with AccessDeniedException: clients take it as final, where
// ContainerInUseException asks them to wait and try again.
var answers = reply.Table{
	line(container.ErrConfigured, http.StatusForbidden, "AccessDeniedException", "configured", "The container is declared in the configuration and can be changed there only", false),
	line(container.ErrNotFound, http.StatusBadRequest, "ContainerNotFoundException", "no_container", "No such container", true),
	line(container.ErrInUse, http.StatusBadRequest, "ContainerInUseException", "in_use", "Container is in use", true),
	line(container.ErrLimit, http.StatusBadRequest, "LimitExceededException", "limit", "Limit exceeded", true),
	line(container.ErrNoPolicy, http.StatusBadRequest, "PolicyNotFoundException", "no_policy", "The container has no such policy", false),
	line(container.ErrNoCORS, http.StatusBadRequest, "CorsPolicyNotFoundException", "no_cors", "The container has no CORS policy", false),
	line(container.ErrInvalid, http.StatusBadRequest, "ValidationException", "invalid", "Invalid", true),
	line(errMalformed, http.StatusBadRequest, "SerializationException", "malformed", "The request is not as it should be", true),
	line(errUnknownOperation, http.StatusBadRequest, "UnknownOperationException", "unknown_operation", "No such operation", true),
}

func line(err error, status int, kind, reason, text string, detail bool) reply.Rule {
	return reply.Rule{Err: err, Answer: reply.Answer{Status: status, Type: kind, Reason: reason, Text: text, Detail: detail}}
}

// ServeHTTP answers one request. Its path and content type do not matter.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := h.answer(w, r)
	if err == nil {
		err = write(w, reply.AWSJSON, out)
	}
	if err != nil {
		reply.WriteAWSJSON(w, r, answers, err)
	}
}

// write sends a JSON document; on error nothing has been written.
func write(w http.ResponseWriter, contentType string, out any) error {
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	w.Header()["Content-Type"] = []string{contentType}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body) // the client may have gone
	return nil
}

// answer carries out a request and returns its output.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) (out any, err error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, reply.ErrMethod
	}
	target := r.Header.Get(targetHeader)
	name, _ := strings.CutPrefix(target, targetPrefix)
	op, known := operations[name]
	if !known || name == target {
		return nil, fmt.Errorf("%w: %s names an operation as %sListContainers does", errUnknownOperation, targetHeader, targetPrefix)
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	in, invalid := op.read(body)
	resource := anyResource
	if invalid == nil {
		resource, invalid = h.resource(&op, in)
	}
	who, err := h.authorize(r, body, name, resource)
	if err != nil {
		return nil, err
	}
	if invalid != nil {
		return nil, invalid
	}
	if out, err = op.call(h, r.Context(), in); err == nil && !op.reads {
		reply.Logger(r.Context()).Info("container changed", "operation", name, "container", in.ContainerName, "requester", who)
	}
	return out, err
}

// readBody returns the whole body of a request.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%w: the body broke off", errMalformed)
	}
	return body, err
}

func (h *Handler) authorize(r *http.Request, body []byte, op, resource string) (requester string, err error) {
	sum := sha256.Sum256(body)
	return h.opt.Access.Authorize(r, hex.EncodeToString(sum[:]), op, resource)
}

// anyResource is what an operation is about that is about no container.
const anyResource = "*"

// resource returns the ARN of the container that a request is about, whose name is in the input afterwards.
func (h *Handler) resource(op *operation, in *input) (arn string, err error) {
	switch {
	case slices.Contains(op.needs, memberResource):
		in.ContainerName, err = h.nameOf(in.Resource)
	case slices.Contains(op.needs, memberName):
		err = container.CheckName(in.ContainerName)
	}
	if err != nil || in.ContainerName == "" || op.makes {
		return anyResource, err
	}
	return h.opt.Registry.Account().ARN(in.ContainerName), nil
}

// active returns a container that can be worked with.
func (h *Handler) active(name string) (*container.Container, error) {
	c, err := h.opt.Registry.Get(name)
	if err == nil && c.Status != container.Active {
		err = fmt.Errorf("%w: Container must be ACTIVE in order to perform this operation", container.ErrInUse)
	}
	return c, err
}

// void is the output of operations that have none.
type void struct{}

// change has a container changed.
func (h *Handler) change(ctx context.Context, name string, change func(*container.Container) error) (any, error) {
	_, err := h.opt.Registry.Change(ctx, name, change)
	return void{}, err
}

// defaultPolicy is the policy of a container that was given none.
func (h *Handler) defaultPolicy(c *container.Container) string {
	return string(policy.DefaultContainerPolicy(c.ARN, h.opt.Registry.Account().ID))
}
