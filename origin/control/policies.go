package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"headwater/origin/container"
)

// Policies are in force from the answer on, and come back as they were put. Which rules they keep is the registry's to check.

// putContainerPolicy puts a policy in place of the one that there is.
func (h *Handler) putContainerPolicy(ctx context.Context, in *input) (any, error) {
	if in.Policy == "" {
		return nil, fmt.Errorf("%w: Policy is empty", container.ErrInvalid)
	}
	return h.change(ctx, in.ContainerName, func(c *container.Container) error { c.Policy = in.Policy; return nil })
}

// getContainerPolicy returns the policy in force: of a container that was given none, the default policy. (A gap of the
// reference: MediaStore's console showed it.)
func (h *Handler) getContainerPolicy(_ context.Context, in *input) (any, error) {
	c, err := h.active(in.ContainerName)
	if err != nil {
		return nil, err
	}
	text := c.Policy
	if text == "" {
		text = h.defaultPolicy(c)
	}
	return struct{ Policy string }{text}, nil
}

// deleteContainerPolicy puts the default policy in force again. Where it is already there is none to delete, which MediaStore
// has an exception for. (A gap of the reference.)
func (h *Handler) deleteContainerPolicy(ctx context.Context, in *input) (any, error) {
	return h.change(ctx, in.ContainerName, func(c *container.Container) error {
		if c.Policy == "" {
			return fmt.Errorf("%w: %s has the default policy", container.ErrNoPolicy, c.Name)
		}
		c.Policy = ""
		return nil
	})
}

func (h *Handler) putCorsPolicy(ctx context.Context, in *input) (any, error) {
	return h.change(ctx, in.ContainerName, func(c *container.Container) error { c.CORS = in.CorsPolicy; return nil })
}

func (h *Handler) getCorsPolicy(_ context.Context, in *input) (any, error) {
	c, err := h.active(in.ContainerName)
	if err != nil {
		return nil, err
	}
	if len(c.CORS) == 0 {
		return nil, fmt.Errorf("%w: %s", container.ErrNoCORS, c.Name)
	}
	rules := slices.Clone(c.CORS)
	for i := range rules {
		if rules[i].AllowedHeaders == nil { // of the configuration; clients expect a list
			rules[i].AllowedHeaders = []string{}
		}
	}
	return struct{ CorsPolicy []container.CORSRule }{rules}, nil
}

func (h *Handler) deleteCorsPolicy(ctx context.Context, in *input) (any, error) {
	return h.change(ctx, in.ContainerName, func(c *container.Container) error {
		if len(c.CORS) == 0 {
			return fmt.Errorf("%w: %s", container.ErrNoCORS, c.Name)
		}
		c.CORS = nil
		return nil
	})
}

func (h *Handler) putLifecyclePolicy(ctx context.Context, in *input) (any, error) {
	switch {
	case in.LifecyclePolicy == "":
		return nil, fmt.Errorf("%w: LifecyclePolicy is empty", container.ErrInvalid)
	case strings.ContainsFunc(in.LifecyclePolicy, outsideLifecycle):
		return nil, fmt.Errorf("%w: LifecyclePolicy has tabs, line ends and characters from U+0020 to U+00FF only", container.ErrInvalid)
	}
	return h.change(ctx, in.ContainerName, func(c *container.Container) error { c.Lifecycle = in.LifecyclePolicy; return nil })
}

// outsideLifecycle reports whether a lifecycle policy cannot have a character (reference 3.3).
func outsideLifecycle(c rune) bool {
	return c > 0xff || c < ' ' && c != '\t' && c != '\n' && c != '\r'
}

func (h *Handler) getLifecyclePolicy(_ context.Context, in *input) (any, error) {
	c, err := h.active(in.ContainerName)
	if err != nil {
		return nil, err
	}
	if c.Lifecycle == "" {
		return nil, noLifecycle(c)
	}
	return struct{ LifecyclePolicy string }{c.Lifecycle}, nil
}

func (h *Handler) deleteLifecyclePolicy(ctx context.Context, in *input) (any, error) {
	return h.change(ctx, in.ContainerName, func(c *container.Container) error {
		if c.Lifecycle == "" {
			return noLifecycle(c)
		}
		c.Lifecycle = ""
		return nil
	})
}

func noLifecycle(c *container.Container) error {
	return fmt.Errorf("%w: %s has no lifecycle policy", container.ErrNoPolicy, c.Name)
}

func (h *Handler) putMetricPolicy(ctx context.Context, in *input) (any, error) {
	return h.change(ctx, in.ContainerName, func(c *container.Container) error { c.Metric = in.MetricPolicy; return nil })
}

func (h *Handler) getMetricPolicy(_ context.Context, in *input) (any, error) {
	c, err := h.active(in.ContainerName)
	if err != nil {
		return nil, err
	}
	if c.Metric == nil {
		return nil, noMetric(c)
	}
	return struct{ MetricPolicy *container.MetricPolicy }{c.Metric}, nil
}

func (h *Handler) deleteMetricPolicy(ctx context.Context, in *input) (any, error) {
	return h.change(ctx, in.ContainerName, func(c *container.Container) error {
		if c.Metric == nil {
			return noMetric(c)
		}
		c.Metric = nil
		return nil
	})
}

func noMetric(c *container.Container) error {
	return fmt.Errorf("%w: %s has no metric policy", container.ErrNoPolicy, c.Name)
}
