//go:build conformance

package dash_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/dash"
)

// The schema is that of ISO/IEC 23009-1, from the folder that SCHEMA names; xmllint must be installed.
func TestManifestsAreValidBySchema(t *testing.T) {
	dir := os.Getenv("SCHEMA")
	require.NotEmpty(t, dir, "SCHEMA must name the folder of DASH-MPD.xsd")
	for name, v := range views() {
		t.Run(name, func(t *testing.T) {
			b, err := dash.Format{}.Render(v, index)
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), "xmllint", "--noout", "--nonet", "--schema",
				filepath.Join(dir, "DASH-MPD.xsd"), "-")
			cmd.Stdin = bytes.NewReader(b)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
		})
	}
}
