package main

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func listener(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func TestASocketThatWasHandedOnIsUsedForTheAddressItIsBoundTo(t *testing.T) {
	public, admin := listener(t, ":0"), listener(t, "127.0.0.1:0")
	_, port, err := net.SplitHostPort(public.Addr().String())
	require.NoError(t, err)

	got, rest, err := bind(admin.Addr().String(), []net.Listener{public, admin})
	require.NoError(t, err)
	require.Same(t, admin, got)
	require.Equal(t, []net.Listener{public}, rest)

	got, rest, err = bind(":"+port, rest)
	require.NoError(t, err)
	require.Same(t, public, got)
	require.Empty(t, rest)
}

func TestASocketOfAnotherAddressIsNotUsed(t *testing.T) {
	public := listener(t, ":0")
	got, rest, err := bind("127.0.0.1:0", []net.Listener{public})
	require.NoError(t, err)
	defer got.Close()
	require.NotSame(t, public, got, "it would serve addresses that the configuration does not name")
	require.Len(t, rest, 1)
}

func TestSocketsForAnotherProcessAreNotTaken(t *testing.T) {
	env := func(pairs map[string]string) func(string) string {
		return func(name string) string { return pairs[name] }
	}
	got, err := inheritedSockets(env(map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "2"}), 2)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = inheritedSockets(env(map[string]string{"LISTEN_PID": "2", "LISTEN_FDS": "-1"}), 2)
	require.ErrorContains(t, err, "LISTEN_FDS")
	_, err = inheritedSockets(env(map[string]string{"LISTEN_PID": "2", "LISTEN_FDS": "1000000"}), 2)
	require.ErrorContains(t, err, "LISTEN_FDS")
}
