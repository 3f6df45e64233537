package objects

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"headwater/origin/container"
)

// gather returns the values of a collector by name and labels; of a histogram how many were counted.
func gather(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// measured is a rig with metrics, of whose container playlists and all in live are groups.
func measured(t *testing.T) (*rig, *Metrics) {
	t.Helper()
	var m *Metrics
	g := newRig(t, func(g *rig) {
		m = NewMetrics(func() []*container.Container { return g.registry.List() })
		g.opt.Observe = Observers(m.Observe, func(*Record) {})
	})
	g.changeContainer(func(c *container.Container) {
		c.Metric = &container.MetricPolicy{ContainerLevelMetrics: "ENABLED", MetricPolicyRules: []container.MetricRule{
			{ObjectGroup: "*.m3u8", ObjectGroupName: "playlists"}, {ObjectGroup: "live", ObjectGroupName: "live"},
			{ObjectGroup: "live/*", ObjectGroupName: "live"}}}
	})
	return g, m
}

func TestRequestsAreCountedByContainerGroupAndType(t *testing.T) {
	g, m := measured(t)
	g.put("/live/a.m3u8", "#EXTM3U")
	g.put("/b", "x")
	g.do(http.MethodGet, "/live/a.m3u8", nil)
	g.do(http.MethodGet, "/live/none", nil)
	g.do(http.MethodHead, "/b", nil)
	g.do(http.MethodGet, "/", nil)
	g.do(http.MethodPost, "/b", nil)
	g.do(http.MethodDelete, "/b", nil)
	require.Eventually(t, func() bool { return gather(t, m)["headwater_container_requests_total blogdemo  Delete"] == 1 }, 5*time.Second, time.Millisecond)
	got := gather(t, m)
	for series, want := range map[string]float64{
		"requests_total blogdemo  Put":                  2,
		"requests_total blogdemo playlists Put":         1,
		"requests_total blogdemo live Put":              1,
		"requests_total blogdemo  Get":                  2,
		"requests_total blogdemo live Get":              2,
		"requests_total blogdemo playlists Get":         1,
		"requests_total blogdemo  Describe":             1,
		"requests_total blogdemo  List":                 1,
		"4xx_errors_total blogdemo live Get":            1,
		"uploaded_bytes_total blogdemo  Put":            8,
		"uploaded_bytes_total blogdemo playlists Put":   7,
		"downloaded_bytes_total blogdemo playlists Get": 7,
		"total_seconds blogdemo  Get":                   2,
		"turnaround_seconds blogdemo playlists Get":     1,
	} {
		require.Equal(t, want, got["headwater_container_"+series], series)
	}
	for series := range got {
		require.NotContains(t, series, "5xx")
		require.NotContains(t, series, "throttled")
	}
}

func TestThrottledAndServersErrorsAreCountedApart(t *testing.T) {
	g, m := measured(t)
	for _, status := range []int{429, 500, 507} {
		m.Observe(&Record{Container: g.container, Operation: PutObject, Path: "b", Status: status})
	}
	got := gather(t, m)
	require.Equal(t, 1.0, got["headwater_container_throttled_total blogdemo  Put"])
	require.Equal(t, 1.0, got["headwater_container_4xx_errors_total blogdemo  Put"])
	require.Equal(t, 2.0, got["headwater_container_5xx_errors_total blogdemo  Put"])
}

func TestWithoutAPolicyNothingIsCounted(t *testing.T) {
	g, m := measured(t)
	g.changeContainer(func(c *container.Container) { c.Metric = nil })
	m.Observe(&Record{Container: g.container, Operation: PutObject, Path: "b", Status: 200})
	require.Empty(t, gather(t, m))
}

func TestWhatIsDeletedTakesItsSeriesWithIt(t *testing.T) {
	g, m := measured(t)
	old := g.container
	m.Observe(&Record{Container: old, Operation: PutObject, Path: "live/a", Status: 200})
	m.Expired(old, 3)
	require.Equal(t, 3.0, gather(t, m)["headwater_container_expired_objects_total blogdemo"])
	g.changeContainer(func(c *container.Container) {
		c.Metric = &container.MetricPolicy{ContainerLevelMetrics: "ENABLED"}
	})
	for series := range gather(t, m) {
		require.NotContains(t, series, "live", "the group is gone")
	}
	require.NotEmpty(t, gather(t, m))
	require.NoError(t, g.registry.Delete(t.Context(), "blogdemo", func(*container.Container) (bool, error) { return true, nil }))
	require.Empty(t, gather(t, m))
	m.Observe(&Record{Container: old, Operation: PutObject, Path: "live/a", Status: 200}) // a request that ends late
	require.Empty(t, gather(t, m))
	require.Empty(t, m.seen)
}

func TestPathsMakeNoSeries(t *testing.T) {
	g, m := measured(t)
	for range 100 {
		g.do(http.MethodGet, "/live/"+strings.Repeat("x", 1+len(gather(t, m))), nil)
	}
	require.LessOrEqual(t, len(gather(t, m)), 2*8)
}
