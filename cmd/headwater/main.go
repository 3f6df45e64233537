// Command headwater is a live origin server: encoders push to it, CDNs pull from it.
//
// This package reads flags, environment and the configuration file, chooses the storage engine, and runs the listeners. It
// does not know how anything is received, packaged or stored.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// version is the release that this source is or leads to.
const version = "0.1.0"

// cli is the command line.
type cli struct {
	Serve   serveCmd     `cmd:"" default:"withargs" help:"Run the origin (the default)."`
	Demo    demoCmd      `cmd:"" help:"Run the origin with a synthetic encoder that pushes to it."`
	Check   checkCmd     `cmd:"" help:"Tell everything that is wrong with the configuration that serve would run with."`
	Health  healthCmd    `cmd:"" name:"healthcheck" help:"Ask the server on this machine whether it is ready."`
	Copy    containerCmd `cmd:"" name:"container" help:"Copy objects between a container of a running server and a folder or S3 bucket."`
	Version versionCmd   `cmd:"" help:"Print the version."`
}

// console is where commands write.
type console struct{ stdout, stderr io.Writer }

func main() {
	out := console{os.Stdout, os.Stderr}
	if err := execute(os.Args[1:], out, os.Exit); err != nil {
		fmt.Fprintln(out.stderr, err)
		os.Exit(1)
	}
}

// execute parses the command line and runs the command it names. exit is called after --help and for wrong flags.
func execute(args []string, out console, exit func(int)) error {
	var c cli
	parser, err := kong.New(&c, kong.Name("headwater"), kong.Exit(exit), kong.Writers(out.stdout, out.stderr), kong.Bind(out),
		kong.Description("A live origin server: encoders push to it, CDNs pull from it."), kong.ShortUsageOnError(),
		kong.PostBuild(ignoreEmpty))
	if err != nil {
		return err
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		parser.FatalIfErrorf(err)
		return nil // FatalIfErrorf has called exit
	}
	return ctx.Run()
}

// ignoreEmpty makes a parser take variables of the environment that are set to nothing as not set. Compose files and units
// pass such variables on, and nothing must not take the place of what the configuration file says.
func ignoreEmpty(k *kong.Kong) error {
	empty := func(name string) bool { v, ok := os.LookupEnv(name); return ok && v == "" }
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok {
			f.Tag.Envs = slices.DeleteFunc(f.Tag.Envs, empty)
		}
		return next(nil)
	})
}

// serveCmd is "headwater serve".
type serveCmd struct {
	flags
}

// Run serves until the process is told to stop.
func (c *serveCmd) Run(out console) error {
	return untilSignal(newServer(c.flags, out))
}

// newServer returns a server for the given flags and the process's environment.
func newServer(fl flags, out console) *server {
	return &server{
		stdout: out.stdout, stderr: out.stderr, now: time.Now, open: openOrigin,
		load: func(listening string) (*Config, error) { return loadFor(fl, os.LookupEnv, listening) },
	}
}

// collectLess has the heap grow to three times what lives in it, where GOGC does not say otherwise. What lives is small, and
// with Go's default of twice that, a tenth of a small answer's time was spent on collecting.
func collectLess() {
	const percent = 200
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// untilSignal runs a server until SIGTERM or SIGINT; a second one ends the process at once. SIGHUP reloads.
func untilSignal(s *server) error {
	collectLess()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // gives the signals back their default action
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	s.hup = hup
	return s.run(ctx)
}

// checkCmd is "headwater check". It has the flags of serve, so that it judges what serve would run with.
type checkCmd struct {
	File string `arg:"" optional:"" help:"YAML configuration file, instead of --config."`
	flags
}

// Run prints every problem of a configuration and fails, or a summary without secrets.
func (c *checkCmd) Run(out console) error {
	c.Config = cmp.Or(c.File, c.Config)
	cfg, err := load(c.flags, os.LookupEnv)
	if err != nil {
		var bad *ConfigError
		if errors.As(err, &bad) {
			return fmt.Errorf("%w\n%d problems", err, len(bad.Problems))
		}
		return err
	}
	fmt.Fprintf(out.stdout, "%s is good\n\n%s", cmp.Or(c.Config, "the configuration"), cfg.Summary())
	return nil
}

// versionCmd is "headwater version".
type versionCmd struct{}

// Run prints the version, the commit if the build knew it, and the Go release.
func (versionCmd) Run(out console) error { //nolint:unparam // kong's commands return one
	commit, goVersion := "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = " " + s.Value
			}
		}
	}
	fmt.Fprintf(out.stdout, "headwater %s%s %s\n", version, commit, goVersion)
	return nil
}
