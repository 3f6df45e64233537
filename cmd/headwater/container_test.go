package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContainerExportAndImportTellWhatTheyDid(t *testing.T) {
	var sent string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch user, _, _ := r.BasicAuth(); {
		case user != "encoder":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/containers/c/":
			_, _ = io.WriteString(w, `{"Items":[{"Name":"a.ts","Type":"OBJECT","LastModified":1.5,"ContentLength":3}]}`)
		case r.Method == http.MethodGet:
			_, _ = io.WriteString(w, "abc")
		case r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		default:
			body, _ := io.ReadAll(r.Body)
			sent += r.URL.Path + " " + string(body)
			_, _ = io.WriteString(w, `{"ContentSHA256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}`)
		}
	}))
	defer srv.Close()
	dir := filepath.Join(t.TempDir(), "new")
	t.Setenv("HEADWATER_CONTAINER_USER", "encoder")
	text, err := command("container", "export", srv.URL+"/containers/c", dir)
	require.NoError(t, err, text)
	require.Equal(t, "1 copied (0.0 MB), 0 there already, 0 left out\n", text)
	text, err = command("container", "export", srv.URL+"/containers/c", dir)
	require.NoError(t, err, text)
	require.Equal(t, "0 copied (0.0 MB), 1 there already, 0 left out\n", text)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "a b"), nil, 0o644))
	text, err = command("container", "import", dir, srv.URL+"/containers/c/x")
	require.ErrorContains(t, err, "not everything was copied")
	require.Contains(t, text, `left out "a b": `)
	require.Contains(t, text, "1 copied (0.0 MB), 0 there already, 1 left out\n")
	require.Equal(t, "/containers/c/x/a.ts abc", sent)
}

func TestContainerCommandsRefuseWhatTheyCannotDo(t *testing.T) {
	for want, args := range map[string][]string{
		"one of them":    {"--user", "u", "--token", "t", t.TempDir(), "http://h/containers/c"},
		"its endpoint":   {t.TempDir(), "http://h/"},
		"no such file":   {"/nowhere/at/all", "http://h/containers/c"},
		"s3://bucket or": {"s3://", "http://h/containers/c"},
	} {
		_, err := command(append([]string{"container", "import"}, args...)...)
		require.ErrorContains(t, err, want)
	}
}
