package media

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRolesAreTheValuesOfTheirScheme(t *testing.T) {
	var all Roles
	for i, name := range roleNames {
		require.Equal(t, Roles(1)<<i, RoleOf(name), "bits in journals keep their meaning")
		all |= RoleOf(name)
	}
	require.EqualValues(t, allRoles, all)
	require.True(t, all.Valid())
	require.False(t, (all + 1).Valid())
	require.Equal(t, RoleEasyReader, RoleOf("easyreader"))
	require.Equal(t, RoleEnhancedSpeech, RoleOf("enhanced-audio-intelligibility"))
	require.Equal(t, "main description", (RoleDescription | RoleMain).String())
	require.Zero(t, RoleOf("director"))
	require.Empty(t, Roles(0).String())
}
