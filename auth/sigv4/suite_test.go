package sigv4_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth/sigv4"
)

// The unreserved characters as the suite writes them, and a session token of it.
const (
	unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	suiteToken = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/" +
		"qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0i" +
		"PPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
	emptyPath = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
	emptyURL  = "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"
)

// suite holds the cases of the AWS signing test suite (github.com/awslabs/aws-c-auth, tests/aws-signing-test-suite/v4): names,
// requests and signatures. Where the suite folds a header over lines, which HTTP has given up, its lines are values here.
var suite = []struct {
	name, target string
	headers      [][2]string // beyond Host and X-Amz-Date; all are signed
	body         string
	header       string // signature in the Authorization header; "" for none
	query        string // signature in a presigned URL; "" for none
	token        string
}{
	{name: "get-header-key-duplicate", target: "GET /", headers: [][2]string{{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}},
		header: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea", query: "3349ee0b81b4b589da0ff28a395c3591e04de515651dd74f298fa992d1507a97"},
	{name: "get-header-value-multiline", target: "GET /", headers: [][2]string{{"My-Header1", "value1"}, {"My-Header1", "  value2"}, {"My-Header1", "     value3"}},
		header: "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"},
	{name: "get-header-value-order", target: "GET /", headers: [][2]string{{"My-Header1", "value4"}, {"My-Header1", "value1"}, {"My-Header1", "value3"}, {"My-Header1", "value2"}},
		header: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01", query: "313720e71ca6202fdcfa9b20f88de01a4eb0638a83c833b1c184359a4eda864e"},
	{name: "get-header-value-trim", target: "GET /", headers: [][2]string{{"My-Header1", " value1"}, {"My-Header2", ` "a   b   c"`}},
		header: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736", query: "e7bb0fd515e125e1aec2ecc4c0c17484fb06f6846b927c35e46005dd3df3acd4"},
	{name: "get-relative-normalized", target: "GET /example/..", header: emptyPath},
	{name: "get-relative-unnormalized", target: "GET /example/..", header: "eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282"},
	{name: "get-relative-relative-normalized", target: "GET /example1/example2/../..", header: emptyPath, query: emptyURL},
	{name: "get-relative-relative-unnormalized", target: "GET /example1/example2/../..",
		header: "dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b", query: "b45db0bfd1cf15003493b733e33aa208dd981bd0e63037a6ed953f71d2118a16"},
	{name: "get-slash-dot-slash-normalized", target: "GET /./", header: emptyPath, query: emptyURL},
	{name: "get-slash-dot-slash-unnormalized", target: "GET /./", header: "68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145"},
	{name: "get-slash-normalized", target: "GET //", header: emptyPath, query: emptyURL},
	{name: "get-slash-unnormalized", target: "GET //", header: "c88bcd3d312d75078c0cd961d6deae3f4c754924b01669efcfcb439fd5e5b76e"},
	{name: "get-slash-pointless-dot-normalized", target: "GET /./example", header: "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
	{name: "get-slash-pointless-dot-unnormalized", target: "GET /./example",
		header: "beb03f223f7deae4146464f06e29eebbee9c8afbe15c290cf07aa8b119e14cff", query: "72b11f16d9530b18204bfb71f2d6ab085894c0ed8d352730a6e76234c58b5e10"},
	{name: "get-slashes-normalized", target: "GET //example//",
		header: "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84", query: "c1834e8fb0307243711f0f907f6ab7311ed300d87f13792d7ee4da89ab93e082"},
	{name: "get-slashes-unnormalized", target: "GET //example//", header: "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5"},
	{name: "get-space-normalized", target: "GET /example space/", header: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
	{name: "get-unreserved", target: "GET /" + unreserved,
		header: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f", query: "95968482db1b9e0fadef6efc1bd24689f77c77d9ef56919c96a28cc92e0d6005"},
	{name: "get-utf8", target: "GET /ሴ",
		header: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85", query: "10eae3f14a260bd3911cc6d008d3c576d143b05b62f09782a7a4b37f52178e44"},
	{name: "get-vanilla-empty-query-key", target: "GET /?Param1=value1", header: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
	{name: "get-vanilla-query-order-encoded", target: "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
		header: "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac", query: "c5f1848ceec943ac2ca68ee720460c23aaae30a2300586597ada94c4a65e4787"},
	{name: "get-vanilla-query-order-key-case", target: "GET /?Param2=value2&Param1=value1",
		header: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500", query: "86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5"},
	{name: "get-vanilla-query-unreserved", target: "GET /?" + unreserved + "=" + unreserved, header: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
	{name: "get-vanilla-utf8-query", target: "GET /?ሴ=bar",
		header: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04", query: "0bdd809b1519ac4f0c1dc3540e2cc46bd0c7f778eda408b2ebf3b913d21ff600"},
	{name: "get-vanilla-with-session-token", target: "GET /", token: "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
		headers: [][2]string{{"X-Amz-Security-Token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"}},
		header:  "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
	{name: "get-vanilla-with-session-token in the query", token: "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
		target: "GET /?X-Amz-Security-Token=6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
		query:  "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c"},
	{name: "post-header-key-sort", target: "POST /", headers: [][2]string{{"My-Header1", "value1"}}, header: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
	{name: "post-header-value-case", target: "POST /", headers: [][2]string{{"My-Header1", "VALUE1"}}, header: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
	{name: "post-sts-header-before", target: "POST /", headers: [][2]string{{"X-Amz-Security-Token", suiteToken}}, token: suiteToken,
		header: "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead", query: "aca67b49ed321f377645504bccbd5a65f9085c536ff1961bc49c835d30827b16"},
	{name: "post-vanilla", target: "POST /", header: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	{name: "post-vanilla-query", target: "POST /?Param1=value1", header: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
	{name: "post-x-www-form-urlencoded", target: "POST /", body: "Param1=value1", header: "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
		query: "c2348f57d08c84939944d6c878b3f7be56316f8e7fd6817e81eded279a362d69",
		headers: [][2]string{{"Content-Length", "13"}, {"Content-Type", "application/x-www-form-urlencoded"},
			{"X-Amz-Content-Sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"}}},
	{name: "post-x-www-form-urlencoded-parameters", target: "POST /", body: "Param1=value1",
		header: "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
		headers: [][2]string{{"Content-Length", "13"}, {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
			{"X-Amz-Content-Sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"}}},
}

// suiteRequest returns a request of the suite without a signature, and the names of its signed headers.
func suiteRequest(target string, headers [][2]string, body string) (r *http.Request, signed []string) {
	method, target, _ := strings.Cut(target, " ")
	r = &http.Request{Method: method, RequestURI: target, Host: "example.amazonaws.com", Header: http.Header{}, Body: http.NoBody}
	if body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	signed = []string{"host"}
	for _, h := range headers {
		if r.Header.Get(h[0]) == "" {
			signed = append(signed, strings.ToLower(h[0]))
		}
		if h[0] != "Content-Length" { // that one is in r.ContentLength alone, as for a request that came by HTTP/2
			r.Header.Add(h[0], h[1])
		}
	}
	return r, signed
}

func TestSigningTestSuiteInHeader(t *testing.T) {
	for _, tt := range suite {
		if tt.header == "" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			r, signed := suiteRequest(tt.target, tt.headers, tt.body)
			r.Header.Set("X-Amz-Date", "20150830T123600Z")
			signed = inOrder(append(signed, "x-amz-date"))
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="+
				strings.Join(signed, ";")+", Signature="+tt.header)
			id, err := trusting(tt.token).Verify(r, "", at("20150830T123600Z"))
			require.NoError(t, err)
			require.Equal(t, digest(tt.body), id.Digest)
		})
	}
}

func TestSigningTestSuiteInQuery(t *testing.T) {
	for _, tt := range suite {
		if tt.query == "" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			r, signed := suiteRequest(tt.target, tt.headers, tt.body)
			and := "?"
			if strings.Contains(r.RequestURI, "?") {
				and = "&"
			}
			r.RequestURI += and + "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request" +
				"&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=" + strings.Join(inOrder(signed), "%3B") + "&X-Amz-Expires=3600&X-Amz-Signature=" + tt.query
			id, err := trusting(tt.token).Verify(r, "", at("20150830T133600Z"))
			require.NoError(t, err)
			require.Equal(t, digest(tt.body), id.Digest)
		})
	}
}

// The suite's post-sts-header-after adds a header after it has signed: AWS services want every x-amz- header signed.
func TestHeaderThatIsAddedAfterSigningIsRefused(t *testing.T) {
	r, _ := suiteRequest("POST /", nil, "")
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("X-Amz-Content-Sha256", sigv4.EmptyDigest)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "+
		"Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")
	_, err := trusting("").Verify(r, "", at("20150830T123600Z"))
	refused(t, err, sigv4.ErrInvalidSignature, sigv4.ReasonNotSigned)
}
