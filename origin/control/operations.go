package control

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"headwater/origin/container"
	"headwater/storage"
)

// operation is one of the API.
type operation struct {
	needs, takes []string // members of the input: those that are required, and the others
	makes        bool     // it makes the container, so that it is about none
	reads        bool     // it changes nothing
	call         func(*Handler, context.Context, *input) (any, error)
}

// Members of the input by which a container is named: one by its ARN, the other by its name.
const (
	memberResource = "Resource"
	memberName     = "ContainerName"
)

// operations are all there are (reference 3.2), by name.
var operations = func() map[string]operation {
	const name, resource = memberName, memberResource
	needs := func(members ...string) []string { return members }
	return map[string]operation{
		"CreateContainer":   {needs: needs(name), takes: needs("Tags"), makes: true, call: (*Handler).createContainer},
		"DescribeContainer": {needs: needs(name), reads: true, call: (*Handler).describeContainer}, // the model needs no name and says not what happens then
		"ListContainers":    {takes: needs("NextToken", "MaxResults"), reads: true, call: (*Handler).listContainers},
		"DeleteContainer":   {needs: needs(name), call: (*Handler).deleteContainer},

		"PutContainerPolicy":    {needs: needs(name, "Policy"), call: (*Handler).putContainerPolicy},
		"GetContainerPolicy":    {needs: needs(name), reads: true, call: (*Handler).getContainerPolicy},
		"DeleteContainerPolicy": {needs: needs(name), call: (*Handler).deleteContainerPolicy},
		"PutCorsPolicy":         {needs: needs(name, "CorsPolicy"), call: (*Handler).putCorsPolicy},
		"GetCorsPolicy":         {needs: needs(name), reads: true, call: (*Handler).getCorsPolicy},
		"DeleteCorsPolicy":      {needs: needs(name), call: (*Handler).deleteCorsPolicy},
		"PutLifecyclePolicy":    {needs: needs(name, "LifecyclePolicy"), call: (*Handler).putLifecyclePolicy},
		"GetLifecyclePolicy":    {needs: needs(name), reads: true, call: (*Handler).getLifecyclePolicy},
		"DeleteLifecyclePolicy": {needs: needs(name), call: (*Handler).deleteLifecyclePolicy},
		"PutMetricPolicy":       {needs: needs(name, "MetricPolicy"), call: (*Handler).putMetricPolicy},
		"GetMetricPolicy":       {needs: needs(name), reads: true, call: (*Handler).getMetricPolicy},
		"DeleteMetricPolicy":    {needs: needs(name), call: (*Handler).deleteMetricPolicy},

		"StartAccessLogging": {needs: needs(name), call: (*Handler).startAccessLogging},
		"StopAccessLogging":  {needs: needs(name), call: (*Handler).stopAccessLogging},

		"TagResource":         {needs: needs(resource, "Tags"), call: (*Handler).tagResource},
		"UntagResource":       {needs: needs(resource, "TagKeys"), call: (*Handler).untagResource},
		"ListTagsForResource": {needs: needs(resource), reads: true, call: (*Handler).listTags},
	}
}()

// description is a container as the API tells it.
type description struct {
	ARN                  string
	AccessLoggingEnabled bool
	CreationTime         json.Number // seconds since 1970
	Endpoint             string      `json:",omitempty"`
	Name                 string
	Status               container.Status
}

// one is the output that is about one container.
type one struct{ Container description }

// describe tells of a container. One of the configuration has no time at which it was made; clients expect one, and are told 0.
func (h *Handler) describe(c *container.Container) description {
	seconds := int64(0)
	if !c.Created.IsZero() {
		seconds = c.Created.Unix()
	}
	return description{ARN: c.ARN, AccessLoggingEnabled: c.AccessLogging, CreationTime: json.Number(fmt.Sprintf("%d.0", seconds)),
		Endpoint: h.opt.Endpoint(c.ID), Name: c.Name, Status: c.Status}
}

// createContainer makes a container, which is there at once. The answer says CREATING, without an endpoint, as MediaStore's did:
// clients wait from there.
func (h *Handler) createContainer(ctx context.Context, in *input) (any, error) {
	c, err := h.opt.Registry.Create(ctx, in.ContainerName, in.Tags)
	if err != nil {
		return nil, err
	}
	d := h.describe(c)
	d.Status, d.Endpoint = container.Creating, ""
	return one{d}, nil
}

func (h *Handler) describeContainer(_ context.Context, in *input) (any, error) {
	c, err := h.opt.Registry.Get(in.ContainerName)
	if err != nil {
		return nil, err
	}
	return one{h.describe(c)}, nil
}

// Pages of ListContainers (reference 3.2).
const (
	maxPage  = 100
	maxToken = 1024 // characters
)

type page struct {
	Containers []description
	NextToken  string `json:",omitempty"`
}

// listContainers lists containers by name: all, or as many as are asked for. What is made or removed between two pages makes
// no other container come twice or never.
func (h *Handler) listContainers(_ context.Context, in *input) (any, error) {
	if in.MaxResults != nil && (*in.MaxResults < 1 || *in.MaxResults > maxPage) {
		return nil, fmt.Errorf("%w: MaxResults is from 1 to %d", container.ErrInvalid, maxPage)
	}
	after := ""
	if in.NextToken != nil {
		var err error
		if after, err = readToken(*in.NextToken); err != nil {
			return nil, err
		}
	}
	out := page{Containers: []description{}}
	for _, c := range h.opt.Registry.List() {
		if c.Name <= after {
			continue
		}
		if n := len(out.Containers); in.MaxResults != nil && n == *in.MaxResults {
			out.NextToken = writeToken(out.Containers[n-1].Name)
			break
		}
		out.Containers = append(out.Containers, h.describe(c))
	}
	return out, nil
}

// writeToken returns the token of the page after a container. It is of [0-9A-Za-z=/+], as clients check, and shorter than
// maxToken.
func writeToken(name string) string { return base64.StdEncoding.EncodeToString([]byte(name)) }

// readToken returns the name of the last container of the page before.
func readToken(s string) (name string, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(s) > maxToken || container.CheckName(string(raw)) != nil || strings.ContainsAny(s, "\r\n") {
		return "", fmt.Errorf("%w: NextToken is not of a list of containers", container.ErrInvalid)
	}
	return string(raw), nil
}

// deleteContainer removes a container that holds nothing. A client that leaves does not keep it from being active again.
func (h *Handler) deleteContainer(ctx context.Context, in *input) (any, error) {
	empty := func(c *container.Container) (bool, error) { return h.empty(ctx, c) }
	return void{}, h.opt.Registry.Delete(context.WithoutCancel(ctx), in.ContainerName, empty)
}

// empty reports whether a container holds no objects. Those that have expired, which nobody can see or delete any more, are
// removed: they would come back in a container that is made under the same name later.
func (h *Handler) empty(ctx context.Context, c *container.Container) (bool, error) {
	for info, err := range h.opt.Index.Attributed(ctx, c.ID, "", "") {
		if err != nil {
			return false, err
		}
		if fate := c.Fate(info.Key.Path, info.Modified); !fate.Expires || h.opt.Now().Before(fate.At) {
			return false, nil
		}
		if err := h.opt.Store.Delete(ctx, info.Key); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return false, err
		}
	}
	return true, nil
}

func (h *Handler) startAccessLogging(ctx context.Context, in *input) (any, error) {
	return h.logAccess(ctx, in.ContainerName, true)
}

func (h *Handler) stopAccessLogging(ctx context.Context, in *input) (any, error) {
	return h.logAccess(ctx, in.ContainerName, false)
}

func (h *Handler) logAccess(ctx context.Context, name string, on bool) (any, error) {
	return h.change(ctx, name, func(c *container.Container) error { c.AccessLogging = on; return nil })
}
