// Package container models the containers of the MediaStore-compatible object store: their names, endpoints, tags and
// policies, and keeps the registry of those that exist.
//
// It stores no objects, decides about no request and serves none. Rules come from reference/mediastore.md unless said
// otherwise; what that calls a gap is a named constant here.
package container

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Errors of a Registry, which a caller can match. The control plane gives them the names of MediaStore's.
var (
	ErrNotFound   = errors.New("no such container")
	ErrInUse      = errors.New("container is in use")    // exists already, holds objects, or is not active
	ErrLimit      = errors.New("limit exceeded")         // too many containers or tags
	ErrNoPolicy   = errors.New("the container has none") // a policy that was asked for or is to be deleted
	ErrNoCORS     = errors.New("the container has no CORS policy")
	ErrInvalid    = errors.New("invalid") // a name, tag or policy breaks a rule, which is named
	ErrConfigured = errors.New("the container is declared in the configuration and can be changed there only")
)

// Status of a container. One that exists can be used at once: the API says CREATING in the answer that creates it, since
// clients wait from there.
type Status string

// The states that are told.
const (
	Creating Status = "CREATING"
	Active   Status = "ACTIVE"
	Deleting Status = "DELETING"
)

// Container is a named place for objects. A Container is immutable; a change makes a new one.
type Container struct {
	ID            string    `json:"id"` // first label of its endpoint's host, and the name under which storage keeps its objects
	Name          string    `json:"name"`
	ARN           string    `json:"arn"`
	Created       time.Time `json:"created"`
	Status        Status    `json:"status"`
	Configured    bool      `json:"-"` // declared in the configuration: see ErrConfigured
	AccessLogging bool      `json:"accessLogging,omitempty"`
	Tags          []Tag     `json:"tags,omitempty"` // by key
	Settings

	beneath *Container // of one that is configured: what the API had made by that name
}

// Settings are what can be put on a container, and declared.
type Settings struct {
	Policy    string        `json:"policy,omitempty"` // JSON as it was put; "": the default policy
	CORS      []CORSRule    `json:"cors,omitempty"`
	Lifecycle string        `json:"lifecycle,omitempty"` // JSON as it was put
	Metric    *MetricPolicy `json:"metric,omitempty"`

	LifecycleSince time.Time `json:"lifecycleSince,omitzero"` // rules by seconds are for what was put since; zero: for all

	rules []lifecycleRule // of Lifecycle
}

// Tag is a label of a container, for people and bills.
type Tag struct{ Key, Value string }

// Account is who owns the containers, and where they are said to be.
type Account struct {
	ID     string // 12 digits
	Region string
}

// ARN returns the resource name of a container (reference/mediastore.md, 0).
func (a Account) ARN(name string) string {
	return "arn:aws:mediastore:" + a.Region + ":" + a.ID + ":container/" + name
}

// idLength is how many characters an endpoint's label has; the first is a letter, as in MediaStore's.
const idLength = 14

// containerID returns the label of a container's endpoint: always the same for the same account, region and name, so that an
// endpoint outlives a container that is deleted and made again, and servers agree on it without talking to each other.
func containerID(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	text := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))
	first := string('a' + sum[31]%26)
	return (first + text)[:idLength]
}

const maxName = 255

// CheckName reports which rule a container's name breaks (reference 3.3). Errors: ErrInvalid.
func CheckName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%w: a container name has 1 to %d characters", ErrInvalid, maxName)
	}
	for _, c := range []byte(name) {
		if !isWord(c) && c != '-' {
			return fmt.Errorf("%w: a container name has letters, digits, _ and - only", ErrInvalid)
		}
	}
	return nil
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// Bounds of tags (reference 1.9, 3.3).
const (
	MaxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// checkTag reports which rule a tag breaks.
func checkTag(t Tag) error {
	switch {
	case t.Key == "" || len([]rune(t.Key)) > maxTagKey || !tagText(t.Key):
		return fmt.Errorf("%w: a tag key has 1 to %d letters, digits, spaces and _.:/=+-@", ErrInvalid, maxTagKey)
	case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
		return fmt.Errorf("%w: tag keys that begin with aws: are reserved", ErrInvalid)
	case len([]rune(t.Value)) > maxTagValue || !tagText(t.Value):
		return fmt.Errorf("%w: a tag value has at most %d letters, digits, spaces and _.:/=+-@", ErrInvalid, maxTagValue)
	}
	return nil
}

// Tag adds or replaces tags, of a container that Change hands out.
func (c *Container) Tag(tags []Tag) error {
	all := slices.Clone(c.Tags)
	for _, t := range tags {
		if err := checkTag(t); err != nil {
			return err
		}
		if i := slices.IndexFunc(all, func(have Tag) bool { return have.Key == t.Key }); i >= 0 {
			all[i] = t
		} else {
			all = append(all, t)
		}
	}
	if len(all) > MaxTags {
		return fmt.Errorf("%w: a container has at most %d tags", ErrLimit, MaxTags)
	}
	slices.SortFunc(all, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	c.Tags = all
	return nil
}

// Untag removes tags; keys that are not there are no mistake.
func (c *Container) Untag(keys []string) {
	c.Tags = slices.DeleteFunc(slices.Clone(c.Tags), func(t Tag) bool { return slices.Contains(keys, t.Key) })
}
