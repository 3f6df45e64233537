package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"headwater/auth/sigv4"
)

var errDenied = errors.New("denied")

func TestAFolderGoesThroughAContainerIntoAnother(t *testing.T) {
	g := newRig(t)
	want := map[string]string{"live/index.m3u8": "#EXTM3U", "live/a/seg=1:2.ts": "segment", "empty.txt": "", "unknown": "?"}
	counts, err := g.copy(g.folder(files(t, want)), g.container("/in", Login{}))
	require.NoError(t, err)
	require.EqualValues(t, len(want), counts.Copied)
	require.EqualValues(t, 15, counts.Bytes)
	resp, body := g.get("/in/live/index.m3u8")
	require.Equal(t, "#EXTM3U", body)
	require.Equal(t, "application/vnd.apple.mpegurl", resp.Header.Get("Content-Type"))

	out := t.TempDir()
	_, err = g.copy(g.container("/in", Login{}), g.folder(out))
	require.NoError(t, err)
	got := read(t, out)
	delete(got, AttributesFile)
	require.Equal(t, want, got)
}

func TestAttributesComeThroughAFolder(t *testing.T) {
	g := newRig(t)
	g.put("/a/index.m3u8", "#EXTM3U", "Content-Type", "application/x-mpegURL", "Cache-Control", "max-age=2", "Content-Encoding", "br")
	dir := t.TempDir()
	f, err := OpenFolder(dir, true)
	require.NoError(t, err)
	_, err = g.copy(g.container("", Login{}), f)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	_, err = g.copy(g.folder(dir), g.container("/again", Login{}))
	require.NoError(t, err)
	resp, _ := g.get("/again/a/index.m3u8")
	require.Equal(t, "application/x-mpegURL", resp.Header.Get("Content-Type"))
	require.Equal(t, "max-age=2", resp.Header.Get("Cache-Control"))
	require.Equal(t, "br", resp.Header.Get("Content-Encoding"))
}

func TestWhatIsThereAlreadyIsNotCopiedAgain(t *testing.T) {
	g := newRig(t)
	dir := files(t, map[string]string{"a": "1", "b": "2", "c": "3"})
	in := func() Counts {
		counts, err := g.copy(g.folder(dir), g.container("", Login{}))
		require.NoError(t, err)
		return counts
	}
	require.EqualValues(t, 3, in().Copied)
	require.EqualValues(t, 3, in().Skipped)
	require.Zero(t, g.requests[http.MethodPut])

	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("longer"), 0o644))
	later := time.Now().Add(time.Minute)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "b"), later, later))
	counts := in()
	require.EqualValues(t, 2, counts.Copied, "one of another size and one that is newer")
	require.EqualValues(t, 1, counts.Skipped)

	out := t.TempDir()
	for want := range 2 {
		counts, err := g.copy(g.container("", Login{}), g.folder(out))
		require.NoError(t, err)
		require.EqualValues(t, 3*want, counts.Skipped)
	}
	require.Zero(t, g.requests[http.MethodHead], "the folder is asked what is there")
}

func TestWhatIsNotTakenIsReported(t *testing.T) {
	g := newRig(t, func(g *rig) { g.opt.MaxObject = 10 })
	dir := files(t, map[string]string{"a b.ts": "1", "ü": "2", "1/2/3/4/5/6/7/8/9/10/11/x": "3", "large": strings.Repeat("x", 11), "good": "4"})
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	counts, err := g.copy(g.folder(dir), g.container("", Login{}))
	require.ErrorIs(t, err, ErrLeftOut)
	require.EqualValues(t, 1, counts.Copied)
	require.EqualValues(t, 5, counts.LeftOut)
	require.Contains(t, g.left["a b.ts"], "letters, digits")
	require.Contains(t, g.left["ü"], "letters, digits")
	require.Contains(t, g.left["1/2/3/4/5/6/7/8/9/10/11/x"], "at most 10 folders")
	require.Contains(t, g.left["large"], "413")
	require.Contains(t, g.left["link"], "not a regular file")

	g.put("/"+AttributesFile, "{}")
	_, err = g.copy(g.container("", Login{}), g.folder(t.TempDir()))
	require.ErrorIs(t, err, ErrLeftOut)
	require.Contains(t, g.left[AttributesFile], "kept for the copy's own files")
}

func TestListsOfManyPagesAreReadToTheirEnd(t *testing.T) {
	g := newRig(t)
	many := map[string]string{}
	for i := range 1100 {
		many[fmt.Sprintf("f%d/s%05d.ts", i/1050, i)] = "x"
	}
	_, err := g.copy(g.folder(files(t, many)), g.container("", Login{}))
	require.NoError(t, err)
	counts, err := g.copy(g.container("", Login{}), g.folder(t.TempDir()))
	require.NoError(t, err)
	require.EqualValues(t, len(many), counts.Copied)
}

type keys map[string]sigv4.Key

func (k keys) Key(id string) (sigv4.Key, bool) { key, ok := k[id]; return key, ok }

func TestEachLoginIsSent(t *testing.T) {
	verifier := sigv4.Verifier{Services: []string{"mediastore"}, Region: "eu-west-1", Keys: keys{"AKIDEXAMPLE": {Principal: "copier", Secret: "secret"}}}
	for name, c := range map[string]struct {
		login  Login
		access func(*http.Request) error
	}{
		"basic": {Login{User: "u", Password: "p"}, func(r *http.Request) error {
			if u, p, _ := r.BasicAuth(); u != "u" || p != "p" {
				return errDenied
			}
			return nil
		}},
		"bearer": {Login{Token: "t"}, func(r *http.Request) error {
			if r.Header.Get("Authorization") != "Bearer t" {
				return errDenied
			}
			return nil
		}},
		"signature": {Login{Key: aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, Region: "eu-west-1"}, func(r *http.Request) error {
			_, err := verifier.Verify(r, "", time.Now())
			if err != nil {
				return fmt.Errorf("%w: %w", errDenied, err)
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, func(g *rig) { g.access = c.access })
			in := g.folder(files(t, map[string]string{"a/b=c:d.ts": "1", "e": ""}))
			_, err := g.copy(in, g.container("/x", c.login))
			require.NoError(t, err, g.left)
			_, err = g.copy(g.container("/x", c.login), g.folder(t.TempDir()))
			require.NoError(t, err, g.left)
			_, err = g.copy(in, g.container("/x", Login{}))
			require.ErrorIs(t, err, ErrLeftOut)
			require.Contains(t, g.left["e"], "AccessDenied")
		})
	}
}

// slow is a place with one object that does not end.
type slow struct {
	*Folder
	ended context.CancelCauseFunc
}

func (s slow) Open(ctx context.Context, path string) (*Object, error) {
	o, err := s.Folder.Open(ctx, path)
	if err == nil {
		o.Size = -1
		o.Body = io.NopCloser(io.MultiReader(o.Body, until{ctx, s.ended}))
	}
	return o, err
}

// until is a body that has the run ended and gives nothing more.
type until struct {
	ctx   context.Context
	ended context.CancelCauseFunc
}

func (u until) Read([]byte) (int, error) {
	u.ended(errors.New("told to stop"))
	<-u.ctx.Done()
	return 0, u.ctx.Err()
}

func TestARunThatIsEndedLeavesNothingHalf(t *testing.T) {
	g := newRig(t)
	in := files(t, map[string]string{"a.ts": "half", "b.ts": "half"})
	out := t.TempDir()
	for name, to := range map[string]Place{"folder": g.folder(out), "container": g.container("", Login{})} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			counts, err := g.copyIn(ctx, slow{g.folder(in), cancel}, to)
			require.ErrorContains(t, err, "told to stop")
			require.Zero(t, counts.Copied+counts.LeftOut)
			require.Empty(t, g.left)
		})
	}
	require.Empty(t, read(t, out))
	resp, _ := g.get("/a.ts")
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
}

func TestAServerThatStoresOtherBytesIsFoundOut(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"ContentSHA256":"00"}`)
	}))
	defer srv.Close()
	g := &rig{t: t, left: map[string]string{}, url: srv.URL + "/containers/c"}
	c := g.container("", Login{})
	err := c.Write(t.Context(), &Object{Entry: Entry{Path: "a", Size: 1}, Body: io.NopCloser(strings.NewReader("x"))})
	require.ErrorContains(t, err, "other bytes")
}

func TestAddressesOfContainers(t *testing.T) {
	for address, want := range map[string][3]string{
		"http://127.0.0.1:8080/containers/blogdemo":                    {"http://127.0.0.1:8080/containers/blogdemo", "", "us-east-1"},
		"http://127.0.0.1:8080/containers/blogdemo/a/b/":               {"http://127.0.0.1:8080/containers/blogdemo", "a/b", "us-east-1"},
		"https://abc.data.mediastore.eu-west-1.example.com":            {"https://abc.data.mediastore.eu-west-1.example.com", "", "eu-west-1"},
		"https://abc.data.mediastore.eu-west-1.example.com/containers": {"https://abc.data.mediastore.eu-west-1.example.com", "containers", "eu-west-1"},
	} {
		c, err := NewContainer(address, Login{}, time.Now)
		require.NoError(t, err)
		require.Equal(t, want, [3]string{c.base, c.folder, c.region}, address)
	}
	for _, bad := range []string{"", "blogdemo", "ftp://h/containers/a", "http://h/", "http://h/containers/", "http://u:p@h/containers/a", "http://h/containers/a/b c"} {
		_, err := NewContainer(bad, Login{}, time.Now)
		require.Error(t, err, bad)
	}
	for _, bad := range []string{"s3://", "s3:///prefix"} {
		_, err := NewBucket(bad, BucketOptions{})
		require.Error(t, err, bad)
	}
}
