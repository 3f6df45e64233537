package origin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"headwater/origin/channel"
	"headwater/origin/ingest"
	"headwater/origin/reply"
)

// This file is the JSON of the active input: docs/formats/active-input.md.

type activeInput struct {
	ChannelGroupName, ChannelName string

	Active, Held, Preferred *int // null: none
	Inputs                  []heardInput
}

type heardInput struct {
	Input  int
	Active bool
	Up     bool
	Heard  *time.Time
}

const activePath = "/v1/channels/{group}/{channel}/ingest/active"

// serveActiveInput tells which input of a channel is active, and has another one become it.
func (s *Server) serveActiveInput(w http.ResponseWriter, r *http.Request) {
	id := channel.ID{Group: chi.URLParam(r, "group"), Name: chi.URLParam(r, "channel")}
	ch, ok := s.cfg.Channels.Get(id)
	if !ok {
		reply.WriteError(w, r, fmt.Errorf("%w: %s", channel.ErrNotFound, id))
		return
	}
	var err error
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPut, http.MethodPost:
		var number int
		if number, err = askedInput(w, r); err == nil {
			err = s.activate(r, id, number)
		}
	case http.MethodDelete:
		err = s.activate(r, id, 0)
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT, POST, DELETE")
		err = fmt.Errorf("%w: %s", reply.ErrMethod, r.Method)
	}
	if err != nil {
		reply.WriteError(w, r, err)
		return
	}
	st, _ := s.ingest.Status(id)
	writeJSON(w, r, activeInputOf(ch, st))
}

func (s *Server) activate(r *http.Request, id channel.ID, number int) error {
	err := s.ingest.Activate(r.Context(), id, number)
	if err == nil {
		reply.Logger(r.Context()).Info("active input asked for", "channel", id.String(), "input", number, "client", r.RemoteAddr)
	}
	return err
}

// maxAsked is the most bytes that a request for an input needs, with room for spaces.
const maxAsked = 1 << 10

// askedInput reads which input a request wants, 0 for none. It must say that it is JSON: a browser asks the server before it
// lets a foreign page send that.
func askedInput(w http.ResponseWriter, r *http.Request) (number int, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return 0, fmt.Errorf("%w: the Content-Type must be application/json", reply.ErrBadRequest)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAsked))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return 0, err
	case err != nil:
		return 0, fmt.Errorf("%w: the body ends too early", reply.ErrBadRequest)
	}
	return parseAsked(body)
}

// parseAsked reads {"Active": 1}, {"Active": 2} or {"Active": null}, which is 0. Error: reply.ErrBadRequest.
func parseAsked(body []byte) (number int, err error) {
	var fields map[string]json.RawMessage // whose keys are exact
	bad := fmt.Errorf(`%w: the body must be {"Active": 1}, {"Active": 2} or {"Active": null}`, reply.ErrBadRequest)
	if json.Unmarshal(body, &fields) != nil || len(fields) != 1 {
		return 0, bad
	}
	switch string(fields["Active"]) {
	case "1":
		return 1, nil
	case "2":
		return 2, nil
	case "null":
		return 0, nil
	}
	return 0, bad
}

func activeInputOf(ch *channel.Channel, st ingest.Status) activeInput {
	v := activeInput{ChannelGroupName: ch.Group, ChannelName: ch.Name, Active: inputNumber(st.Active), Held: inputNumber(st.Held),
		Preferred: inputNumber(ch.PreferredInput)}
	for i, at := range st.Heard {
		v.Inputs = append(v.Inputs, heardInput{Input: i + 1, Active: st.Active == i+1, Up: st.Up[i], Heard: instant(at)})
	}
	return v
}

// inputNumber returns an input for JSON, nil for 0.
func inputNumber(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

// writeJSON answers with what is never cached.
func writeJSON(w http.ResponseWriter, r *http.Request, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		reply.WriteError(w, r, fmt.Errorf("encode answer: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // nobody is left to tell
}
