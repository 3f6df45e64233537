package control

import (
	"context"
	"fmt"
	"strings"

	"headwater/origin/container"
)

// maxARN is how long a container's ARN can be (reference 3.3).
const maxARN = 1024 // characters

// arnParts is how many parts an ARN has: arn:aws:mediastore:REGION:ACCOUNT:container/NAME.
const arnParts = 6

// nameOf returns the name of the container that has an ARN. One of another account or region has a name but no container here.
// Errors: ErrInvalid, ErrNotFound.
func (h *Handler) nameOf(arn string) (string, error) {
	parts := strings.Split(arn, ":")
	wrong := fmt.Errorf("%w: Resource is arn:aws:mediastore:REGION:ACCOUNT:container/NAME", container.ErrInvalid)
	if len(arn) > maxARN || len(parts) != arnParts || strings.Join(parts[:3], ":") != "arn:aws:mediastore" {
		return "", wrong
	}
	name, isContainer := strings.CutPrefix(parts[5], "container/")
	if !isContainer || !isRegion(parts[3]) || !isAccount(parts[4]) || container.CheckName(name) != nil {
		return "", wrong
	}
	if h.opt.Registry.Account().ARN(name) != arn {
		return "", fmt.Errorf("%w: the ARN is of another account or region", container.ErrNotFound)
	}
	return name, nil
}

// isRegion reports whether a text can be a region's name: also one that AWS does not have.
func isRegion(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// tagResource adds tags to a container, or replaces those of the same keys.
func (h *Handler) tagResource(ctx context.Context, in *input) (any, error) {
	return h.change(ctx, in.ContainerName, func(c *container.Container) error { return c.Tag(in.Tags) })
}

// untagResource removes tags; keys that a container does not have are no mistake.
func (h *Handler) untagResource(ctx context.Context, in *input) (any, error) {
	return h.change(ctx, in.ContainerName, func(c *container.Container) error { c.Untag(in.TagKeys); return nil })
}

func (h *Handler) listTags(_ context.Context, in *input) (any, error) {
	c, err := h.active(in.ContainerName)
	if err != nil {
		return nil, err
	}
	return struct{ Tags []container.Tag }{append([]container.Tag{}, c.Tags...)}, nil
}
