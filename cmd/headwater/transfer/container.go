package transfer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"headwater/origin/container"
)

// Bounds of what a server may answer.
const (
	maxPage    = 8 << 20  // bytes of a page of 1000 items, whose names have at most 900 characters
	maxMessage = 64 << 10 // bytes of an answer to a PUT, or of an error
)

// answerTimeout bounds the wait for an answer, once a request has gone.
const answerTimeout = time.Minute

// signingService is the service in the scope of signatures for the data plane (reference 2).
const signingService = "mediastore"

// emptyDigest is the SHA-256 of no bytes.
const emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Login is how requests to a server say who sends them. One of the three is set, or none for a container that is open.
type Login struct {
	User, Password string
	Token          string
	Key            aws.Credentials
	Region         string // of signatures; "": that of the endpoint's name, else us-east-1
}

// Container is a container of a running server, or a folder of one.
type Container struct {
	base   string // URL of the container, without a slash at its end
	folder string // clean; "": all of it
	region string
	login  Login
	client *http.Client
	now    func() time.Time
}

// NewContainer returns the container at an address: http://host/containers/name or the container's endpoint, both with or
// without a folder.
func NewContainer(address string, login Login, now func() time.Time) (*Container, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address of the container: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("the address of a container is http or https, a host and a path, without a user or query")
	}
	name, folder, region := "", u.Path, ""
	if _, after, endpoint := strings.Cut(u.Hostname(), ".data.mediastore."); endpoint {
		region, _, _ = strings.Cut(after, ".")
	} else {
		rest, ok := strings.CutPrefix(u.Path, "/containers/")
		if name, folder, _ = strings.Cut(rest, "/"); !ok || name == "" {
			return nil, errors.New("the address of a container is its endpoint, or http://host/containers/name")
		}
		name = "/containers/" + name
	}
	if folder, err = container.CleanFolder(folder); err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	transport.ResponseHeaderTimeout = answerTimeout
	return &Container{base: u.Scheme + "://" + u.Host + name, folder: folder, login: login, now: now,
		region: cmp.Or(login.Region, region, "us-east-1"),
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Close closes the connections that are idle.
func (c *Container) Close() { c.client.CloseIdleConnections() }

// Check is part of Place: the names are MediaStore's.
func (c *Container) Check(path string) error {
	full := c.full(path)
	switch clean, err := container.CleanPath(full); {
	case err != nil:
		return err
	case clean != full:
		return fmt.Errorf("%w: a path has one slash between its folders", container.ErrInvalid)
	}
	return nil
}

func (c *Container) full(path string) string {
	if c.folder == "" {
		return path
	}
	return c.folder + "/" + path
}

// List is part of Place. Objects that a lifecycle rule of seconds governs are in no list of a container.
func (c *Container) List(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for folders := []string{""}; len(folders) > 0; {
			folder := folders[len(folders)-1]
			folders = folders[:len(folders)-1]
			more, goOn := c.level(ctx, folder, yield)
			if !goOn {
				return
			}
			folders = append(folders, more...)
		}
	}
}

// level yields the objects of one folder, "" or with a slash at its end, and returns its folders.
func (c *Container) level(ctx context.Context, folder string, yield func(Entry, error) bool) (folders []string, goOn bool) {
	for token := ""; ; {
		p, err := c.page(ctx, folder, token)
		if err != nil {
			return folders, yield(Entry{Path: folder}, fmt.Errorf("list: %w", err))
		}
		for _, i := range p.Items {
			if i.Type == "FOLDER" {
				if strings.Count(folder, "/") >= container.MaxFolders {
					return folders, yield(Entry{Path: folder + i.Name}, errors.New("list: the server's folders do not end"))
				}
				folders = append(folders, folder+i.Name+"/")
				continue
			}
			e := Entry{Path: folder + i.Name, Size: i.ContentLength, Modified: time.UnixMilli(int64(i.LastModified * 1000))}
			if !yield(e, nil) {
				return nil, false
			}
		}
		if p.NextToken == "" {
			return folders, true
		}
		if p.NextToken == token {
			return folders, yield(Entry{Path: folder}, errors.New("list: the server's pages do not end"))
		}
		token = p.NextToken
	}
}

type page struct {
	Items []struct {
		Name, Type    string
		LastModified  float64 // seconds since 1970
		ContentLength int64
	}
	NextToken string
}

func (c *Container) page(ctx context.Context, folder, token string) (p page, err error) {
	query := url.Values{"Path": {c.full(folder)}}
	if token != "" {
		query.Set("NextToken", token)
	}
	resp, err := c.send(ctx, http.MethodGet, "", query, nil)
	if err != nil {
		return p, err
	}
	defer resp.Body.Close()
	return p, json.NewDecoder(io.LimitReader(resp.Body, maxPage)).Decode(&p)
}

// Stat is part of Place.
func (c *Container) Stat(ctx context.Context, path string) (Entry, error) {
	resp, err := c.send(ctx, http.MethodHead, path, nil, nil)
	if err != nil {
		return Entry{}, err
	}
	defer resp.Body.Close()
	return entryOf(path, resp), nil
}

// Open is part of Place.
func (c *Container) Open(ctx context.Context, path string) (*Object, error) {
	resp, err := c.send(ctx, http.MethodGet, path, nil, nil) //nolint:bodyclose // the caller closes it, with the object
	if err != nil {
		return nil, err
	}
	h := resp.Header
	return &Object{Entry: entryOf(path, resp), Body: resp.Body, Attrs: Attrs{ContentType: h.Get("Content-Type"),
		CacheControl: h.Get("Cache-Control"), ContentEncoding: h.Get("Content-Encoding")}}, nil
}

func entryOf(path string, resp *http.Response) Entry {
	modified, _ := http.ParseTime(resp.Header.Get("Last-Modified")) // the zero time is before every other, so that nothing is skipped
	return Entry{Path: path, Size: resp.ContentLength, Modified: modified}
}

// Write is part of Place. The server says what it has stored, and that is compared.
func (c *Container) Write(ctx context.Context, o *Object) error {
	sum := sha256.New()
	sent := *o
	sent.Body = io.NopCloser(io.TeeReader(o.Body, sum))
	resp, err := c.send(ctx, http.MethodPut, o.Path, nil, &sent)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var stored struct{ ContentSHA256 string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxMessage)).Decode(&stored); err != nil {
		return fmt.Errorf("answer to the upload: %w", err)
	}
	if stored.ContentSHA256 != hex.EncodeToString(sum.Sum(nil)) {
		return errors.New("the server has stored other bytes than were sent")
	}
	return nil
}

// send sends a request for a path, "" for the container itself, and returns a good answer. o is what to upload, or nil.
func (c *Container) send(ctx context.Context, method, path string, query url.Values, o *Object) (*http.Response, error) {
	target := "/"
	if path != "" {
		target = (&url.URL{Path: "/" + c.full(path)}).EscapedPath()
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+target, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.URL.RawQuery = query.Encode()
	req.Header.Set("Accept-Encoding", "identity") // bytes as they are stored
	digest := emptyDigest
	if o != nil {
		digest = "UNSIGNED-PAYLOAD" // Write compares; a hash before would need the bytes twice
		upload(req, o)
		req.Header.Set("X-Amz-Content-Sha256", digest)
	}
	if err := c.authorize(ctx, req, digest); err != nil {
		return nil, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

// upload gives a request an object.
func upload(req *http.Request, o *Object) {
	req.Body, req.ContentLength = o.Body, o.Size
	if o.Size == 0 {
		req.Body = http.NoBody
	}
	for name, value := range map[string]string{"Content-Type": o.ContentType, "Cache-Control": o.CacheControl,
		"Content-Encoding": o.ContentEncoding, "Expect": "100-continue"} { // a refusal comes before the bytes go
		if value != "" {
			req.Header.Set(name, value)
		}
	}
}

func (c *Container) authorize(ctx context.Context, req *http.Request, digest string) error {
	switch {
	case c.login.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.login.Token)
	case c.login.User != "":
		req.SetBasicAuth(c.login.User, c.login.Password)
	case c.login.Key.AccessKeyID != "":
		return v4.NewSigner().SignHTTP(ctx, c.login.Key, req, digest, signingService, c.region, c.now())
	}
	return nil
}

// refusal is what a bad answer says.
func refusal(resp *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	var said struct{ Message string }
	_ = json.Unmarshal(bytes.TrimSpace(raw), &said) // what is not JSON says nothing
	text := strings.TrimSpace(resp.Status + " " + resp.Header.Get("X-Amzn-Errortype"))
	if said.Message != "" {
		text += ": " + said.Message
	}
	if resp.StatusCode == http.StatusNotFound && resp.Header.Get("X-Amzn-Errortype") != "ContainerNotFoundException" {
		return fmt.Errorf("%w: %s", ErrNotFound, text)
	}
	return errors.New(text)
}
