package media

import "strings"

// Roles are what a track is for: a set of the values of urn:mpeg:dash:role:2011 (ISO/IEC 23009-1 5.8.5.5) that tell tracks of
// one kind and language apart. The bits stand in journals and never change their meaning.
type Roles uint32

// The roles that formats treat in a way of their own.
const (
	RoleMain Roles = 1 << iota
	RoleAlternate
	RoleSupplementary
	RoleCommentary
	RoleDub
	RoleDescription // for viewers who cannot see the picture
	RoleSign
	RoleEnhancedSpeech // enhanced-audio-intelligibility
	RoleEmergency
	RoleKaraoke
	RoleCaption
	RoleSubtitle
	RoleEasyReader

	allRoles = 1<<iota - 1
)

// roleNames are the values, in the order of the bits.
var roleNames = [...]string{"main", "alternate", "supplementary", "commentary", "dub", "description", "sign",
	"enhanced-audio-intelligibility", "emergency", "karaoke", "caption", "subtitle", "easyreader"}

// RoleScheme is the scheme of the values of Roles.
const RoleScheme = "urn:mpeg:dash:role:2011"

// RoleOf returns the role of a value of the scheme, none for one that is not known.
func RoleOf(value string) Roles {
	for i, name := range roleNames {
		if name == value {
			return 1 << i
		}
	}
	return 0
}

// Values returns the values of r in the order of their bits.
func (r Roles) Values() (values []string) {
	for i, name := range roleNames {
		if r>>i&1 == 1 {
			values = append(values, name)
		}
	}
	return values
}

// Beside reports whether a track is played with, or instead of, the main programme by those who ask for it.
func (r Roles) Beside() bool {
	const beside = RoleAlternate | RoleSupplementary | RoleCommentary | RoleDescription | RoleSign | RoleEnhancedSpeech
	return r&RoleMain == 0 && r&beside != 0
}

// Valid reports whether all of r is known.
func (r Roles) Valid() bool { return r&^allRoles == 0 }

// String returns the values separated by spaces.
func (r Roles) String() string { return strings.Join(r.Values(), " ") }
