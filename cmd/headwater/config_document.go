package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"headwater/origin/container"
)

// This file is the containers in the file, whose policies are written as the API has them: in YAML, or as a text of JSON.

type fileContainer struct {
	Name          string            `yaml:"name"`
	Policy        document          `yaml:"policy"`
	CORS          document          `yaml:"cors"`
	Lifecycle     document          `yaml:"lifecycle"`
	Metric        document          `yaml:"metric"`
	AccessLogging bool              `yaml:"access_logging"`
	Tags          map[string]string `yaml:"tags"`
}

// declaration returns what the registry is told of a container.
func (f *fileContainer) declaration() (d container.Declaration, err error) {
	d = container.Declaration{Name: f.Name, AccessLogging: f.AccessLogging}
	d.Policy, d.Lifecycle = string(f.Policy), string(f.Lifecycle)
	for _, key := range slices.Sorted(maps.Keys(f.Tags)) {
		d.Tags = append(d.Tags, container.Tag{Key: key, Value: f.Tags[key]})
	}
	if err = f.CORS.into("cors", &d.CORS); err == nil && f.Metric != "" {
		d.Metric = &container.MetricPolicy{}
		err = f.Metric.into("metric", d.Metric)
	}
	return d, err
}

// document is JSON, of at most maxDocument bytes: the text of a scalar, or what a mapping or list is in JSON. "": none.
type document string

// maxDocument bounds a document, in bytes: it is as much as the largest of the policies may have, and bounds what aliases
// of YAML can make of a few lines.
const maxDocument = 512 << 10

// UnmarshalYAML takes a mapping, a list or a text.
func (d *document) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*d = document(n.Value)
		return nil
	}
	var b bytes.Buffer
	if err := writeJSON(&b, n); err != nil {
		return wrong(n, err.Error())
	}
	*d = document(b.String())
	return nil
}

// writeJSON writes a node as JSON. What is neither a number nor a Boolean nor null is a string, as the date in the Version of a
// policy.
func writeJSON(b *bytes.Buffer, n *yaml.Node) error {
	if b.Len() > maxDocument {
		return fmt.Errorf("at most %d bytes of JSON", maxDocument)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return writeJSON(b, n.Alias)
	case yaml.MappingNode, yaml.SequenceNode:
		brackets := "[]"
		if n.Kind == yaml.MappingNode {
			brackets = "{}"
		}
		b.WriteByte(brackets[0])
		for i, child := range n.Content {
			switch {
			case n.Kind == yaml.MappingNode && i%2 == 1:
				b.WriteByte(':')
			case i > 0:
				b.WriteByte(',')
			}
			if n.Kind == yaml.MappingNode && i%2 == 0 {
				b.Write(quote(child.Value))
				continue
			}
			if err := writeJSON(b, child); err != nil {
				return err
			}
		}
		b.WriteByte(brackets[1])
		return nil
	}
	plain := n.Tag == "!!int" || n.Tag == "!!float" || n.Tag == "!!bool" || n.Tag == "!!null"
	if plain && json.Valid([]byte(n.Value)) {
		b.WriteString(n.Value)
	} else {
		b.Write(quote(n.Value))
	}
	return nil
}

func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // it counts against limits of length, and people read it
	_ = enc.Encode(s)        // a string always encodes
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// into decodes a document strictly.
func (d document) into(name string, target any) error {
	if d == "" {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(d)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(target); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
