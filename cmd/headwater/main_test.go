package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// command runs a command line and returns what it prints.
func command(args ...string) (string, error) {
	var out buffer
	err := execute(args, console{&out, &out}, func(int) {})
	return out.String(), err
}

func TestVersionIsPrinted(t *testing.T) {
	text, err := command("version")
	require.NoError(t, err)
	require.Contains(t, text, "headwater "+version)
}

func TestCheckTellsWhatIsWrongOrWhatIsConfigured(t *testing.T) {
	text, err := command("check", yamlFile(t, "ingest: {tokens: [s3cret]}\nchannels: [{name: one}]\n").Config)
	require.NoError(t, err)
	require.Contains(t, text, "is good")
	require.Contains(t, text, "channel default/one")
	require.NotContains(t, text, "s3cret")

	_, err = command("check", yamlFile(t, "a: 1\nb: 2\n").Config)
	require.ErrorContains(t, err, `:1: unknown key "a"`)
	require.ErrorContains(t, err, `:2: unknown key "b"`)
	require.ErrorContains(t, err, "2 problems")
}

func TestCheckJudgesWhatServeWouldRunWith(t *testing.T) {
	const refusal = "can be reached from other machines"
	open := yamlFile(t, "listen: 127.0.0.1:0\n").Config
	t.Run("with the environment", func(t *testing.T) {
		t.Setenv("HEADWATER_LISTEN", ":18081")
		_, err := command("check", open)
		require.ErrorContains(t, err, refusal)
		require.ErrorContains(t, newServer(parseServe(t, "serve", "--config", open), console{}).run(t.Context()), refusal)
		t.Setenv("HEADWATER_INGEST_TOKEN", "t")
		text, err := command("check", open)
		require.NoError(t, err)
		require.Contains(t, text, ":18081")
	})
	t.Run("with flags", func(t *testing.T) {
		_, err := command("check", open, "--listen", ":18081")
		require.ErrorContains(t, err, refusal)
		_, err = command("check", open, "--listen", ":18081", "--insecure")
		require.NoError(t, err)
	})
	t.Run("with the file that the environment names, or none", func(t *testing.T) {
		text, err := command("check")
		require.NoError(t, err)
		require.Contains(t, text, "the configuration is good")
		t.Setenv("HEADWATER_CONFIG", yamlFile(t, "listn: x\n").Config)
		_, err = command("check")
		require.ErrorContains(t, err, "unknown key")
		_, err = command("check", open)
		require.NoError(t, err, "the file that is asked about comes first")
	})
}
