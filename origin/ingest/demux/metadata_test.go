package demux

import (
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// eventEntry is a sample entry of metadata with a btrt box of 1000 bit/s.
func eventEntry(name string) func(e *entry) {
	var w boxWriter
	w.box("btrt", func() { w.u32(0, 2000, 1000) })
	return func(e *entry) { *e = entry{name: name, kind: media.Metadata, boxes: w.b} }
}

func TestMetadataKeepsItsSampleEntry(t *testing.T) {
	for _, name := range []string{"evte", "urim", "mett", "metx"} {
		head := headerOf(t, trackSpec{id: 1, timescale: 90000, entry: eventEntry(name)})
		in, err := ParseInit(head)
		require.NoError(t, err, name)
		tr := in.Tracks[0]
		require.Equal(t, media.Metadata, tr.Kind)
		require.Equal(t, name, tr.Config.Codec)
		require.Equal(t, map[bool]int{true: 1000, false: 0}[name == "evte"], tr.Bitrate)
		again, err := ParseInit(tr.Config.Header)
		require.NoError(t, err)
		require.Equal(t, tr.Config, again.Tracks[0].Config, "the header that is kept says the same")
		require.Contains(t, string(tr.Config.Header), "nmhd")

		frags, data, _ := drain(cat(head, simple(180, "\x00\x00\x00\x08emeb")), nil, DefaultLimits)
		require.Equal(t, []string{"\x00\x00\x00\x08emeb"}, data)
		require.EqualValues(t, 180, frags[0].Time)
		require.True(t, frags[0].Samples[0].Sync)
	}
	_, err := ParseInit(headerOf(t, trackSpec{id: 1, timescale: 1, entry: eventEntry("junk")}))
	require.ErrorIs(t, err, ErrUnsupported)
	in, err := ParseInit(headerOf(t, trackSpec{id: 1, timescale: 1, entry: eventEntry("scte")}))
	require.NoError(t, err)
	require.Empty(t, in.Tracks, "known, and left out")
	require.Len(t, in.Ignored, 1)
	short := headerOf(t, trackSpec{id: 1, timescale: 1, entry: func(e *entry) { *e = entry{name: "evte", kind: media.Metadata} }})
	_, err = ParseInit(short)
	require.NoError(t, err, "an entry of its index alone")
}

func TestAloneSaysWhichTracksShareANameWithOthers(t *testing.T) {
	audio := trackSpec{id: 1, timescale: 48000}
	events, more := trackSpec{id: 2, timescale: 90000, entry: eventEntry("evte")}, trackSpec{id: 3, timescale: 48000}
	for _, c := range []struct {
		tracks []trackSpec
		alone  []bool
	}{
		{[]trackSpec{audio}, []bool{true}},
		{[]trackSpec{events}, []bool{true}},
		{[]trackSpec{audio, events}, []bool{true, false}},
		{[]trackSpec{audio, events, more}, []bool{false, false, false}},
	} {
		in, err := ParseInit(headerOf(t, c.tracks...))
		require.NoError(t, err)
		for i, tr := range in.Tracks {
			require.Equal(t, c.alone[i], in.Alone(tr))
		}
	}
}
