package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// MaxDocumentBytes is the size of the largest document that is parsed (reference/mediastore.md, section 3.3). Services with a
// smaller limit refuse longer ones themselves.
const MaxDocumentBytes = 8192

// maxDepth is how deep objects and arrays nest in the deepest policy there is: document, Statement, statement, Condition,
// operator, values.
const maxDepth = 6

// field is one member of a JSON object. Its value is a string, json.Number, bool, nil, []any or object.
type field struct {
	name  string
	value any
}

// object is a JSON object with its members in order and its duplicates, which encoding/json drops.
type object []field

// readDocument returns the JSON object that document is.
func readDocument(document []byte) (object, error) {
	switch {
	case len(document) == 0:
		return nil, errors.New("the document is empty")
	case len(document) > MaxDocumentBytes:
		return nil, fmt.Errorf("the document has %d bytes, more than %d", len(document), MaxDocumentBytes)
	}
	for i, b := range document {
		if b >= 0x80 {
			return nil, fmt.Errorf("byte %d is not ASCII: write other characters as \\u escapes", i)
		}
	}
	var whole json.RawMessage
	if err := json.Unmarshal(document, &whole); err != nil {
		return nil, fmt.Errorf("the document is not JSON: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, errors.New("the document is not a JSON object")
	}
	return o, nil
}

// readValue reads the next value of valid JSON, inside depth objects and arrays.
func readValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth == maxDepth {
		return nil, fmt.Errorf("the document nests objects and arrays more than %d deep", maxDepth)
	}
	var array []any
	var o object
	for d.More() {
		var name string
		if delim == '{' {
			token, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ = token.(string)
		}
		v, err := readValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, v)
		o = append(o, field{name, v})
	}
	if _, err := d.Token(); err != nil { // the closing bracket
		return nil, err
	}
	if delim == '{' {
		return o, nil
	}
	return array, nil
}
