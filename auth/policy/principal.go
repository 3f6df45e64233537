package policy

import (
	"errors"
	"strings"
)

// principal is one entry of Principal or NotPrincipal. One of its fields is set, session only beside arn.
type principal struct {
	everyone bool
	account  string // everybody of the account
	arn      string // a user, role or session
	session  string // what the ARNs of a role's sessions begin with
	service  string
}

// Errors of the text of a principal.
var (
	errPrincipal = errors.New(`write "*", a twelve-digit account, or the ARN of an account's root, a user, a role or an assumed role`)
	errWildcard  = errors.New(`"*" stands for everyone and cannot be a part of a name: list each principal`)
	errService   = errors.New("write the name of a service, such as cloudfront.amazonaws.com")
)

// matches reports whether the entry means p. Names are compared with regard to case.
func (e *principal) matches(p *Principal) bool {
	switch {
	case e.everyone:
		return true
	case e.account != "":
		return e.account == p.Account
	case e.service != "":
		return e.service == p.Service
	default:
		return e.arn == p.ARN || e.session != "" && strings.HasPrefix(p.ARN, e.session)
	}
}

// parsePrincipal returns what a value under "AWS" means. A role's ARN means its sessions as well, which bear the role's
// name without its path. Errors: errPrincipal, errWildcard.
func parsePrincipal(s string) (principal, error) {
	if s == "*" {
		return principal{everyone: true}, nil
	}
	if strings.ContainsAny(s, "*?") {
		return principal{}, errWildcard
	}
	if isAccount(s) {
		return principal{account: s}, nil
	}
	parts := strings.SplitN(s, ":", arnParts)
	if len(parts) != arnParts || parts[0] != "arn" || !isPartition(parts[1]) || parts[3] != "" || !isAccount(parts[4]) {
		return principal{}, errPrincipal
	}
	kind, rest, _ := strings.Cut(parts[5], "/")
	last := rest[strings.LastIndexByte(rest, '/')+1:]
	switch {
	case parts[2] == "iam" && parts[5] == "root":
		return principal{account: parts[4]}, nil
	case parts[2] == "iam" && kind == "user" && last != "":
		return principal{arn: s}, nil
	case parts[2] == "iam" && kind == "role" && last != "":
		return principal{arn: s, session: "arn:" + parts[1] + ":sts::" + parts[4] + ":assumed-role/" + last + "/"}, nil
	case parts[2] == "sts" && kind == "assumed-role" && strings.Count(rest, "/") == 1 && last != "" && rest[0] != '/':
		return principal{arn: s}, nil
	}
	return principal{}, errPrincipal
}

// parseService returns what a value under "Service" means. Errors: errService.
func parseService(s string) (principal, error) {
	for i := range len(s) {
		if c := s[i]; c != '.' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return principal{}, errService
		}
	}
	if !strings.Contains(s, ".") {
		return principal{}, errService
	}
	return principal{service: s}, nil
}

// isAccount reports whether s is an account's number.
func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// isPartition reports whether s is a partition of AWS: aws, aws-cn, aws-us-gov.
func isPartition(s string) bool { return s == "aws" || strings.HasPrefix(s, "aws-") }
