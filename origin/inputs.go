package origin

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"headwater/origin/ingest"
)

// inputs shows at scrape time which inputs feed the channels that were pushed to since the server began, and how they are.
type inputs struct{ s *Server }

var (
	activeInputOfChannel = prometheus.NewDesc("headwater_ingest_active_input", "Input that feeds the channel: 1 or 2.", []string{"channel"}, nil)
	inputSwitches        = prometheus.NewDesc("headwater_ingest_input_switches_total",
		"How often another input became the active one, by reason.", []string{"channel", "reason"}, nil)
	inputUp = prometheus.NewDesc("headwater_ingest_input_up",
		"1 while media of the input comes, taken or not, 0 when it has been silent for so long that the other one takes over.", []string{"channel", "input"}, nil)
	inputAge = prometheus.NewDesc("headwater_ingest_input_heard_age_seconds",
		"Time since media of the input came last, taken or not.", []string{"channel", "input"}, nil)
)

// Describe implements prometheus.Collector.
func (c *inputs) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{activeInputOfChannel, inputSwitches, inputUp, inputAge} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *inputs) Collect(out chan<- prometheus.Metric) {
	now := c.s.cfg.Now()
	for _, ch := range c.s.cfg.Channels.List() {
		st, ok := c.s.ingest.Status(ch.ID)
		if !ok || st.Active == 0 {
			continue
		}
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{ch.ID.String()}, labels...)...)
		}
		gauge(activeInputOfChannel, float64(st.Active))
		for i, at := range st.Heard {
			number, up := strconv.Itoa(i+1), 0.0
			if st.Up[i] {
				up = 1
			}
			gauge(inputUp, up, number)
			if !at.IsZero() {
				gauge(inputAge, now.Sub(at).Seconds(), number)
			}
		}
		for _, reason := range ingest.SwitchReasons() {
			out <- prometheus.MustNewConstMetric(inputSwitches, prometheus.CounterValue, float64(st.Switches[reason]), ch.ID.String(), reason)
		}
	}
}
