package ingest

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"path"
	"strings"

	"headwater/origin/channel"
	"headwater/origin/reply"
	"headwater/storage"
)

// Methods of WebDAV (RFC 4918) that encoders use beside PUT and DELETE: they look whether a folder is there, and make it.
const (
	methodMakeCollection = "MKCOL"
	methodFindProperties = "PROPFIND"
)

const allowed = "PUT, POST, GET, HEAD, DELETE, OPTIONS, MKCOL, PROPFIND"

// webDAV answers what is no upload and reads nothing back. Folders mean nothing to us: each is there, and each may be made
// as often as an encoder wants.
func (h *Handler) webDAV(w http.ResponseWriter, r *http.Request, id channel.ID, number int, name string) {
	switch r.Method {
	case http.MethodOptions:
		w.Header().Set("Allow", allowed)
		w.Header()["DAV"] = []string{"1"} // as the RFC writes it, for clients that look for no other case
		w.WriteHeader(http.StatusNoContent)
	case methodMakeCollection:
		w.WriteHeader(http.StatusCreated)
	case methodFindProperties:
		folder := path.Ext(name) == "" || strings.HasSuffix(r.URL.Path, "/")
		if _, known := h.text(id, number, name); !folder && !known {
			reply.WriteError(w, r, fmt.Errorf("%s: %w", name, storage.ErrNotFound))
			return
		}
		h.found(w, r, folder)
	default:
		w.Header().Set("Allow", allowed)
		reply.WriteError(w, r, fmt.Errorf("%w: %s", reply.ErrMethod, r.Method))
	}
}

// found answers PROPFIND, whatever it asks for, with the one thing that encoders want to know: it is there, and whether it
// is a folder (RFC 4918, 9.1 and 15.9).
func (h *Handler) found(w http.ResponseWriter, r *http.Request, folder bool) {
	kind := ""
	if folder {
		kind = "<D:collection/>"
	}
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	w.WriteHeader(http.StatusMultiStatus)
	_, _ = fmt.Fprint(w, xml.Header, `<D:multistatus xmlns:D="DAV:"><D:response><D:href>`)
	_ = xml.EscapeText(w, []byte(r.URL.EscapedPath()))
	_, _ = fmt.Fprintf(w, `</D:href><D:propstat><D:prop><D:resourcetype>%s</D:resourcetype></D:prop>`+
		`<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>`, kind)
}
