//go:build conformance

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEveryMPDIsValidAgainstTheSchema pushes in each protocol, with a restart of the encoder in between, and validates
// the MPDs, live and of a window in the past, against DASH-MPD.xsd in the directory HEADWATER_SCHEMA.
func TestEveryMPDIsValidAgainstTheSchema(t *testing.T) {
	schema := filepath.Join(os.Getenv("HEADWATER_SCHEMA"), "DASH-MPD.xsd")
	_, err := os.Stat(schema)
	require.NoError(t, err, "HEADWATER_SCHEMA names the directory that holds DASH-MPD.xsd")
	s := serve(t, "")
	running := map[string]*process{}
	for _, p := range pushes {
		running[p.channel] = p.run(t, s)
	}
	began := time.Now()
	for _, p := range pushes {
		await(t, 25*time.Second, s.out(p.channel, dashManifest))
	}
	validate := func(name, url string) {
		t.Run(name, func(t *testing.T) {
			status, body := fetch(url)
			require.Equal(t, 200, status, "%s: %s", url, body)
			file := filepath.Join(t.TempDir(), "manifest.mpd")
			require.NoError(t, os.WriteFile(file, body, 0o600))
			out, err := exec.Command("xmllint", "--noout", "--nonet", "--schema", schema, file).CombinedOutput()
			require.NoError(t, err, "%s\n%s", out, body)
		})
	}
	for _, p := range pushes {
		validate(p.name+", live", s.out(p.channel, dashManifest))
	}
	running[pushes[0].channel].kill()
	time.Sleep(3 * time.Second)
	pushes[0].run(t, s)
	time.Sleep(10 * time.Second)
	validate("after a restart of the encoder", s.out(pushes[0].channel, dashManifest))
	for _, p := range pushes {
		window := fmt.Sprintf("?start=%d&end=%d", began.Unix()-30, time.Now().Unix()-2)
		validate(p.name+", a window in the past", s.out(p.channel, dashManifest)+window)
		validate(p.name+", from a start to the live edge", s.out(p.channel, dashManifest)+fmt.Sprintf("?start=%d", began.Unix()))
	}
}
