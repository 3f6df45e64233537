package origin

import (
	"errors"
	"net/http"

	"headwater/auth"
	"headwater/origin/access"
	"headwater/origin/channel"
	"headwater/origin/reply"
)

// This file is ingest at URLs as YouTube has them for HLS, and as OBS Studio therefore writes them (reference/ingest.md, section 12):
// http_upload_hls?cid={stream key}&copy={0 or 1}&file={name}, below an input or at the root.

// uploadHLS is the last element of their path.
const uploadHLS = "http_upload_hls"

// copyOf returns the number of the input that a copy goes to: 0 is the primary one, 1 the backup.
func copyOf(r *http.Request) int {
	if r.URL.Query().Get("copy") == "1" {
		return 2
	}
	return 1
}

// serveUploadHLS takes a request for the channel whose stream key is in the query.
func (s *Server) serveUploadHLS(w http.ResponseWriter, r *http.Request) {
	ch, err := s.cfg.Channels.FindByKey(access.StreamKey(r))
	switch {
	case errors.Is(err, channel.ErrSharedKey):
		reply.WriteError(w, r, auth.Deny("stream_key_shared").Err())
		return
	case err != nil: // which channels there are is nobody's business
		reply.WriteError(w, r, auth.Deny("stream_key_unknown").Err())
		return
	}
	s.uploading(w, r)
	s.ingest.Serve(w, r, ch.ID, copyOf(r), "")
}
