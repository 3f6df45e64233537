//go:build e2e

package transfer

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
)

// s3Server is the S3 store that buckets are tested with: a program, run on files.
const s3Server = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// newBucket runs a store and returns a way to its one bucket and what its files are.
func newBucket(t *testing.T) (open func(address string) *Bucket, dir string) {
	t.Helper()
	bin := t.TempDir()
	install := exec.CommandContext(t.Context(), "go", "install", s3Server)
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	install.Dir = bin // outside of this module
	out, err := install.CombinedOutput()
	require.NoError(t, err, string(out))

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	dir = t.TempDir()
	cmd := exec.Command(filepath.Join(bin, "versitygw"), "--access", "id", "--secret", "secret", "--port", addr, "--quiet",
		"posix", "--sidecar", t.TempDir(), dir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 20*time.Second, 50*time.Millisecond)

	open = func(address string) *Bucket {
		b, err := NewBucket(address, BucketOptions{Endpoint: "http://" + addr, Region: "us-east-1", PathStyle: true,
			Key: aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}})
		require.NoError(t, err)
		return b
	}
	_, err = open("s3://media").client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("media")})
	require.NoError(t, err)
	return open, dir
}

func TestAContainerGoesThroughABucketIntoAnother(t *testing.T) {
	open, dir := newBucket(t)
	g := newRig(t)
	g.put("/live/index.m3u8", "#EXTM3U", "Content-Type", "application/x-mpegURL", "Cache-Control", "max-age=2")
	g.put("/live/a/seg=1:2.ts", "segment", "Content-Type", "video/mp2t")
	g.put("/empty", "")
	counts, err := g.copy(g.container("", Login{}), open("s3://media/backup"))
	require.NoError(t, err, g.left)
	require.EqualValues(t, 3, counts.Copied)
	require.FileExists(t, filepath.Join(dir, "media", "backup", "live", "index.m3u8"))
	counts, err = g.copy(g.container("", Login{}), open("s3://media/backup/"))
	require.NoError(t, err, g.left)
	require.EqualValues(t, 3, counts.Skipped)

	h := newRig(t)
	counts, err = h.copy(open("s3://media/backup"), h.container("/restored", Login{}))
	require.NoError(t, err, h.left)
	require.EqualValues(t, 3, counts.Copied)
	resp, body := h.get("/restored/live/index.m3u8")
	require.Equal(t, "#EXTM3U", body)
	require.Equal(t, "application/x-mpegURL", resp.Header.Get("Content-Type"))
	require.Equal(t, "max-age=2", resp.Header.Get("Cache-Control"))
	_, body = h.get("/restored/live/a/seg=1:2.ts")
	require.Equal(t, "segment", body)
	counts, err = h.copy(open("s3://media/backup"), h.container("/restored", Login{}))
	require.NoError(t, err, h.left)
	require.EqualValues(t, 3, counts.Skipped)
}

func TestKeysThatAContainerDoesNotTakeAreReported(t *testing.T) {
	open, _ := newBucket(t)
	b := open("s3://media")
	for _, key := range []string{"good", "with space", "folder/"} {
		_, err := b.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("media"), Key: aws.String(key)})
		require.NoError(t, err)
	}
	g := newRig(t)
	counts, err := g.copy(b, g.container("", Login{}))
	require.ErrorIs(t, err, ErrLeftOut)
	require.Equal(t, Counts{Copied: 1, LeftOut: 1}, counts)
	require.Contains(t, g.left["with space"], "letters, digits")

	_, err = g.copy(open("s3://nowhere"), g.container("", Login{}))
	require.ErrorIs(t, err, ErrLeftOut)
	require.Contains(t, g.left[""], "NoSuchBucket")
}
