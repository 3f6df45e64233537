package main

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strings"
	"time"

	"headwater/origin/channel"
)

// channels builds and checks the configured channels.
func (b *builder) channels(c *Config) {
	defined := make(map[channel.ID]int)
	guids := make(map[string]string)
	for i := range b.file.Channels {
		path := fmt.Sprintf("channels.%d", i)
		f := &b.file.Channels[i]
		ch, inherited := b.channel(c, path, f)
		if before, twice := defined[ch.ID]; twice {
			b.bad(path+".name", "%s: %q is channels.%d already", path, ch.ID, before)
		}
		defined[ch.ID] = i
		b.guids(path+".ingest_v2", &ch.V2, guids)
		for _, p := range channel.Problems(ch.Validate()) {
			if inherited(p.Path) {
				continue // reported where it is written
			}
			b.bad(path+"."+p.Path, "%s.%s: %s", path, p.Path, p.Text)
		}
		c.Channels = append(c.Channels, ch)
	}
}

// channel builds one channel, and a function that tells which of its paths were not written but are defaults.
func (b *builder) channel(c *Config, path string, f *fileChannel) (ch channel.Channel, inherited func(string) bool) {
	ch = channel.Channel{
		ID:              channel.ID{Group: first(channel.DefaultGroup, f.Group), Name: f.Name},
		Numbering:       channel.Numbering(first(string(channel.NumberingAuto), f.Numbering)),
		SegmentDuration: time.Duration(f.SegmentDuration),
		Source:          f.Source,
	}
	if f.PreferredInput != nil {
		if ch.PreferredInput = *f.PreferredInput; ch.PreferredInput == 0 {
			b.bad(path+".preferred_input", "%s.preferred_input: 0 is not 1 or %d", path, channel.MaxInputs)
		}
	}
	var defaults []string // path prefixes
	if f.Ingest != nil {
		ch.Ingest = b.ingest(path+".ingest", f.Ingest)
	} else {
		ch.Ingest = c.Ingest
		defaults = append(defaults, "ingest.")
	}
	ch.Limits = f.Limits.over(c.Limits)
	for _, key := range f.Limits.unwritten() {
		defaults = append(defaults, "limits."+key)
	}
	if f.IngestV2 != nil {
		ch.V2 = b.ingestV2(path+".ingest_v2", f.IngestV2)
	}
	if f.Endpoints == nil {
		ch.Endpoints = channel.DefaultEndpoints()
		for i := range ch.Endpoints {
			ch.Endpoints[i].Access = c.Access
		}
		defaults = append(defaults, "endpoints.")
	} else {
		for i := range *f.Endpoints {
			at := fmt.Sprintf("endpoints.%d", i)
			fe := &(*f.Endpoints)[i]
			e := endpoint(fe)
			if fe.Access != nil {
				e.Access = b.access(path+"."+at+".access", fe.Access)
			} else {
				e.Access = c.Access
				defaults = append(defaults, at+".access.")
			}
			ch.Endpoints = append(ch.Endpoints, e)
		}
	}
	return ch, func(p string) bool {
		for _, prefix := range defaults {
			if strings.HasPrefix(p, prefix) {
				return true
			}
		}
		return false
	}
}

// ingestV2 builds the ingest in the shape of MediaPackage v1.
func (b *builder) ingestV2(path string, f *fileIngestV2) channel.IngestV2 {
	in := channel.IngestV2{ID: f.ID}
	if f.ID == "" && len(f.Inputs) == 0 {
		b.bad(path, "%s: an id and inputs are needed", path)
	}
	for i := range f.Inputs {
		fi := &f.Inputs[i]
		input := channel.InputV2{ID: fi.ID}
		if fi.written() {
			for _, password := range b.resolve(fmt.Sprintf("%s.inputs.%d.password", path, i), fi.Password) {
				input.Users = append(input.Users, channel.User{Name: fi.Username, Password: password})
			}
		}
		in.Inputs = append(in.Inputs, input)
	}
	return in
}

// guids reports GUIDs of a channel that others have; seen is where the others have theirs. An input may have that of its own
// channel, as in MediaPackage, and two inputs of a channel are compared by its Validate.
func (b *builder) guids(path string, in *channel.IngestV2, seen map[string]string) {
	mine := map[string]string{}
	note := func(at, guid string) {
		if other, taken := seen[guid]; taken {
			b.bad(at, "%s: %s is %s already", at, guid, other)
		} else if _, again := mine[guid]; guid != "" && !again {
			mine[guid] = at
		}
	}
	note(path+".id", in.ID)
	for i := range in.Inputs {
		note(fmt.Sprintf("%s.inputs.%d.id", path, i), in.Inputs[i].ID)
	}
	maps.Copy(seen, mine)
}

// endpoint builds one endpoint without its access rules.
func endpoint(f *fileEndpoint) channel.Endpoint {
	e := channel.NewEndpoint(f.Name, channel.Container(strings.ToUpper(f.Container)))
	if f.Manifests != nil {
		e.Manifests = nil
		for _, m := range *f.Manifests {
			name := m.Name
			if name == "" {
				name = "index"
			}
			e.Manifests = append(e.Manifests, channel.Manifest{
				Name: name, Type: channel.ManifestType(strings.ToLower(m.Type)), TimeTemplate: m.TimeTemplate,
			})
		}
	}
	e.SegmentDuration = time.Duration(f.SegmentDuration)
	e.ManifestWindow = first(e.ManifestWindow, (*time.Duration)(f.ManifestWindow))
	e.StartoverWindow = first(e.StartoverWindow, (*time.Duration)(f.StartoverWindow))
	e.TimeDelay = time.Duration(f.TimeDelay)
	e.AudioGroups = f.AudioGroups
	e.LookAhead = first(e.LookAhead, f.LookAhead)
	return e
}

// exposure refuses an address that others can reach when anyone who does could push: the configured one, and the one on
// which a running server listens until it is started again.
func (b *builder) exposure(c *Config) {
	switch {
	case c.Insecure:
	case !loopback(c.Listen):
		b.exposed(c, c.Listen, b.flags.Listen != nil)
	case !loopback(b.listening):
		b.exposed(c, b.listening+", in force until a restart,", true)
	}
}

// exposed adds a problem for everything that anyone could push to at a listening address. The file is not to blame for an
// address that is not from there.
func (b *builder) exposed(c *Config, listen string, flagged bool) {
	const advice = "%s can be reached from other machines, and anyone could push to %s: " +
		"set ingest users or tokens, or say --insecure"
	if c.FirstPush && c.Ingest.Empty() && !b.file.Ingest.written() {
		b.badSetting(flagged, "listen", advice, listen, "new channels")
	}
	for i := range c.Channels {
		f := b.file.Channels[i].Ingest
		if f == nil {
			f = &b.file.Ingest
		}
		if c.Channels[i].Ingest.Empty() && !f.written() {
			b.bad(fmt.Sprintf("channels.%d", i), advice, listen, "the channel "+c.Channels[i].ID.String())
		}
	}
}

// loopback reports whether only this machine can reach a listening address. A name other than localhost might mean
// anything. No address at all cannot be reached.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return true // none, or reported as no address already
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
