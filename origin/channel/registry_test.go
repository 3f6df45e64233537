package channel_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
)

func id(name string) channel.ID { return channel.ID{Group: "default", Name: name} }

func registry(t *testing.T, set channel.Set) *channel.Registry {
	t.Helper()
	r := channel.NewRegistry()
	_, err := r.Replace(set)
	require.NoError(t, err)
	return r
}

func TestRegistryKnowsOnlyWhatExists(t *testing.T) {
	r := registry(t, channel.Set{Channels: []channel.Channel{channel.Default(id("one"))}})
	ch, ok := r.Get(id("one"))
	require.True(t, ok)
	require.Equal(t, id("one"), ch.ID)
	_, ok = r.Get(id("two"))
	require.False(t, ok)
	_, err := r.Create(id("two"))
	require.ErrorIs(t, err, channel.ErrNotFound, "without a template no channel appears on first push")
	_, err = r.Resolve(id("two"))
	require.ErrorIs(t, err, channel.ErrNotFound)
	same, err := r.Create(id("one"))
	require.NoError(t, err)
	require.Same(t, ch, same)
}

func TestChannelAppearsOnFirstPush(t *testing.T) {
	r := registry(t, channel.Set{Template: channel.Default, Max: 3})
	would, err := r.Resolve(id("b"))
	require.NoError(t, err)
	require.Equal(t, id("b"), would.ID)
	require.Empty(t, r.List(), "asking what would be makes nothing")

	for _, name := range []string{"b", "a", "c"} {
		_, err = r.Create(id(name))
		require.NoError(t, err)
	}
	require.Len(t, r.List(), 3)
	require.Equal(t, id("a"), r.List()[0].ID, "the list is sorted")
	_, err = r.Create(id("d"))
	require.ErrorIs(t, err, channel.ErrTooMany, "a scanner cannot fill memory")
	_, err = r.Create(id("a"))
	require.NoError(t, err, "what exists is still found")
	_, err = r.Create(channel.ID{Group: "default", Name: "../x"})
	require.ErrorIs(t, err, channel.ErrInvalid)
}

func TestManyPushesAtOnceMakeOneChannel(t *testing.T) {
	r := registry(t, channel.Set{Template: channel.Default})
	var wg sync.WaitGroup
	made := make([]*channel.Channel, 32)
	for i := range made {
		wg.Go(func() {
			ch, err := r.Create(id(fmt.Sprint(i % 2)))
			if err == nil {
				made[i] = ch
			}
			r.List()
		})
	}
	wg.Wait()
	require.Len(t, r.List(), 2)
	for i := range made {
		require.Same(t, made[i%2], made[i])
	}
}

func TestReplace(t *testing.T) {
	one, two := channel.Default(id("one")), channel.Default(id("two"))
	r := registry(t, channel.Set{Channels: []channel.Channel{one, two}, Template: channel.Default})
	before, _ := r.Get(id("one"))
	_, err := r.Create(id("pushed"))
	require.NoError(t, err)

	_, err = r.Replace(channel.Set{Channels: []channel.Channel{one, one, {ID: id("bad")}}})
	require.ErrorIs(t, err, channel.ErrInvalid)
	require.ErrorContains(t, err, "defined twice")
	require.Len(t, r.List(), 3, "a bad set changes nothing")

	three := channel.Default(id("three"))
	strict := func(id channel.ID) channel.Channel {
		ch := channel.Default(id)
		ch.Ingest.Tokens = []string{"t"}
		return ch
	}
	changes, err := r.Replace(channel.Set{Channels: []channel.Channel{one, three}, Template: strict})
	require.NoError(t, err)
	require.Equal(t, channel.Changes{Added: []channel.ID{id("three")}, Changed: []channel.ID{id("pushed")},
		Removed: []channel.ID{id("two")}}, changes)
	after, _ := r.Get(id("one"))
	require.Same(t, before, after, "a channel that did not change is the same one")

	one.SegmentDuration = 4 * time.Second
	changes, err = r.Replace(channel.Set{Channels: []channel.Channel{one}})
	require.NoError(t, err)
	require.Equal(t, []channel.ID{id("one")}, changes.Changed)
	require.Equal(t, []channel.ID{id("pushed"), id("three")}, changes.Removed)
	_, ok := r.Get(id("pushed"))
	require.False(t, ok, "no channel outlives the permission to appear: nothing could give it new secrets")
}

func TestChannelsAreFoundByTheirGUIDs(t *testing.T) {
	const one, two = "3a1f0c5e8d2b4796a0e1c2d3f4b5a697", "9b8e7d6c5f4a4312b1a0f9e8d7c6b5a4"
	ch := channel.Default(id("one"))
	ch.V2 = channel.IngestV2{ID: one, Inputs: []channel.InputV2{{ID: one}, {ID: two, Users: []channel.User{{Name: "u", Password: "p"}}}}}
	ch.Ingest.Tokens = []string{"t"}
	set := channel.Set{Channels: []channel.Channel{ch, channel.Default(id("none"))}}
	r := registry(t, set)
	for range 2 {
		found, input, err := r.Find(one, two)
		require.NoError(t, err)
		require.Equal(t, 2, input)
		same, _ := r.Get(id("one"))
		require.Same(t, same, found)
		_, err = r.Replace(set)
		require.NoError(t, err)
	}
	for _, wrong := range [][2]string{{two, one}, {one, ""}, {"", ""}, {one, one + "0"}} {
		_, _, err := r.Find(wrong[0], wrong[1])
		require.ErrorIs(t, err, channel.ErrNotFound, "%v", wrong)
	}
	for input, want := range map[int]string{1: "0 users, 1 tokens", 2: "1 users, 0 tokens"} {
		c, err := ch.CredentialsV2(input, ch.V2.Inputs[input-1].ID)
		require.NoError(t, err)
		require.Equal(t, want, c.String())
	}
	_, err := ch.CredentialsV2(1, two)
	require.ErrorIs(t, err, channel.ErrNotFound, "the inputs were exchanged meanwhile")
	_, err = ch.CredentialsV2(3, two)
	require.ErrorIs(t, err, channel.ErrNotFound)

	twin := ch
	twin.Name = "twin"
	set.Channels = append(set.Channels, twin)
	_, err = r.Replace(set)
	require.ErrorIs(t, err, channel.ErrInvalid)
	set.Channels = nil
	_, err = r.Replace(set)
	require.NoError(t, err)
	_, _, err = r.Find(one, one)
	require.ErrorIs(t, err, channel.ErrNotFound, "a reload is in force at once")
}
