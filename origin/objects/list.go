package objects

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"headwater/origin/container"
)

// Pages of ListItems (reference 1.6).
const (
	maxPage       = 1000
	tokenLifetime = 15 * time.Minute
)

// item is one line of a list.
type item struct {
	Name          string
	Type          string
	ETag          string      `json:",omitempty"`
	LastModified  json.Number `json:",omitempty"` // seconds since 1970, with milliseconds
	ContentType   string      `json:",omitempty"`
	ContentLength *int64      `json:",omitempty"`
}

type page struct {
	Items     []item
	NextToken string `json:",omitempty"`
}

// list answers ListItems: the objects and folders of a folder, one level deep, in order of their paths. Folders that are not
// there are empty (a gap of the reference).
func (h *Handler) list(w http.ResponseWriter, q *request) error {
	if err := h.within(w, q, false); err != nil {
		return err
	}
	query := q.URL.Query()
	limit := maxPage
	if s := query.Get("MaxResults"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxPage {
			return fmt.Errorf("%w: MaxResults is from 1 to %d", container.ErrInvalid, maxPage)
		}
		limit = n
	}
	after := ""
	if s := query.Get("NextToken"); s != "" {
		t, err := h.readToken(s)
		if err != nil || t.Container != q.container.ID || t.Folder != q.path {
			return fmt.Errorf("%w: NextToken is of another list, or older than %s", container.ErrInvalid, tokenLifetime)
		}
		after = t.After
	}
	out, err := h.page(q, after, limit)
	if err != nil {
		return err
	}
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	w.Header()["Content-Type"] = []string{"application/json"}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body)
	return nil
}

// page returns up to limit items behind after.
func (h *Handler) page(q *request, after string, limit int) (out page, err error) {
	prefix := q.path
	if prefix != "" {
		prefix += "/"
	}
	out.Items = []item{}
	last := after
	for more := true; more; {
		more = false
		for info, err := range h.opt.Index.Attributed(q.Context(), q.container.ID, prefix, after) {
			if err != nil {
				return out, err
			}
			name, _, deeper := strings.Cut(info.Key.Path[len(prefix):], "/")
			if fate := q.container.Fate(info.Key.Path, info.Modified); !deeper && (fate.Transient || fate.Expires && !h.opt.Now().Before(fate.At)) {
				continue
			}
			if len(out.Items) == limit {
				out.NextToken = h.writeToken(token{q.container.ID, q.path, last, h.opt.Now().Unix()})
				return out, nil
			}
			if deeper {
				out.Items = append(out.Items, item{Name: name, Type: "FOLDER"})
				after, more = prefix+name+"/\xff", true // behind all that is in it
				last = after
				break
			}
			ms := info.Modified.UnixMilli()
			size := info.Size
			out.Items = append(out.Items, item{Name: name, Type: "OBJECT", ETag: info.Attrs.ETag, ContentType: info.Attrs.ContentType,
				LastModified: json.Number(fmt.Sprintf("%d.%03d", ms/1000, ms%1000)), ContentLength: &size})
			last = info.Key.Path
		}
	}
	return out, nil
}

// token is where a list goes on.
type token struct {
	Container string `json:"c"`
	Folder    string `json:"f"`
	After     string `json:"a"`
	Made      int64  `json:"m"` // Unix seconds
}

func (h *Handler) writeToken(t token) string {
	t.After = base64.StdEncoding.EncodeToString([]byte(t.After)) // it may end in what is no UTF-8
	raw, _ := json.Marshal(t)                                    // of strings and a number
	return base64.URLEncoding.EncodeToString(raw)
}

func (h *Handler) readToken(s string) (t token, err error) {
	raw, err := base64.URLEncoding.DecodeString(s)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return t, err
	}
	after, err := base64.StdEncoding.DecodeString(t.After)
	if age := h.opt.Now().Sub(time.Unix(t.Made, 0)); err == nil && (age > tokenLifetime || age < 0) {
		err = container.ErrInvalid
	}
	t.After = string(after)
	return t, err
}
