package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// clause is one operator with one key of a Condition: {operator: {key: values}}. Clauses of a statement are joined by
// AND, values of a clause by OR.
type clause struct {
	operator, key string // as the document spells them
	name          string // the key in lower case
	quantifier    quantifier
	negated       bool // none of the values may match
	ifExists      bool // a missing key matches
	null          bool // the operator is Null: compared is "true" when the key is missing, else "false"
	values        test
	variables     []string
}

// quantifier says how many values of the request must match (IAM User Guide, "Multivalued context keys").
type quantifier uint8

const (
	plain        quantifier = iota // any, or with a negated operator all: the clause is the opposite of the positive one
	forAllValues                   // every value; true when there are none
	forAnyValue                    // at least one value; false when there are none
)

// test compares a value of the request with the values of a clause.
type test interface {
	// any reports whether one of the clause's values matches given.
	any(given string, c Context) bool
}

// matches reports whether the request satisfies the clause. The rules for a missing key are those of
// reference/mediastore.md, section 4.2. Of a plain operator with a key that has several values IAM says nothing; here a
// positive one is true when any value matches and a negated one when none does.
func (cl *clause) matches(c Context) bool {
	given, present := c.lookup(cl.name)
	if cl.null {
		missing := "false"
		if !present {
			missing = "true"
		}
		return cl.values.any(missing, c)
	}
	if !present && cl.ifExists {
		return true
	}
	satisfies := func(value string) bool { return cl.values.any(value, c) != cl.negated }
	if cl.quantifier == forAllValues || cl.quantifier == plain && cl.negated {
		return !slices.ContainsFunc(given, func(v string) bool { return !satisfies(v) })
	}
	return slices.ContainsFunc(given, satisfies)
}

// requiresHTTPS reports whether the clause is false for every request without TLS. One with ["true","false"], which
// official examples use for "either", is not.
func (cl *clause) requiresHTTPS() bool {
	return cl.name == keySecureTransport && len(cl.variables) == 0 &&
		!cl.matches(nil) && !cl.matches(Context{keySecureTransport: {"false"}})
}

// operator is a condition operator without its prefix and suffix.
type operator struct {
	compile func(values []string, u usage) (test, error)
	negated bool
}

// usage is what the compilation of values depends on beside the operator.
type usage struct {
	variables bool // the policy's version has variables
	secret    bool // what the key holds is compared in constant time
}

// operators are all there are (reference/mediastore.md, section 4.2), except Null. ArnEquals is ArnLike.
var operators = map[string]operator{
	"StringEquals":              {compile: exactly},
	"StringNotEquals":           {compile: exactly, negated: true},
	"StringEqualsIgnoreCase":    {compile: ignoringCase},
	"StringNotEqualsIgnoreCase": {compile: ignoringCase, negated: true},
	"StringLike":                {compile: like},
	"StringNotLike":             {compile: like, negated: true},
	"NumericEquals":             {compile: numeric(equal)},
	"NumericNotEquals":          {compile: numeric(equal), negated: true},
	"NumericLessThan":           {compile: numeric(less)},
	"NumericLessThanEquals":     {compile: numeric(lessOrEqual)},
	"NumericGreaterThan":        {compile: numeric(greater)},
	"NumericGreaterThanEquals":  {compile: numeric(greaterOrEqual)},
	"DateEquals":                {compile: date(equal)},
	"DateNotEquals":             {compile: date(equal), negated: true},
	"DateLessThan":              {compile: date(less)},
	"DateLessThanEquals":        {compile: date(lessOrEqual)},
	"DateGreaterThan":           {compile: date(greater)},
	"DateGreaterThanEquals":     {compile: date(greaterOrEqual)},
	"Bool":                      {compile: boolean},
	"BinaryEquals":              {compile: binary},
	"IpAddress":                 {compile: address},
	"NotIpAddress":              {compile: address, negated: true},
	"ArnEquals":                 {compile: arnLike},
	"ArnLike":                   {compile: arnLike},
	"ArnNotEquals":              {compile: arnLike, negated: true},
	"ArnNotLike":                {compile: arnLike, negated: true},
}

const operatorNull = "Null"

// Errors of an operator's name.
var (
	errOperator = errors.New("unknown operator")
	errNull     = errors.New("no prefix and no IfExists go with Null")
)

// compileClause returns the clause for one key of an operator. Errors name what is wrong, but not a value that may be
// secret.
func compileClause(name, key string, values []string, u usage) (clause, error) {
	cl := clause{operator: name, key: key, name: strings.ToLower(key)}
	base := name
	if rest, ok := strings.CutPrefix(base, "ForAllValues:"); ok {
		base, cl.quantifier = rest, forAllValues
	} else if rest, ok := strings.CutPrefix(base, "ForAnyValue:"); ok {
		base, cl.quantifier = rest, forAnyValue
	}
	base, cl.ifExists = strings.CutSuffix(base, "IfExists")
	if base == operatorNull {
		if base != name {
			return clause{}, errNull
		}
		cl.null = true
		var err error
		cl.values, err = boolean(values, usage{})
		return cl, err
	}
	op, ok := operators[base]
	if !ok {
		return clause{}, unknownOperator(base)
	}
	cl.negated = op.negated
	u.secret = slices.Contains(secretKeys, cl.name)
	var err error
	if cl.values, err = op.compile(values, u); err != nil {
		if inner := errors.Unwrap(err); u.secret && inner != nil {
			err = inner // without the value
		}
		return clause{}, err
	}
	if v, ok := cl.values.(interface{ variables() []string }); ok {
		cl.variables = v.variables()
	}
	return cl, nil
}

// unknownOperator says how an operator is spelled if only its case is wrong.
func unknownOperator(name string) error {
	for known := range operators {
		if strings.EqualFold(known, name) {
			return fmt.Errorf("%w: write %s", errOperator, known)
		}
	}
	return errOperator
}
