package objects

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuotasAreByOperationAndContainer(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLimiter(FaithfulQuotas(), func() time.Time { return now })
	for _, c := range []struct {
		op        Operation
		streaming bool
		most      int
	}{
		{PutObject, false, 100}, {PutObject, true, 10}, {GetObject, false, 1000}, {GetObject, true, 25},
		{DescribeObject, false, 1000}, {DeleteObject, false, 100}, {ListItems, false, 5},
	} {
		t.Run(fmt.Sprint(c.op, c.streaming), func(t *testing.T) {
			for range c.most {
				require.Zero(t, l.Take("a", c.op, c.streaming))
			}
			wait := l.Take("a", c.op, c.streaming)
			require.InDelta(t, 1/float64(c.most), wait.Seconds(), 1e-6)
			require.Zero(t, l.Take("b", c.op, c.streaming), "another container has its own")
			now = now.Add(wait + time.Microsecond)
			require.Zero(t, l.Take("a", c.op, c.streaming))
			require.NotZero(t, l.Take("a", c.op, c.streaming))
		})
	}
}

func TestWhatIsRememberedOfContainersIsBounded(t *testing.T) {
	l := NewLimiter(Quotas{ListItems: 1}, time.Now)
	for i := range 3 * maxBuckets {
		require.Zero(t, l.Take(fmt.Sprint(i), ListItems, false))
	}
	require.LessOrEqual(t, len(l.buckets), maxBuckets)
}

func TestBeyondAQuotaARequestIsThrottled(t *testing.T) {
	g := newRig(t, func(g *rig) {
		g.opt.Quotas = NewLimiter(Quotas{PutObject: 2, PutStreaming: 0.1, GetObject: 1, DescribeObject: 1, DeleteObject: 1, ListItems: 0.5},
			func() time.Time { return g.now })
	})
	g.put("/a", "1")
	g.put("/a", "2")
	for _, c := range []struct {
		method, path, retry string
		headers             []string
	}{
		{http.MethodPut, "/a", "1", nil},
		{http.MethodPut, "/b", "10", []string{"X-Amz-Upload-Availability", "STREAMING"}},
		{http.MethodGet, "/a", "1", nil},
		{http.MethodHead, "/a", "1", nil},
		{http.MethodGet, "/", "2", nil},
		{http.MethodDelete, "/a", "1", nil},
	} {
		var res answer
		for range 2 {
			res = g.do(c.method, c.path, strings.NewReader(""), c.headers...)
		}
		refused(t, res, 429, "ThrottlingException")
		require.Equal(t, c.retry, res.Header.Get("Retry-After"), c.method+c.path)
	}
}

func TestQuotasAreOffByDefault(t *testing.T) {
	g := newRig(t)
	for range 50 {
		require.Equal(t, 200, g.do(http.MethodGet, "/", nil).StatusCode)
	}
}
