package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Bounds of a lifecycle policy (reference 1.9, 3.3, 5).
const (
	maxLifecycle   = 8192
	maxRules       = 10
	maxRulePaths   = 10
	maxRulePath    = 900
	maxTransient   = 300   // seconds
	maxDays        = 36500 // days
	leastArchive   = 30    // days; ARCHIVE takes no other number than this one or more
	day            = 24 * time.Hour
	actionExpire   = "EXPIRE"
	actionArchive  = "ARCHIVE"
	keyPath        = "path"
	keySeconds     = "seconds_since_create"
	keyDays        = "days_since_create"
	conditionAfter = ">"
	conditionFrom  = ">="
)

// lifecycleRule is one rule: what matches any of its paths goes when it is older than after.
type lifecycleRule struct {
	paths     []pathRule
	after     time.Duration
	inclusive bool // at after already
	transient bool // by seconds: left out of lists
	archive   bool // to the infrequent access class, which is told and changes nothing else here
}

// pathRule is a prefix of paths, or a pattern in which * is any run of characters, slashes too.
type pathRule struct {
	text     string
	wildcard bool
}

// lifecycleDocument is the JSON of a policy.
type lifecycleDocument struct {
	Rules []struct {
		Definition map[string]json.RawMessage `json:"definition"`
		Action     string                     `json:"action"`
	} `json:"rules"`
}

// parseLifecycle reads a lifecycle policy and names the first rule that is broken. extended permits any number of seconds,
// which MediaStore, where nothing is between five minutes and a day, did not.
func parseLifecycle(text string, extended bool) ([]lifecycleRule, error) {
	if len(text) > maxLifecycle {
		return nil, fmt.Errorf("%w: a lifecycle policy has at most %d characters", ErrInvalid, maxLifecycle)
	}
	var doc lifecycleDocument
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: the lifecycle policy is not as it should be: %v", ErrInvalid, err) //nolint:errorlint // the text is for people
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the lifecycle policy", ErrInvalid)
	}
	if len(doc.Rules) == 0 || len(doc.Rules) > maxRules {
		return nil, fmt.Errorf("%w: a lifecycle policy has 1 to %d rules", ErrInvalid, maxRules)
	}
	rules := make([]lifecycleRule, 0, len(doc.Rules))
	for i, r := range doc.Rules {
		rule, err := parseRule(r.Definition, r.Action, extended)
		if err != nil {
			return nil, fmt.Errorf("%w: lifecycle rule %d: %s", ErrInvalid, i+1, err.Error())
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func parseRule(definition map[string]json.RawMessage, action string, extended bool) (r lifecycleRule, err error) {
	seconds, transient := definition[keySeconds]
	days, daily := definition[keyDays]
	switch {
	case action != actionExpire && action != actionArchive:
		return r, fmt.Errorf("the action is %s or %s", actionExpire, actionArchive)
	case transient == daily:
		return r, fmt.Errorf("it has either %s or %s", keySeconds, keyDays)
	case len(definition) != 2:
		return r, fmt.Errorf("the definition is of %s and an age, nothing else", keyPath)
	}
	r.transient, r.archive = transient, action == actionArchive
	if r.paths, err = parsePaths(definition[keyPath]); err != nil {
		return r, err
	}
	unit, least, most, age := day, 1, maxDays, days
	if transient {
		unit, most, age = time.Second, maxTransient, seconds
		if extended {
			most = maxDays * int(day/time.Second)
		}
	}
	operator, n, err := parseAge(age, least, most)
	if err != nil {
		return r, err
	}
	r.after, r.inclusive = time.Duration(n)*unit, operator == conditionFrom
	if r.archive && (transient || operator != conditionFrom || n < leastArchive) {
		return r, fmt.Errorf("%s is for %s of %s %d or more", actionArchive, keyDays, conditionFrom, leastArchive)
	}
	if transient && !extended {
		for _, p := range r.paths {
			if !p.wildcard {
				return r, fmt.Errorf("the paths of %s are wildcards", keySeconds)
			}
		}
	}
	return r, nil
}

// parsePaths reads [{"prefix": "..."}] or [{"wildcard": "..."}], of one kind.
func parsePaths(raw json.RawMessage) ([]pathRule, error) {
	var list []map[string]string
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 || len(list) > maxRulePaths {
		return nil, fmt.Errorf("%s is a list of 1 to %d", keyPath, maxRulePaths)
	}
	rules := make([]pathRule, 0, len(list))
	for _, p := range list {
		prefix, isPrefix := p["prefix"]
		wildcard, isWildcard := p["wildcard"]
		if len(p) != 1 || isPrefix == isWildcard {
			return nil, errors.New("each path is of one prefix or one wildcard")
		}
		rule := pathRule{prefix + wildcard, isWildcard}
		if len(rule.text) > maxRulePath {
			return nil, fmt.Errorf("a path has at most %d characters", maxRulePath)
		}
		if len(rules) > 0 && rules[0].wildcard != isWildcard {
			return nil, errors.New("its paths are all prefixes or all wildcards")
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// parseAge reads [{"numeric": [">", 15]}].
func parseAge(raw json.RawMessage, least, most int) (operator string, n int, err error) {
	wrong := fmt.Errorf(`an age is [{"numeric": [">", %d]}] with > or >= and a whole number from %d to %d`, least, least, most)
	var list []struct {
		Numeric []json.RawMessage `json:"numeric"`
	}
	if err := json.Unmarshal(raw, &list); err != nil || len(list) != 1 || len(list[0].Numeric) != 2 {
		return "", 0, wrong
	}
	var value float64
	if json.Unmarshal(list[0].Numeric[0], &operator) != nil || json.Unmarshal(list[0].Numeric[1], &value) != nil {
		return "", 0, wrong
	}
	if operator != conditionAfter && operator != conditionFrom || value != math.Trunc(value) || value < float64(least) || value > float64(most) {
		return "", 0, wrong
	}
	return operator, int(value), nil
}

func (p pathRule) matches(path string) bool {
	if p.wildcard {
		return wildcard(p.text, path)
	}
	return strings.HasPrefix(path, p.text)
}

// wildcard reports whether a text matches a pattern in which * is any run of characters, in linear time and space.
func wildcard(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return pattern == text
	}
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

func (r *lifecycleRule) matches(path string) bool {
	for _, p := range r.paths {
		if p.matches(path) {
			return true
		}
	}
	return false
}

// Fate is what a container's lifecycle policy has in store for an object.
type Fate struct {
	Expires   bool
	At        time.Time // when it is gone: from then on
	Transient bool      // by seconds: it is in no list
	Archive   time.Time // when it would go to the infrequent access class; zero: never
}

// tick is the resolution of ages: an object for which "> 15" seconds holds is gone from second 16 on (reference 5).
const tick = time.Second

// Fate returns what becomes of the object at path that was put at created. Of several rules the earliest expiry decides
// (a gap of the reference). A rule by seconds is for objects that were put since it is in force.
func (c *Container) Fate(path string, created time.Time) Fate {
	var f Fate
	for i := range c.rules {
		r := &c.rules[i]
		if !r.matches(path) || r.transient && created.Before(c.LifecycleSince) {
			continue
		}
		at := created.Add(r.after)
		if !r.inclusive {
			at = at.Add(tick)
		}
		if r.archive {
			if f.Archive.IsZero() || at.Before(f.Archive) {
				f.Archive = at
			}
			continue
		}
		f.Transient = f.Transient || r.transient
		if !f.Expires || at.Before(f.At) {
			f.Expires, f.At = true, at
		}
	}
	return f
}

// Expires reports whether any object of the container can expire.
func (c *Container) Expires() bool {
	_, expires := c.LeastLifetime()
	return expires
}

// LeastLifetime returns the age at which objects of the container expire at the earliest; ok is false when none ever do.
func (c *Container) LeastLifetime() (age time.Duration, ok bool) {
	for i := range c.rules {
		if r := &c.rules[i]; !r.archive && (!ok || r.after < age) {
			age, ok = r.after, true
		}
	}
	return age, ok
}
