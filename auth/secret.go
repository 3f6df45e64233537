package auth

import (
	"crypto/sha256"
	"crypto/subtle"
)

// MatchAny reports whether given equals any of the secrets. Every secret is compared, in a time that depends only on
// how many there are: neither which one matched, nor how long they are, nor how much of one was right can be measured.
// An empty given or an empty secret never matches.
func MatchAny(given string, secrets []string) bool {
	sum := sha256.Sum256([]byte(given))
	found := 0
	for _, s := range secrets {
		found |= equal(&sum, s)
	}
	return found == 1 && given != ""
}

// equal returns 1 when sum is the hash of secret and secret is not empty. Hashing first makes the lengths equal.
func equal(sum *[sha256.Size]byte, secret string) int {
	other := sha256.Sum256([]byte(secret))
	same := subtle.ConstantTimeCompare(sum[:], other[:])
	return same & (1 - subtle.ConstantTimeEq(int32(min(len(secret), 1)), 0))
}
