package main

import (
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"headwater/origin/channel"
)

// This file is the limits of channels in the file, and the units of their values.

// fileChannelLimits are the limits of a channel, or of all that do not write their own.
type fileChannelLimits struct {
	MaxBitrate     *bitrate  `yaml:"max_bitrate"`
	MaxRequestRate *int      `yaml:"max_request_rate"`
	MaxConcurrent  *int      `yaml:"max_concurrent"`
	MaxTracks      *int      `yaml:"max_tracks"`
	MaxUpload      *size     `yaml:"max_upload"`
	UploadIdle     *duration `yaml:"upload_idle"`
}

// over returns the limits that are written, in place of those of def.
func (f *fileChannelLimits) over(def channel.Limits) channel.Limits {
	return channel.Limits{
		Bitrate:     first(def.Bitrate, (*int64)(f.MaxBitrate)),
		RequestRate: first(def.RequestRate, f.MaxRequestRate),
		Concurrent:  first(def.Concurrent, f.MaxConcurrent),
		Tracks:      first(def.Tracks, f.MaxTracks),
		Upload:      first(def.Upload, (*int64)(f.MaxUpload)),
		Idle:        first(def.Idle, (*time.Duration)(f.UploadIdle)),
	}
}

// unwritten returns the keys that are not written.
func (f *fileChannelLimits) unwritten() (keys []string) {
	for key, written := range map[string]bool{
		"max_bitrate": f.MaxBitrate != nil, "max_request_rate": f.MaxRequestRate != nil, "max_concurrent": f.MaxConcurrent != nil,
		"max_tracks": f.MaxTracks != nil, "max_upload": f.MaxUpload != nil, "upload_idle": f.UploadIdle != nil,
	} {
		if !written {
			keys = append(keys, key)
		}
	}
	return keys
}

// size is a number of bytes, written plainly or with KiB, MiB, GiB (1024) or kB, MB, GB (1000).
type size int64

// UnmarshalYAML parses a scalar.
func (s *size) UnmarshalYAML(n *yaml.Node) error {
	v, ok := scaled(n, []unit{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"", 1}})
	if !ok {
		return wrong(n, "a size is written like 500MB, 2GiB or a number of bytes")
	}
	*s = size(v)
	return nil
}

// bitrate is a number of bits per second, written plainly or with kbps, Mbps or Gbps (1000).
type bitrate int64

// UnmarshalYAML parses a scalar.
func (r *bitrate) UnmarshalYAML(n *yaml.Node) error {
	v, ok := scaled(n, []unit{{"kbps", 1e3}, {"Mbps", 1e6}, {"Gbps", 1e9}, {"", 1}})
	if !ok {
		return wrong(n, "a bitrate is written like 800kbps, 25Mbps or a number of bits per second")
	}
	*r = bitrate(v)
	return nil
}

// unit is a suffix of numbers and what it stands for.
type unit struct {
	suffix string
	factor int64
}

// scaled reads a whole number of up to 31 bits with one of the units, of at most 30 bits; ok is false when it is none.
func scaled(n *yaml.Node, units []unit) (v int64, ok bool) {
	for _, u := range units {
		digits, found := strings.CutSuffix(n.Value, u.suffix)
		if !found || n.Kind != yaml.ScalarNode {
			continue
		}
		number, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 31)
		return int64(number) * u.factor, err == nil
	}
	return 0, false
}
