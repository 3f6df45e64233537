package demux

import (
	"bytes"

	"headwater/packager/media"
)

// This file is what media say of the purpose of their tracks.

// audioPurpose is the scheme of TV-Anytime, by which MPDs and encoders tell the purposes of audio.
const audioPurpose = "urn:tva:metadata:cs:AudioPurposeCS:2007"

// Role returns the role that a scheme and a value name, as kind boxes, MPD descriptors and the like do; none where it means
// nothing here.
func Role(scheme, value string) media.Roles {
	switch scheme {
	case media.RoleScheme:
		return media.RoleOf(value)
	case audioPurpose:
		switch value {
		case "1": // for the visually impaired
			return media.RoleDescription
		case "2": // for the hard of hearing
			return media.RoleEnhancedSpeech
		case "3", "4": // supplemental commentary, the director's
			return media.RoleCommentary
		case "6": // main programme
			return media.RoleMain
		}
	}
	return 0
}

// maxKinds bounds the kind boxes of a track that are read: one for each role in two schemes.
const maxKinds = 32

// kinds returns the roles of a trak box's kind boxes (ISO/IEC 14496-12 8.10.4). What cannot be read says nothing.
func kinds(trak []box) (roles media.Roles) {
	udta, ok := find(trak, "udta")
	if !ok {
		return 0
	}
	list, err := udta.children(0)
	if err != nil {
		return 0 // QuickTime ends it with four bytes of zero
	}
	for _, b := range list[:min(len(list), maxKinds)] {
		if b.name != "kind" || len(b.body) < 4 {
			continue
		}
		scheme, rest, _ := bytes.Cut(b.body[4:], []byte{0})
		value, _, _ := bytes.Cut(rest, []byte{0})
		roles |= Role(string(scheme), string(value))
	}
	return roles
}

// audioRoles returns the roles of an audio_type of MPEG-TS (ISO/IEC 13818-1 table 2-60).
func audioRoles(kind uint8) media.Roles {
	switch kind {
	case 2: // hearing impaired
		return media.RoleEnhancedSpeech
	case 3: // visual impaired commentary
		return media.RoleDescription
	}
	return 0
}
