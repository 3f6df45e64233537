package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The guides of size and form that the whole module keeps.
const (
	maxFileLines     = 500
	maxFuncLines     = 70
	maxParserLines   = 120
	maxInterfaceSize = 6
)

// parserPackages hold parsers of outside bytes, whose functions may be longer.
var parserPackages = []string{"origin/ingest/demux", "origin/ingest/manifest"}

// vagueNames say nothing about what a package is for.
var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base"}

// sentence matches the end of a sentence of a doc comment.
var sentence = regexp.MustCompile(`[a-zA-Z0-9)"'\]][.!](\s|$)`)

// source is one parsed file of a package.
type source struct {
	name string
	test bool
	file *ast.File
	set  *token.FileSet
}

func parse(t *testing.T, p listed) []source {
	t.Helper()
	set := token.NewFileSet()
	var all []source
	for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
		f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		all = append(all, source{name, strings.HasSuffix(name, "_test.go"), f, set})
	}
	return all
}

// lines returns how many lines a node spans.
func (s source) lines(n ast.Node) int {
	return s.set.Position(n.End()).Line - s.set.Position(n.Pos()).Line + 1
}

func TestGuides(t *testing.T) {
	for _, p := range list(t) {
		t.Run(p.path(), func(t *testing.T) {
			require.NotContains(t, vagueNames, p.Name, "a package name says what the package is for")
			require.NotContains(t, vagueNames, filepath.Base(p.path()))
			checkDoc(t, p)
			for _, s := range parse(t, p) {
				if s.test {
					checkTest(t, s)
				} else {
					checkProduct(t, p, s)
				}
			}
		})
	}
}

func checkDoc(t *testing.T, p listed) {
	t.Helper()
	var doc string
	for _, s := range parse(t, p) {
		if s.file.Doc != nil && !s.test {
			require.Empty(t, doc, "package %s has more than one doc comment", p.path())
			doc = s.file.Doc.Text()
		}
	}
	start := regexp.MustCompile("^Package " + p.Name + "\\s")
	if p.Name == "main" {
		start = regexp.MustCompile("^(Package main|Command " + filepath.Base(p.path()) + ")\\s")
	}
	require.Regexp(t, start, doc, "the doc comment of package %s begins with its name", p.path())
	require.GreaterOrEqual(t, len(sentence.FindAllString(doc, -1)), 2,
		"the doc comment of package %s says what it does and, in a sentence, what it does not", p.path())
}

func checkTest(t *testing.T, s source) {
	t.Helper()
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
			id, _ := sel.X.(*ast.Ident)
			onTest := id != nil && slices.Contains([]string{"t", "b", "f", "tb"}, id.Name)
			require.False(t, onTest && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name),
				"%s: a test is not skipped", s.set.Position(n.Pos()))
		}
		return true
	})
}

func checkProduct(t *testing.T, p listed, s source) {
	t.Helper()
	require.Less(t, s.lines(s.file), maxFileLines, "%s: the file is long", s.name)
	limit := maxFuncLines
	if slices.Contains(parserPackages, p.path()) {
		limit = maxParserLines
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			require.Less(t, s.lines(n), limit, "%s: %s is long", s.set.Position(n.Pos()), n.Name.Name)
			require.False(t, n.Recv == nil && n.Name.Name == "init", "%s: init hides what it does", s.set.Position(n.Pos()))
		case *ast.InterfaceType:
			require.LessOrEqual(t, n.Methods.NumFields(), maxInterfaceSize, "%s: the interface is wide", s.set.Position(n.Pos()))
		}
		return true
	})
}
