package policy

import (
	"encoding/json"
	"strings"
)

// Actions of MediaStore's data plane (reference/mediastore.md, section 4.1).
const (
	ActionGetObject      = "mediastore:GetObject"
	ActionDescribeObject = "mediastore:DescribeObject"
	ActionPutObject      = "mediastore:PutObject"
	ActionDeleteObject   = "mediastore:DeleteObject"
	ActionListItems      = "mediastore:ListItems"
)

// ContainerRules returns the rules for the policy of a MediaStore container. The service refuses policies that allow
// PutObject over HTTP; permitHTTP takes them, for encoders without TLS on a trusted network.
func ContainerRules(containerARN string, permitHTTP bool) Rules {
	r := Rules{Service: "mediastore", Resource: containerARN}
	if !permitHTTP {
		r.HTTPSOnly = []string{ActionPutObject}
	}
	return r
}

// DefaultContainerPolicy returns the document that a container has before it is given another one: the account that owns
// it may do everything over HTTPS, and nobody else anything (reference/mediastore.md, section 4.4). account is the
// account's number.
func DefaultContainerPolicy(containerARN, account string) []byte {
	type values map[string]string
	type statement struct {
		Sid       string
		Effect    string
		Principal values
		Action    []string
		Resource  string
		Condition map[string]values
	}
	partition := "aws"
	if parts := strings.Split(containerARN, ":"); len(parts) == arnParts {
		partition = parts[1]
	}
	document, _ := json.MarshalIndent(struct { // strings and maps of strings cannot fail
		Version   string
		Statement []statement
	}{version2012, []statement{{
		Sid:       "MediaStoreFullAccess",
		Effect:    Allow.String(),
		Principal: values{"AWS": "arn:" + partition + ":iam::" + account + ":root"},
		Action:    []string{"mediastore:*"},
		Resource:  containerARN + "/*",
		Condition: map[string]values{"Bool": {"aws:SecureTransport": "true"}},
	}}}, "", "  ")
	return document
}
