// Package e2e proves the whole binary with real peers: ffmpeg pushes, ffprobe, xmllint and strict parsers read, and
// Chromium plays what comes out.
//
// Its tests stand behind the build tags e2e, conformance and bench, which the Makefile's targets of the same names set.
// It holds no product code, and it knows the server only by its command line and its URLs.
package e2e
