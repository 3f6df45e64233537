package channel

import (
	"fmt"

	"headwater/auth"
)

// Credentials returns what a request must present, in auth's terms.
func (a IngestAuth) Credentials() auth.Credentials {
	c := auth.Credentials{Tokens: a.Tokens}
	for _, u := range a.Users {
		c.Users = append(c.Users, auth.User(u))
	}
	return c
}

// CredentialsV2 returns what a request must present that came for an input by its GUIDs. Errors: ErrNotFound.
func (ch *Channel) CredentialsV2(number int, guid string) (auth.Credentials, error) {
	if number < 1 || number > len(ch.V2.Inputs) || ch.V2.Inputs[number-1].ID != guid {
		return auth.Credentials{}, fmt.Errorf("channel %q: %w: it has no input %s", ch.ID, ErrNotFound, guid)
	}
	if users := ch.V2.Inputs[number-1].Users; len(users) > 0 {
		return IngestAuth{Users: users}.Credentials(), nil
	}
	return ch.Ingest.Credentials(), nil
}

// Empty reports whether anyone may push.
func (a IngestAuth) Empty() bool { return len(a.Users) == 0 && len(a.Tokens) == 0 }

// String tells how many credentials there are and none of them.
func (a IngestAuth) String() string {
	if a.Empty() {
		return "open"
	}
	return fmt.Sprintf("%d users, %d tokens", len(a.Users), len(a.Tokens))
}

// Format keeps the secrets out of every fmt verb.
func (a IngestAuth) Format(f fmt.State, _ rune) { fmt.Fprint(f, a.String()) }

// MarshalText keeps the secrets out of logs and JSON.
func (a IngestAuth) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String names the user and not the password.
func (u User) String() string { return auth.User(u).String() }

// Format keeps the password out of every fmt verb.
func (u User) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.String()) }

// MarshalText keeps the password out of logs and JSON.
func (u User) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Empty reports whether everybody may play.
func (a Access) Empty() bool {
	return len(a.UserAgentSecrets) == 0 && len(a.AllowIPs) == 0 && len(a.AllowSources) == 0 && !a.RequireHTTPS
}

// String tells the rules, and how many secrets there are but none of them.
func (a Access) String() string {
	if a.Empty() {
		return "open"
	}
	return fmt.Sprintf("%d user-agent secrets, %d prefixes, sources %q, require https %t",
		len(a.UserAgentSecrets), len(a.AllowIPs), a.AllowSources, a.RequireHTTPS)
}

// Format keeps the secrets out of every fmt verb.
func (a Access) Format(f fmt.State, _ rune) { fmt.Fprint(f, a.String()) }

// MarshalText keeps the secrets out of logs and JSON.
func (a Access) MarshalText() ([]byte, error) { return []byte(a.String()), nil }
