package ingest

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// told has the rig log, and returns a function for the lines that were logged since it was called last, without time and request.
func (g *rig) told() func() []string {
	var log bytes.Buffer
	g.log = slog.New(slog.NewTextHandler(&log, nil))
	cut := regexp.MustCompile(`time=\S+ |request=\S+ | at=\S+`)
	return func() (lines []string) {
		for {
			line, err := log.ReadString('\n')
			if err == io.EOF {
				return lines
			}
			lines = append(lines, cut.ReplaceAllString(line[:len(line)-1], ""))
		}
	}
}

func TestTheLogTellsWhyATimelineBreaksAndHowMuchIsMissing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		said := g.told()
		v := video(50)
		put := func(input, from, to int) {
			for n := from; n < to; n++ {
				time.Sleep(2 * time.Second)
				body := bytes.NewReader(v.seconds(float64(2*n), float64(2*n+2)))
				require.Equal(t, http.StatusOK, g.request(http.MethodPut, input, fmt.Sprintf("v/%d.cmfv", n), body).Code)
			}
		}
		for input := 1; input <= 2; input++ {
			require.Equal(t, http.StatusOK, g.request(http.MethodPut, input, "v/init.cmfv", bytes.NewReader(v.init(t))).Code)
		}
		put(1, 0, 20)
		require.Equal(t, []string{
			`level=INFO msg="track is new" channel=g/c input=1 name=v/0.cmfv track=v kind=video language=""`,
			`level=INFO msg="encoder begins" channel=g/c input=1 track=v clock=arrival`,
		}, said(), "nothing of its other segments")
		time.Sleep(10 * time.Second)
		put(1, 0, 3)
		require.Equal(t, []string{
			`level=WARN msg=discontinuity channel=g/c input=1 reason="the encoder began again" gap=10s`,
			`level=INFO msg="encoder begins" channel=g/c input=1 track=v clock=arrival`,
		}, said())
		time.Sleep(5 * time.Second)
		put(2, 50, 52)
		require.Equal(t, []string{
			`level=WARN msg="input switch" channel=g/c input=2 from=1 to=2 reason=silence`,
			`level=WARN msg=discontinuity channel=g/c input=2 reason="input 2 takes over from input 1" gap=5s`,
			`level=INFO msg="encoder begins" channel=g/c input=2 track=v clock=arrival`,
		}, said())
		require.Equal(t, http.StatusOK, g.request(http.MethodPut, 2, "v/init.cmfv", bytes.NewReader(initOf(t, spss[1], v))).Code)
		put(2, 52, 54)
		require.Equal(t, []string{`level=INFO msg=discontinuity channel=g/c input=2 reason="another configuration of track v" gap=0s`}, said())
	})
}

func TestTheLogTellsATakeoverThatPlayersDoNotSee(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		said := g.told()
		v := video(50)
		zero := time.Now().Unix() * int64(v.scale)
		for input := 1; input <= 2; input++ {
			require.Equal(t, http.StatusOK, g.request(http.MethodPut, input, "v/init.cmfv", bytes.NewReader(v.init(t))).Code)
		}
		for n, input := range []int{1, 1, 1, 0, 0, 0, 2, 2} {
			time.Sleep(2 * time.Second)
			if input > 0 {
				body := bytes.NewReader(v.fragment(zero, 50*n, 50*n+50))
				require.Equal(t, http.StatusOK, g.request(http.MethodPut, input, fmt.Sprintf("v/%d.cmfv", n), body).Code)
			}
		}
		require.Contains(t, said(), `level=WARN msg="takeover without a discontinuity" channel=g/c input=2 reason="input 2 takes over from input 1" gap=6s`)
	})
}

func TestAnUploadThatIsRefusedIsLoggedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		said := g.told()
		require.Equal(t, http.StatusRequestEntityTooLarge, g.put("v/1.cmfv", []byte("no media, no media")))
		lines := said()
		require.Len(t, lines, 1)
		require.Contains(t, lines[0], `level=WARN msg="upload rejected" channel=g/c input=1 name=v/1.cmfv reason=media_limit bytes=18`)
	})
}
