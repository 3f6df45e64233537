//go:build e2e

package e2e

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// setUpBlogdemo makes a container with two statements, who reads and who writes, and lets pages of all origins read.
const setUpBlogdemo = `
import boto3, json, sys
c = boto3.client("mediastore", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="AKIATEST", aws_secret_access_key="not-for-others")
arn = c.create_container(ContainerName="blogdemo")["Container"]["ARN"]
https = {"aws:SecureTransport": "true"}
c.put_container_policy(ContainerName="blogdemo", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Sid": "EdgeReads", "Effect": "Allow", "Principal": "*", "Action": ["mediastore:GetObject", "mediastore:DescribeObject"],
     "Resource": arn + "/*", "Condition": {"StringEquals": {"aws:UserAgent": sys.argv[2]}, "Bool": https}},
    {"Sid": "EncoderWrites", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/encoder"},
     "Action": ["mediastore:PutObject", "mediastore:DeleteObject"], "Resource": arn + "/*", "Condition": {"Bool": https}}]}))
c.put_cors_policy(ContainerName="blogdemo", CorsPolicy=[
    {"AllowedOrigins": ["*"], "AllowedMethods": ["GET", "HEAD"], "AllowedHeaders": ["*"], "MaxAgeSeconds": 3000}])
`

// TestALiveStreamGoesThroughAContainerBehindACDN is what people used MediaStore for: an encoder writes playlists and segments, a
// CDN that alone knows the secret reads them for everybody. What ends TLS for both is a trusted proxy.
func TestALiveStreamGoesThroughAContainerBehindACDN(t *testing.T) {
	s := serve(t, "trusted_proxies: [127.0.0.1]\n"+storeConfig)
	out, err := exec.CommandContext(t.Context(), python(), "-c", setUpBlogdemo, s.adminURL(""), cdnSecret).CombinedOutput()
	require.NoError(t, err, string(out))
	origin := "http://" + s.host() + "/containers/blogdemo/"
	cdn := varnishThat(t, s, ` set bereq.http.X-Forwarded-Proto = "https";`) + "/containers/blogdemo/"

	require.Equal(t, http.StatusNotFound, first(get(t, cdn+"live.m3u8", "an eager viewer")), "nothing is there yet")
	args := append([]string{"-hide_banner", "-loglevel", "warning"}, source(true)...)
	args = append(args, strings.Fields(encoder+" -f hls -hls_time 2 -hls_list_size 4 -hls_flags delete_segments -method PUT")...)
	args = append(args, "-headers", "Cache-Control: max-age=1\r\nX-Forwarded-Proto: https\r\n",
		strings.Replace(origin, "http://", "http://encoder:pw@", 1)+"live.m3u8")
	launch(t, "encoder", nil, "ffmpeg", args...)
	require.Eventually(t, func() bool {
		return first(get(t, origin+"live.m3u8", cdnSecret, "X-Forwarded-Proto", "https")) == http.StatusOK
	},
		15*time.Second, 50*time.Millisecond, "the encoder's playlist is there")
	require.Eventually(t, func() bool { return first(get(t, cdn+"live.m3u8", "a viewer")) == http.StatusOK },
		2*time.Second, 50*time.Millisecond, "a 404 is forgotten within 2 s")

	t.Run("without the secret or HTTPS the origin answers 403", func(t *testing.T) {
		require.Equal(t, http.StatusForbidden, first(get(t, origin+"live.m3u8", "Mozilla/5.0", "X-Forwarded-Proto", "https")))
		require.Equal(t, http.StatusForbidden, first(get(t, origin+"live.m3u8", cdnSecret)))
		require.Equal(t, http.StatusForbidden, first(get(t, origin+"none.ts", "Mozilla/5.0", "X-Forwarded-Proto", "https")))
	})
	t.Run("a page of another origin plays through the CDN", func(t *testing.T) {
		time.Sleep(4 * time.Second)
		const watched = 8 * time.Second
		for _, r := range play(t, watched, job{Name: "hls.js", Player: "hlsjs", URL: cdn + "live.m3u8"}) {
			require.Greater(t, r.PlayedSeconds, 5.0, "%+v", r)
		}
	})
}
