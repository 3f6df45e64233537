package sigv4

import (
	"errors"
	"strings"
)

// Errors that a refused request matches with errors.Is: one for each error code with which AWS would answer.
var (
	// ErrMissingAuthenticationToken means that the request is not signed. MissingAuthenticationTokenException.
	ErrMissingAuthenticationToken = errors.New("request is not signed")
	// ErrIncompleteSignature means that a part of the signature is missing or malformed. IncompleteSignatureException.
	ErrIncompleteSignature = errors.New("signature is incomplete")
	// ErrInvalidSignature means that the signature is not one for this request. InvalidSignatureException.
	ErrInvalidSignature = errors.New("signature is invalid")
	// ErrUnrecognizedClient means that the access key or its session token is unknown. UnrecognizedClientException.
	ErrUnrecognizedClient = errors.New("access key is unknown")
	// ErrExpiredToken means that temporary credentials are over. ExpiredTokenException.
	ErrExpiredToken = errors.New("security token is expired")
	// ErrRequestExpired means that the date of the request is too far from now, or that its URL is over. RequestExpired.
	ErrRequestExpired = errors.New("request is expired")
	// ErrUnsupportedPayload means that the body is signed in a way that is not verified here. ValidationException.
	ErrUnsupportedPayload = errors.New("payload signature is not supported")
)

// Reasons that an Error gives.
const (
	ReasonUnsigned       = "signature_missing"
	ReasonTwoSignatures  = "signature_in_header_and_query"
	ReasonAlgorithm      = "algorithm_not_AWS4_HMAC_SHA256"
	ReasonAuthorization  = "authorization_malformed"
	ReasonTarget         = "request_target_malformed"
	ReasonTooLong        = "too_long"
	ReasonTooMany        = "too_many"
	ReasonTwice          = "given_twice"
	ReasonMissing        = "part_missing"
	ReasonCredential     = "credential_not_key_date_region_service_aws4_request"
	ReasonSignedHeaders  = "signed_headers_malformed"
	ReasonSignature      = "signature_not_64_lower_case_hex_digits"
	ReasonDateMissing    = "date_missing"
	ReasonDate           = "date_malformed"
	ReasonExpires        = "expires_not_1_to_604800_seconds"
	ReasonNotSigned      = "header_must_be_signed"
	ReasonHeaderMissing  = "signed_header_missing"
	ReasonScopeDate      = "scope_date_is_not_that_of_the_request"
	ReasonScopeRegion    = "scope_region_is_another"
	ReasonScopeService   = "scope_service_is_another"
	ReasonScopeEnd       = "scope_does_not_end_with_aws4_request"
	ReasonFuture         = "date_more_than_15_minutes_ahead"
	ReasonPast           = "date_more_than_15_minutes_ago"
	ReasonURLExpired     = "presigned_url_expired"
	ReasonAWSChunked     = "aws_chunked_payload_not_supported"
	ReasonPayload        = "x_amz_content_sha256_malformed"
	ReasonPayloadMissing = "x_amz_content_sha256_required_with_a_body"
	ReasonDigest         = "body_is_not_the_signed_one"
	ReasonKeyUnknown     = "access_key_unknown"
	ReasonMismatch       = "signature_does_not_match"
	ReasonToken          = "session_token_wrong"
	ReasonKeyExpired     = "access_key_expired"
)

// maxDetail bounds what of a request is repeated in a message, in bytes: AWS models limit messages to 255 characters.
const maxDetail = 100

// Error is a refused request. It matches one of the errors above.
type Error struct {
	Kind   error  // one of the errors above
	Reason string // the rule that decided, in snake case
	Detail string // which part of the request it is about; "" for none
}

// Error names the rule. The text is made of letters, digits, spaces and "_ : . ? -": AWS models allow no others in a message.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Kind.Error() + ": " + e.Reason
	}
	return e.Kind.Error() + ": " + e.Reason + ": " + e.Detail
}

// Unwrap returns the kind of refusal.
func (e *Error) Unwrap() error { return e.Kind }

// refuse returns an *Error. detail may come from the request: what a message must not hold is replaced.
func refuse(kind error, reason, detail string) error {
	plain := strings.Map(func(c rune) rune {
		if c < 0x80 && (isUnreserved(byte(c)) && c != '~' || c == ' ' || c == ':') {
			return c
		}
		return '?'
	}, detail[:min(len(detail), maxDetail)])
	return &Error{Kind: kind, Reason: reason, Detail: plain}
}
