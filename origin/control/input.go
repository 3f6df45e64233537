package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"headwater/origin/container"
)

// input holds what the operations are given, each of them some of it. What was not given is zero.
type input struct {
	ContainerName   string // of the tag operations, which have Resource: the name in it
	Resource        string // ARN
	Tags            []container.Tag
	TagKeys         []string
	Policy          string
	LifecyclePolicy string
	CorsPolicy      []container.CORSRule
	MetricPolicy    *container.MetricPolicy
	NextToken       *string
	MaxResults      *int
}

// members is a JSON object, by the exact names of its members.
type members map[string]json.RawMessage

// fields says where the members of an object go.
type fields map[string]any

// read parses a body into the members that the operation has; others are ignored, as AWS does. Errors: errMalformed, ErrInvalid
// for a member that is missing.
func (op *operation) read(body []byte) (*input, error) {
	in := &input{}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}") // some send none where nothing is needed
	}
	o, err := object(body)
	if err != nil {
		return in, fmt.Errorf("%w: %s", errMalformed, err.Error())
	}
	for _, name := range op.needs {
		if err := in.take(o, name); err != nil {
			return in, err
		}
		if o.lacks(name) {
			return in, missing(name)
		}
	}
	for _, name := range op.takes {
		if err := in.take(o, name); err != nil {
			return in, err
		}
	}
	return in, nil
}

func missing(name string) error { return fmt.Errorf("%w: %s is required", container.ErrInvalid, name) }

// lacks reports whether a member is not there, or null.
func (o members) lacks(name string) bool { v, ok := o[name]; return !ok || string(v) == "null" }

// take reads the member of a name.
func (in *input) take(o members, name string) error {
	if o.lacks(name) {
		return nil
	}
	var err error
	raw := o[name]
	switch name {
	case "Tags":
		in.Tags, err = structures(raw, name, func(t *container.Tag) fields { return fields{"Key": &t.Key, "Value": &t.Value} }, "Key")
	case "CorsPolicy":
		in.CorsPolicy, err = structures(raw, name, func(r *container.CORSRule) fields {
			return fields{"AllowedOrigins": &r.AllowedOrigins, "AllowedMethods": &r.AllowedMethods, "AllowedHeaders": &r.AllowedHeaders,
				"ExposeHeaders": &r.ExposeHeaders, "MaxAgeSeconds": &r.MaxAgeSeconds}
		}, "AllowedOrigins", "AllowedHeaders")
	case "MetricPolicy":
		in.MetricPolicy, err = metricPolicy(raw)
	default:
		err = decode(raw, name, fields{
			memberName: &in.ContainerName, memberResource: &in.Resource, "TagKeys": &in.TagKeys, "Policy": &in.Policy,
			"LifecyclePolicy": &in.LifecyclePolicy, "NextToken": &in.NextToken, "MaxResults": &in.MaxResults,
		}[name])
	}
	return err
}

func metricPolicy(raw json.RawMessage) (*container.MetricPolicy, error) {
	const name = "MetricPolicy"
	p := &container.MetricPolicy{}
	var rules json.RawMessage
	err := structure(raw, name, fields{"ContainerLevelMetrics": &p.ContainerLevelMetrics, "MetricPolicyRules": &rules}, "ContainerLevelMetrics")
	if err == nil && rules != nil {
		p.MetricPolicyRules, err = structures(rules, name+".MetricPolicyRules", func(r *container.MetricRule) fields {
			return fields{"ObjectGroup": &r.ObjectGroup, "ObjectGroupName": &r.ObjectGroupName}
		}, "ObjectGroup", "ObjectGroupName")
	}
	return p, err
}

// structures reads a list of objects; where is what messages call it.
func structures[T any](raw json.RawMessage, where string, into func(*T) fields, needs ...string) ([]T, error) {
	var list []json.RawMessage
	if err := decode(raw, where, &list); err != nil {
		return nil, err
	}
	all := make([]T, len(list))
	for i := range list {
		if err := structure(list[i], fmt.Sprintf("%s.%d", where, i+1), into(&all[i]), needs...); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// structure reads an object into fields.
func structure(raw json.RawMessage, where string, into fields, needs ...string) error {
	o, err := object(raw)
	if err != nil {
		return fmt.Errorf("%w: %s: %s", errMalformed, where, err.Error())
	}
	for _, name := range needs {
		if o.lacks(name) {
			return missing(where + "." + name)
		}
	}
	for name, target := range into {
		if o.lacks(name) {
			continue
		}
		if err := decode(o[name], where+"."+name, target); err != nil {
			return err
		}
	}
	return nil
}

// decode reads a value of a plain type.
func decode(raw json.RawMessage, where string, target any) error {
	if err := json.Unmarshal(raw, target); err != nil {
		return fmt.Errorf("%w: %s has the wrong type", errMalformed, where)
	}
	return nil
}

// object reads one JSON object in UTF-8, after which nothing comes. encoding/json alone would disregard the case of names, take
// the last of two members of one name and replace what is no UTF-8.
func object(raw []byte) (members, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is not a JSON object")
	}
	o := members{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, errors.New("it is not JSON")
		}
		name, _ := t.(string)
		if _, twice := o[name]; twice {
			return nil, errors.New("a member stands twice in it")
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, errors.New("it is not JSON")
		}
		o[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("it is not JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return o, nil
}
