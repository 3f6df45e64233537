package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The import policy. It states which package may know which; it is not edited to make a build pass. An unlisted package
// or an unlisted dependency fails.
//
// A name ending in "/..." stands for a package and everything below it.
var (
	// internalImports lists, for each package of the module, what else of the module its product code may import.
	internalImports = map[string][]string{
		"auth":         {},
		"auth/iprange": {"auth"},
		"auth/policy":  {"auth"},
		"auth/sigv4":   {"auth"},

		"storage":             {},
		"storage/fs":          {"storage"},
		"storage/mem":         {"storage"},
		"storage/storagetest": {"storage"},

		"packager":        {"packager/media"},
		"packager/media":  {},
		"packager/cmaf":   {"packager/media"},
		"packager/hls":    {"packager", "packager/media", "packager/cmaf"},
		"packager/dash":   {"packager", "packager/media", "packager/cmaf"},
		"packager/smooth": {"packager", "packager/media", "packager/cmaf"},
		"packager/mpegts": {"packager", "packager/media", "packager/cmaf"},

		"origin":                 {"origin/...", "auth/...", "storage", "packager", "packager/media"},
		"origin/container":       {"storage"},
		"origin/inflight":        {"storage"},
		"origin/objects":         {"origin/container", "origin/inflight", "origin/reply", "storage"},
		"origin/control":         {"origin/container", "origin/reply", "auth/...", "storage"},
		"origin/reply":           {"origin/channel", "origin/timeline", "origin/ingest/demux", "auth", "storage", "packager"},
		"origin/metrics":         {"origin/channel", "storage"},
		"origin/channel":         {"auth/...", "storage", "packager", "packager/media"},
		"origin/timeline":        {"origin/channel", "storage", "packager", "packager/media", "packager/cmaf"},
		"origin/ingest/demux":    {"packager/media", "packager/cmaf"},
		"origin/ingest/manifest": {"packager/media"},
		"origin/ingest": {"origin/ingest/demux", "origin/ingest/manifest", "origin/channel", "origin/timeline",
			"origin/reply", "origin/access", "origin/metrics", "storage", "packager/media", "packager/cmaf"},
		"origin/playback": {"origin/channel", "origin/timeline", "origin/reply", "origin/access", "origin/metrics",
			"storage", "packager/..."},
		"origin/access":  {"origin/channel", "origin/reply", "auth/..."},
		"origin/console": {"origin/channel", "origin/timeline", "origin/reply", "origin/metrics", "packager/media"},

		"cmd/headwater":          {"cmd/headwater/demo", "cmd/headwater/transfer", "origin/...", "packager/...", "storage/...", "auth/..."},
		"cmd/headwater/demo":     {"packager/media", "packager/cmaf"},
		"cmd/headwater/transfer": {"origin/container"},
		"cmd/headwater/e2e":      {},
	}

	// externalImports lists, for each library, the packages whose product code may import it.
	externalImports = map[string][]string{
		"github.com/alecthomas/kong":           {"cmd/headwater"},
		"github.com/aws/aws-sdk-go-v2":         {"cmd/headwater", "cmd/headwater/transfer"},
		"go.yaml.in/yaml/v3":                   {"cmd/headwater"},
		"github.com/grafov/m3u8":               {"packager/hls", "origin/ingest/manifest"},
		"github.com/Eyevinn/dash-mpd":          {"packager/dash", "origin/ingest/manifest"},
		"github.com/Eyevinn/mp4ff":             {"packager/...", "origin/ingest/...", "cmd/headwater/demo"},
		"github.com/asticode/go-astits":        {"origin/ingest/demux"},
		"github.com/bluenviron/mediacommon/v2": {"packager/...", "origin/ingest/demux", "cmd/headwater/demo"},
		"go.etcd.io/bbolt":                     {"storage/fs"},
		"github.com/go-chi/chi/v5":             {"origin/..."},
		"github.com/rs/cors":                   {"origin/..."},
		"github.com/felixge/httpsnoop":         {"origin/..."},
		"github.com/prometheus/client_golang":  {"origin/...", "cmd/headwater"},
		"golang.org/x/crypto":                  {"auth/...", "cmd/headwater"},
		"golang.org/x/sync":                    {"origin/...", "packager/...", "storage/...", "cmd/headwater/..."},
		"golang.org/x/sys":                     {"storage/fs", "cmd/headwater"},
		"golang.org/x/time":                    {"origin/..."},
		"github.com/stretchr/testify":          {"storage/storagetest"},
	}

	// testOnly lists what tests of any package may import beyond what its product code may.
	testOnly = []string{
		"github.com/stretchr/testify", "go.uber.org/goleak", "pgregory.net/rapid", "github.com/Eyevinn/hls-m3u8",
		"github.com/Eyevinn/mp4ff", "github.com/Eyevinn/dash-mpd", "github.com/asticode/go-astits",
		"github.com/bluenviron/mediacommon/v2", "github.com/prometheus/client_golang", "github.com/aws/aws-sdk-go-v2",
	}

	// testInternal lists what tests of a package may import of the module beyond what its product code may. Tests of
	// origin and of cmd meet the real engines and formats.
	testInternal = map[string][]string{
		"storage/fs":             {"storage/storagetest"},
		"storage/mem":            {"storage/storagetest"},
		"storage":                {"storage/..."},
		"packager":               {"packager/..."},
		"origin":                 {"origin/...", "storage/...", "packager/..."},
		"origin/channel":         {"storage/mem", "storage/fs"},
		"origin/container":       {"storage/mem"},
		"origin/inflight":        {"storage/mem", "storage/fs"},
		"origin/objects":         {"storage/mem", "storage/fs"},
		"origin/control":         {"storage/mem", "storage/fs"},
		"origin/timeline":        {"storage/mem", "storage/fs"},
		"origin/ingest":          {"storage/mem", "storage/fs"},
		"origin/playback":        {"storage/mem", "storage/fs"},
		"origin/console":         {"storage/mem"},
		"cmd/headwater/transfer": {"origin/...", "storage", "storage/mem", "auth/sigv4"},
		"cmd/headwater/e2e":      {"packager/media", "origin/timeline", "storage", "storage/fs"}, // fills a past for the bench
	}
)

const module = "headwater"

// listed is what the go command tells about a package.
type listed struct {
	ImportPath   string
	Name         string
	Dir          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// path returns the package's path in the module; "" for the module's root.
func (p listed) path() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// list asks the go command for every package of the module, with the files behind build tags.
func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-tags", "e2e,conformance,bench", "-json", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var all []listed
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
	require.NotEmpty(t, all)
	return all
}

// matches reports whether one of patterns names path.
func matches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		stem, tree := strings.CutSuffix(p, "/...")
		return path == stem || tree && strings.HasPrefix(path, stem+"/")
	})
}

// library returns the longest listed library that holds an import path.
func library(path string, names []string) (string, bool) {
	best := ""
	for _, n := range names {
		if (path == n || strings.HasPrefix(path, n+"/")) && len(n) > len(best) {
			best = n
		}
	}
	return best, best != ""
}

// checkImport returns what is wrong with one import of a package, or "".
func checkImport(pkg, imported string, test bool) string {
	if inside, ok := strings.CutPrefix(imported, module+"/"); ok {
		if inside == pkg || matches(internalImports[pkg], inside) || test && matches(testInternal[pkg], inside) {
			return ""
		}
		return pkg + " must not import " + inside
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return "" // standard library
	}
	if _, ok := library(imported, testOnly); test && ok {
		return ""
	}
	names := make([]string, 0, len(externalImports))
	for n := range externalImports {
		names = append(names, n)
	}
	lib, ok := library(imported, names)
	if !ok {
		return pkg + " imports " + imported + ", which is in no list of libraries"
	}
	if !matches(externalImports[lib], pkg) {
		return pkg + " must not import " + imported
	}
	return ""
}

func TestImportPolicy(t *testing.T) {
	for _, p := range list(t) {
		t.Run(p.path(), func(t *testing.T) {
			_, known := internalImports[p.path()]
			require.True(t, known, "package %s is in no line of the import policy", p.path())
			for _, i := range p.Imports {
				require.Empty(t, checkImport(p.path(), i, false))
			}
			for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
				require.Empty(t, checkImport(p.path(), i, true))
			}
		})
	}
}

func TestImportPolicyNamesTheOffence(t *testing.T) {
	for name, c := range map[string]struct{ pkg, imported, want string }{
		"a leaf imports origin":            {"storage", "headwater/origin/channel", "storage must not import origin/channel"},
		"leaves import each other":         {"packager", "headwater/storage", "packager must not import storage"},
		"a format imports its sibling":     {"packager/hls", "headwater/packager/dash", "packager/hls must not import packager/dash"},
		"playback imports ingest":          {"origin/playback", "headwater/origin/ingest", "origin/playback must not import origin/ingest"},
		"configuration leaves the command": {"origin", "go.yaml.in/yaml/v3", "origin must not import go.yaml.in/yaml/v3"},
		"the m3u8 frame spreads":           {"origin/playback", "github.com/grafov/m3u8", "origin/playback must not import github.com/grafov/m3u8"},
		"a test tool in the product":       {"origin", "pgregory.net/rapid", "origin imports pgregory.net/rapid, which is in no list of libraries"},
		"the standard library":             {"origin", "net/http", ""},
		"origin uses storage":              {"origin/timeline", "headwater/storage", ""},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, checkImport(c.pkg, c.imported, false)) })
	}
}
