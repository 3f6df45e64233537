// Package metrics counts what happens and shows it to Prometheus. Its labels are bounded: channels that exist, tracks,
// routes and reasons, never paths.
//
// It decides nothing and knows nothing of the channels themselves: what is read at scrape time is handed in.
package metrics

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/felixge/httpsnoop"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"headwater/origin/channel"
	"headwater/storage"
)

// Metrics holds all counters of one server. Create with New.
type Metrics struct {
	registry *prometheus.Registry
	known    func(channel.ID) bool

	received, segments, bytes, duplicates, errors, standby, left *prometheus.CounterVec
	lag                                                          *prometheus.GaugeVec
	requests, sent, uploads                                      *prometheus.CounterVec
	duration, storage                                            *prometheus.HistogramVec
	storageBytes, storageErrors                                  *prometheus.CounterVec
}

// New returns a Metrics. Channels for which known is false share one label, so that a scanner cannot grow the labels.
func New(known func(channel.ID) bool) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), known: known}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "headwater", Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "headwater", Name: name, Help: help,
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60}}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.received = counter("ingest_received_bytes_total", "Bytes of upload bodies.", "channel")
	m.segments = counter("ingest_segments_total", "Segments stored and shown.", "channel", "track")
	m.bytes = counter("ingest_bytes_total", "Bytes of segments stored.", "channel", "track")
	m.duplicates = counter("ingest_duplicates_total", "Segments dropped because their place was taken.", "channel", "track")
	m.errors = counter("ingest_errors_total", "Uploads rejected or cut off, by reason. Those to channels that do not exist "+
		"are counted together, as channel unknown, whatever they are answered: names that are guessed make no series.", "channel", "reason")
	m.standby = counter("ingest_standby_total", "Uploads of the input that is not active, dropped.", "channel", "input")
	m.left = counter("ingest_left_out_total", "What nothing was made of in uploads that were taken: packets and frames lost, tracks and uploads "+
		"of types that are not packaged, segments of encoders whose clocks are fast.", "channel", "what")
	m.lag = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "headwater", Name: "ingest_lag_seconds",
		Help: "Arrival of the newest segment after the UTC time at which its media ends."}, []string{"channel", "track"})
	m.uploads = counter("ingest_requests_total", "Requests of encoders by status.", "status")
	m.requests = counter("egress_requests_total", "Requests by route and status.", "route", "status")
	m.sent = counter("egress_bytes_total", "Bytes of answers' bodies by route.", "route")
	m.duration = histogram("egress_duration_seconds", "Time from request to the end of the answer, by route.", "route")
	m.storage = histogram("storage_duration_seconds", "Time of storage operations.", "operation")
	m.storageBytes = counter("storage_bytes_total", "Bytes moved by storage operations.", "operation")
	m.storageErrors = counter("storage_errors_total", "Storage operations that failed.", "operation", "kind")
	m.registry.MustRegister(m.lag, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Register adds a collector that is read at scrape time.
func (m *Metrics) Register(c prometheus.Collector) { m.registry.MustRegister(c) }

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *Metrics) channel(id channel.ID) string {
	if !m.known(id) {
		return "unknown"
	}
	return id.String()
}

// Received counts the bytes of an upload's body.
func (m *Metrics) Received(id channel.ID, bytes int64) {
	m.received.WithLabelValues(m.channel(id)).Add(float64(bytes))
}

// Segment counts a stored segment; lag is its arrival after the UTC time at which its media ends.
func (m *Metrics) Segment(id channel.ID, track string, bytes int64, lag time.Duration) {
	m.segments.WithLabelValues(m.channel(id), track).Inc()
	m.bytes.WithLabelValues(m.channel(id), track).Add(float64(bytes))
	m.lag.WithLabelValues(m.channel(id), track).Set(lag.Seconds())
}

// Duplicate counts a segment dropped because its place was taken.
func (m *Metrics) Duplicate(id channel.ID, track string) {
	m.duplicates.WithLabelValues(m.channel(id), track).Inc()
}

// Rejected counts an upload rejected or cut off.
func (m *Metrics) Rejected(id channel.ID, reason string) {
	m.errors.WithLabelValues(m.channel(id), reason).Inc()
}

// Standby counts an upload of the input that is not active.
func (m *Metrics) Standby(id channel.ID, input int) {
	m.standby.WithLabelValues(m.channel(id), strconv.Itoa(input)).Inc()
}

// LeftOut counts what nothing was made of in an upload that was taken.
func (m *Metrics) LeftOut(id channel.ID, what string, n int) {
	m.left.WithLabelValues(m.channel(id), what).Add(float64(n))
}

// Stored counts a storage operation.
func (m *Metrics) Stored(op storage.Operation) {
	m.storage.WithLabelValues(op.Name).Observe(op.Duration.Seconds())
	m.storageBytes.WithLabelValues(op.Name).Add(float64(op.Bytes))
	if op.Err != nil && !errors.Is(op.Err, storage.ErrNotFound) {
		kind := "other"
		switch {
		case errors.Is(op.Err, storage.ErrNoSpace):
			kind = "no_space"
		case errors.Is(op.Err, storage.ErrIO):
			kind = "io"
		}
		m.storageErrors.WithLabelValues(op.Name, kind).Inc()
	}
}

// Ingest counts the requests of encoders that next answers. They may last for days, so there is no duration.
func (m *Metrics) Ingest(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		snoop := httpsnoop.CaptureMetrics(next, w, r)
		m.uploads.WithLabelValues(strconv.Itoa(snoop.Code)).Inc()
	}
}

// Route counts the requests that next answers under the name of their route. next gets an Answer, which costs a fraction
// of what httpsnoop does; that is left to uploads, which may want any of the interfaces that it keeps.
func (m *Metrics) Route(route string, next http.HandlerFunc) http.HandlerFunc {
	sent, duration, fine := m.sent.WithLabelValues(route), m.duration.WithLabelValues(route), m.requests.WithLabelValues(route, "200")
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		answer := Watch(w)
		next(answer, r)
		answer.begin()
		if answer.Status == http.StatusOK {
			fine.Inc()
		} else {
			m.requests.WithLabelValues(route, strconv.Itoa(answer.Status)).Inc()
		}
		sent.Add(float64(answer.Bytes))
		duration.Observe(time.Since(began).Seconds())
	}
}
