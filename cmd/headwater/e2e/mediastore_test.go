//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// storeConfig gives the object store a key and an encoder that cannot sign.
const storeConfig = `
mediastore:
  access_keys: [{id: AKIATEST, secret: not-for-others}]
  users: [{name: encoder, password: pw, admin: false}]
`

// TestBoto3UsesTheObjectStore runs every operation of both services, by the container's host and by its path.
func TestBoto3UsesTheObjectStore(t *testing.T) {
	s := serve(t, storeConfig)
	out, err := exec.CommandContext(t.Context(), python(), "aws/mediastore.py", s.adminURL(""), "AKIATEST", "not-for-others").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "good")
}

// python returns the first interpreter that has boto3: Debian's package is for its own.
func python() string {
	if exec.Command("/usr/bin/python3", "-c", "import boto3").Run() == nil {
		return "/usr/bin/python3"
	}
	return "python3"
}

// TestTheAWSCLIUsesTheObjectStore does what a user of the command line does, without any configuration.
func TestTheAWSCLIUsesTheObjectStore(t *testing.T) {
	s := serve(t, "")
	file := filepath.Join(t.TempDir(), "clip.ts")
	require.NoError(t, os.WriteFile(file, []byte("a clip"), 0o600))
	aws := func(service, endpoint string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "aws", append([]string{service, "--endpoint-url", endpoint, "--region", "eu-west-1"}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=thing", "AWS_PAGER=")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
		return string(out)
	}
	control, data := s.adminURL(""), "http://"+s.host()+"/containers/demo"
	require.Contains(t, aws("mediastore", control, "create-container", "--container-name", "demo"), "CREATING")
	require.Contains(t, aws("mediastore", control, "describe-container", "--container-name", "demo"), "ACTIVE")
	require.Contains(t, aws("mediastore-data", data, "put-object", "--body", file, "--path", "/vod/clip.ts", "--content-type", "video/mp2t"), "TEMPORAL")
	require.Contains(t, aws("mediastore-data", data, "list-items", "--path", "vod"), "clip.ts")
	copied := file + ".copy"
	require.Contains(t, aws("mediastore-data", data, "get-object", "--path", "vod/clip.ts", "--range", "bytes=2-", copied), "206")
	text, err := os.ReadFile(copied)
	require.NoError(t, err)
	require.Equal(t, "clip", string(text))
	aws("mediastore-data", data, "delete-object", "--path", "vod/clip.ts")
	aws("mediastore", control, "delete-container", "--container-name", "demo")
}

// TestTheJavaScriptSDKUsesTheObjectStore runs the operations of both clients.
func TestTheJavaScriptSDKUsesTheObjectStore(t *testing.T) {
	s := serve(t, storeConfig)
	out, err := exec.CommandContext(t.Context(), "node", "aws/mediastore.mjs", s.adminURL(""), "http://"+s.host()+"/containers/", "AKIATEST", "not-for-others").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "good")
}
