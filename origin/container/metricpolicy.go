package container

import (
	"fmt"
	"strings"
	"unicode"
)

// MetricPolicy says which requests of a container are measured (reference 3.3, 7.1). The names are those of the API.
type MetricPolicy struct {
	ContainerLevelMetrics string       // ENABLED or DISABLED
	MetricPolicyRules     []MetricRule `json:",omitempty"`
}

// MetricRule measures the objects of a group under a name.
type MetricRule struct {
	ObjectGroup     string // path pattern: * is any run of characters; without one a folder and all below it
	ObjectGroupName string
}

// Bounds of a metric policy. MediaStore's quota is 5 rules unless asked for more.
const (
	maxMetricRules  = 300
	maxObjectGroup  = 900
	maxGroupName    = 30
	metricsEnabled  = "ENABLED"
	metricsDisabled = "DISABLED"
)

// checkMetric reports which rule a metric policy breaks.
func checkMetric(p *MetricPolicy) error {
	if p.ContainerLevelMetrics != metricsEnabled && p.ContainerLevelMetrics != metricsDisabled {
		return fmt.Errorf("%w: ContainerLevelMetrics is %s or %s", ErrInvalid, metricsEnabled, metricsDisabled)
	}
	if len(p.MetricPolicyRules) > maxMetricRules {
		return fmt.Errorf("%w: a metric policy has at most %d rules", ErrInvalid, maxMetricRules)
	}
	for i, r := range p.MetricPolicyRules {
		name := strings.Trim(r.ObjectGroup, "/")
		if name == "" || len(r.ObjectGroup) > maxObjectGroup || strings.Count(name, "/") > MaxFolders || strings.ContainsFunc(name, outsidePattern) {
			return fmt.Errorf("%w: metric rule %d: ObjectGroup is a path pattern of at most %d characters and %d folders",
				ErrInvalid, i+1, maxObjectGroup, MaxFolders)
		}
		if r.ObjectGroupName == "" || len(r.ObjectGroupName) > maxGroupName ||
			strings.ContainsFunc(r.ObjectGroupName, func(c rune) bool { return c > '~' || !isWord(byte(c)) }) {
			return fmt.Errorf("%w: metric rule %d: ObjectGroupName has 1 to %d letters, digits and _", ErrInvalid, i+1, maxGroupName)
		}
	}
	return nil
}

func outsidePattern(c rune) bool { return c != '*' && c != '/' && !pathRune(c) }

// Measured returns the names of the groups that an object belongs to, and whether the container is measured as a whole.
func (c *Container) Measured(path string) (groups []string, whole bool) {
	if c.Metric == nil {
		return nil, false
	}
	for _, r := range c.Metric.MetricPolicyRules {
		pattern := strings.Trim(r.ObjectGroup, "/")
		if wildcard(pattern, path) || !strings.Contains(pattern, "*") && strings.HasPrefix(path, pattern+"/") {
			groups = append(groups, r.ObjectGroupName)
		}
	}
	return groups, c.Metric.ContainerLevelMetrics == metricsEnabled
}

// tagText reports whether a text has characters of tags only.
func tagText(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsNumber(c) && !unicode.Is(unicode.Z, c) && !strings.ContainsRune("_.:/=+-@", c)
	})
}
