package objects

import (
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"headwater/origin/container"
)

// requestType returns what MediaStore's metrics call an operation, "" for what is none.
func requestType(op Operation) string {
	switch op {
	case PutObject:
		return "Put"
	case GetObject:
		return "Get"
	case DescribeObject:
		return "Describe"
	case DeleteObject:
		return "Delete"
	case ListItems:
		return "List"
	default:
		return ""
	}
}

// Metrics counts the requests to containers that have a metric policy, once for each of the policy's groups that the object is
// in and once for the container, under the group "" (reference 7.1). It is a Prometheus collector. Labels are the names of
// containers and groups that exist: what goes takes its series with it, at the next scrape. Create with NewMetrics.
type Metrics struct {
	containers func() []*container.Container

	requests, clientErrors, serverErrors, throttled, received, sent *prometheus.CounterVec
	total, turnaround                                               *prometheus.HistogramVec
	expired                                                         *prometheus.CounterVec

	mu   sync.Mutex
	seen map[series]bool // what has series
}

// series are those of a group of a container.
type series struct{ container, group string }

// Labels of the metrics.
const (
	labelContainer = "container"
	labelGroup     = "object_group"
	labelType      = "request_type"
)

// NewMetrics returns a Metrics; containers are those that there are.
func NewMetrics(containers func() []*container.Container) *Metrics {
	labels := []string{labelContainer, labelGroup, labelType}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "headwater", Subsystem: "container", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "headwater", Subsystem: "container", Name: name, Help: help,
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60}}, labels)
	}
	return &Metrics{
		containers:   containers,
		requests:     counter("requests_total", "Requests to containers with a metric policy.", labels...),
		clientErrors: counter("4xx_errors_total", "Requests answered with a status from 400 to 499.", labels...),
		serverErrors: counter("5xx_errors_total", "Requests answered with a status from 500 to 599.", labels...),
		throttled:    counter("throttled_total", "Requests refused because a quota was used up.", labels...),
		received:     counter("uploaded_bytes_total", "Bytes of the bodies of requests (BytesUploaded).", labels...),
		sent:         counter("downloaded_bytes_total", "Bytes of the bodies of answers (BytesDownloaded).", labels...),
		total:        histogram("total_seconds", "Time from a request to the last byte of its answer (TotalTime)."),
		turnaround:   histogram("turnaround_seconds", "Time from the last byte of a request to the first of its answer (TurnaroundTime)."),
		expired:      counter("expired_objects_total", "Objects deleted because their lifecycle policy says so.", labelContainer),
		seen:         map[series]bool{},
	}
}

// Observe counts a request, if its container has a metric policy that measures it.
func (m *Metrics) Observe(r *Record) {
	kind := requestType(r.Operation)
	if kind == "" {
		return
	}
	groups, whole := r.Container.Measured(r.Path)
	if whole {
		groups = append(groups, "")
	}
	slices.Sort(groups)
	for _, group := range slices.Compact(groups) {
		m.count(r, group, kind)
	}
}

// count counts a request for one group.
func (m *Metrics) count(r *Record, group, kind string) {
	name := r.Container.Name
	m.has(series{name, group})
	m.requests.WithLabelValues(name, group, kind).Inc()
	if r.Status >= 400 && r.Status < 500 {
		m.clientErrors.WithLabelValues(name, group, kind).Inc()
	}
	if r.Status >= 500 {
		m.serverErrors.WithLabelValues(name, group, kind).Inc()
	}
	if r.Status == http.StatusTooManyRequests {
		m.throttled.WithLabelValues(name, group, kind).Inc()
	}
	m.received.WithLabelValues(name, group, kind).Add(float64(r.BytesIn))
	m.sent.WithLabelValues(name, group, kind).Add(float64(r.BytesOut))
	m.total.WithLabelValues(name, group, kind).Observe(r.Total.Seconds())
	m.turnaround.WithLabelValues(name, group, kind).Observe(r.Turnaround.Seconds())
}

// Expired counts objects that a Sweep deleted, whether the container has a metric policy or not.
func (m *Metrics) Expired(c *container.Container, n int) {
	m.has(series{container: c.Name})
	m.expired.WithLabelValues(c.Name).Add(float64(n))
}

func (m *Metrics) has(s series) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[s] = true
}

// vectors are all there are.
func (m *Metrics) vectors() []*prometheus.MetricVec {
	return []*prometheus.MetricVec{m.requests.MetricVec, m.clientErrors.MetricVec, m.serverErrors.MetricVec, m.throttled.MetricVec,
		m.received.MetricVec, m.sent.MetricVec, m.total.MetricVec, m.turnaround.MetricVec, m.expired.MetricVec}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, v := range m.vectors() {
		v.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	m.prune()
	for _, v := range m.vectors() {
		v.Collect(to)
	}
}

// prune drops the series of containers, and groups of them, that are no more.
func (m *Metrics) prune() {
	there := map[series]bool{}
	for _, c := range m.containers() {
		there[series{container: c.Name}] = true
		if c.Metric != nil {
			for _, r := range c.Metric.MetricPolicyRules {
				there[series{c.Name, r.ObjectGroupName}] = true
			}
		}
	}
	m.mu.Lock()
	gone := slices.Collect(maps.Keys(m.seen))
	gone = slices.DeleteFunc(gone, func(s series) bool { return there[s] })
	for _, s := range gone {
		delete(m.seen, s)
	}
	m.mu.Unlock()
	for _, s := range gone {
		labels := prometheus.Labels{labelContainer: s.container}
		if there[series{container: s.container}] {
			labels[labelGroup] = s.group // the container stays
		}
		for _, v := range m.vectors() {
			v.DeletePartialMatch(labels)
		}
	}
}

// Observers returns a function that tells each of several.
func Observers(all ...func(*Record)) func(*Record) {
	return func(r *Record) {
		for _, observe := range all {
			observe(r)
		}
	}
}
