package channel

import "time"

// Values of an endpoint that says nothing else. The start-over window of six hours holds a long evening; MediaPackage v2
// gives 15 minutes, which has surprised its users, and every hour costs only disk.
const (
	DefaultGroup           = "default"
	DefaultManifestWindow  = 60 * time.Second
	DefaultStartoverWindow = 6 * time.Hour
	DefaultLookAhead       = 2 // as MediaPackage: LookAheadFragmentCount="2"
)

// Default returns the channel that appears on first push: open, with the endpoints "cmaf" (HLS and DASH "index"), "ts"
// (HLS "index") and "ism" (Smooth "index").
func Default(id ID) Channel {
	return Channel{ID: id, Numbering: NumberingAuto, Endpoints: DefaultEndpoints()}
}

// DefaultEndpoints returns the endpoints of a channel that names none. The slices are the caller's.
func DefaultEndpoints() []Endpoint {
	return []Endpoint{NewEndpoint("cmaf", CMAF), NewEndpoint("ts", TS), NewEndpoint("ism", ISM)}
}

// NewEndpoint returns an endpoint with default settings and, for each type of manifest that the container usually has
// (CMAF: HLS and DASH, TS: HLS, ISM: MSS), a manifest "index".
func NewEndpoint(name string, container Container) Endpoint {
	e := Endpoint{
		Name: name, Container: container,
		ManifestWindow: DefaultManifestWindow, StartoverWindow: DefaultStartoverWindow,
	}
	switch container {
	case CMAF:
		e.Manifests = []Manifest{{Name: "index", Type: HLS}, {Name: "index", Type: DASH}}
	case TS:
		e.Manifests = []Manifest{{Name: "index", Type: HLS}}
	case ISM:
		e.Manifests = []Manifest{{Name: "index", Type: MSS}}
		e.LookAhead = DefaultLookAhead
	}
	return e
}
