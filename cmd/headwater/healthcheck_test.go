package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// health is an admin listener that answers /readyz with a status.
func health(t *testing.T, status *int) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			http.NotFound(w, r)
			return
		}
		http.Error(w, "so it is", *status)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestHealthcheckSaysWhetherTheServerIsReady(t *testing.T) {
	status := http.StatusOK
	server := health(t, &status)
	addr := server.Listener.Addr().String()
	text, err := command("healthcheck", "--admin", addr)
	require.NoError(t, err)
	require.Equal(t, "so it is\n", text)

	status = http.StatusServiceUnavailable
	_, err = command("healthcheck", "--admin", addr)
	require.ErrorContains(t, err, "503 Service Unavailable: so it is")

	server.Close()
	_, err = command("healthcheck", "--admin", addr)
	require.ErrorContains(t, err, "health check")
	_, err = command("healthcheck", "--admin", "nonsense")
	require.ErrorContains(t, err, "admin address")
}

func TestHealthcheckFindsTheServerByItsFile(t *testing.T) {
	status := http.StatusOK
	addr := health(t, &status).Listener.Addr().String()
	named := yamlFile(t, "listen: :8080\nadmin: "+addr+"\ningest: {tokens: [{env: NOT_HERE}]}\n").Config
	text, err := command("healthcheck", "--config", named)
	require.NoError(t, err, "whether the file is good is not the question")
	require.Equal(t, "so it is\n", text)

	elsewhere := yamlFile(t, "admin: 127.0.0.1:1\n").Config
	t.Setenv("HEADWATER_CONFIG", elsewhere)
	_, err = command("healthcheck")
	require.ErrorContains(t, err, "127.0.0.1:1/readyz")
	t.Setenv("HEADWATER_ADMIN", addr)
	_, err = command("healthcheck")
	require.NoError(t, err, "flags and environment come before the file, as for serve")
	t.Setenv("HEADWATER_ADMIN", "")

	_, err = command("healthcheck", "--config", yamlFile(t, "admin: [\n").Config)
	require.ErrorContains(t, err, "headwater.yaml:1: ")
	_, err = command("healthcheck", "--config", filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorContains(t, err, "none.yaml")
}
