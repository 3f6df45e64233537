package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"headwater/cmd/headwater/transfer"
)

// progressEvery is how often a terminal is told how far a copy is.
const progressEvery = time.Second

// containerCmd is "headwater container".
type containerCmd struct {
	Import importCmd `cmd:"" help:"Copy a folder or S3 bucket into a container."`
	Export exportCmd `cmd:"" help:"Copy a container into a folder or S3 bucket."`
}

// importCmd is "headwater container import".
type importCmd struct {
	From string `arg:"" help:"Folder, or s3://bucket/prefix."`
	To   string `arg:"" name:"container" help:"Endpoint of the container, or http://host/containers/name; a folder may follow."`
	copyFlags
}

// exportCmd is "headwater container export".
type exportCmd struct {
	From string `arg:"" name:"container" help:"Endpoint of the container, or http://host/containers/name; a folder may follow."`
	To   string `arg:"" help:"Folder, or s3://bucket/prefix."`
	copyFlags
}

// copyFlags are what both have.
type copyFlags struct {
	User      string `env:"HEADWATER_CONTAINER_USER" help:"User of the container's server."`
	Password  string `env:"HEADWATER_CONTAINER_PASSWORD" help:"Password of the user."`
	Token     string `env:"HEADWATER_CONTAINER_TOKEN" help:"Bearer token, instead of a user."`
	AccessKey string `env:"HEADWATER_CONTAINER_ACCESS_KEY_ID" help:"ID of an access key to sign with (SigV4), instead of a user."`
	SecretKey string `env:"HEADWATER_CONTAINER_SECRET_ACCESS_KEY" help:"Secret of the access key."`
	Region    string `env:"HEADWATER_CONTAINER_REGION" help:"Region to sign for (that of the endpoint's name, else us-east-1)."`

	S3Endpoint     string `name:"s3-endpoint" env:"AWS_ENDPOINT_URL_S3,AWS_ENDPOINT_URL" help:"URL of an S3 store that is not AWS's."`
	S3PathStyle    bool   `name:"s3-path-style" help:"Name the bucket in the path, not in the host."`
	S3Region       string `name:"s3-region" env:"AWS_REGION,AWS_DEFAULT_REGION" default:"us-east-1" help:"Region of the bucket."`
	S3AccessKey    string `name:"s3-access-key" env:"AWS_ACCESS_KEY_ID" help:"ID of the bucket's access key. Without one requests are not signed."`
	S3SecretKey    string `name:"s3-secret-key" env:"AWS_SECRET_ACCESS_KEY" help:"Secret of the bucket's access key."`
	S3SessionToken string `name:"s3-session-token" env:"AWS_SESSION_TOKEN" help:"Token of a temporary access key."`

	Parallel int  `default:"8" help:"Objects copied at once."`
	All      bool `help:"Copy what is there already too."`
}

// Run copies a folder or bucket into a container.
func (c *importCmd) Run(out console) error {
	to, err := c.container(c.To)
	if err != nil {
		return err
	}
	defer to.Close()
	from, closing, err := c.other(c.From, false)
	if err != nil {
		return err
	}
	return errors.Join(c.run(from, to, out), closing())
}

// Run copies a container into a folder or bucket.
func (c *exportCmd) Run(out console) error {
	from, err := c.container(c.From)
	if err != nil {
		return err
	}
	defer from.Close()
	to, closing, err := c.other(c.To, true)
	if err != nil {
		return err
	}
	return errors.Join(c.run(from, to, out), closing())
}

// container returns the container at an address.
func (c *copyFlags) container(address string) (*transfer.Container, error) {
	ways := 0
	for _, name := range []string{c.User, c.Token, c.AccessKey} {
		if name != "" {
			ways++
		}
	}
	if ways > 1 {
		return nil, errors.New("a user, a token or an access key: one of them")
	}
	return transfer.NewContainer(address, transfer.Login{User: c.User, Password: c.Password, Token: c.Token, Region: c.Region,
		Key: aws.Credentials{AccessKeyID: c.AccessKey, SecretAccessKey: c.SecretKey}}, time.Now)
}

// other returns the folder or bucket at an address, and what ends its use.
func (c *copyFlags) other(address string, create bool) (transfer.Place, func() error, error) {
	if transfer.IsBucket(address) {
		b, err := transfer.NewBucket(address, transfer.BucketOptions{Endpoint: c.S3Endpoint, Region: c.S3Region, PathStyle: c.S3PathStyle,
			Key: aws.Credentials{AccessKeyID: c.S3AccessKey, SecretAccessKey: c.S3SecretKey, SessionToken: c.S3SessionToken}})
		return b, func() error { return nil }, err
	}
	f, err := transfer.OpenFolder(address, create)
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}

// run copies until all is done or SIGTERM or SIGINT comes; a second one ends the process at once.
func (c *copyFlags) run(from, to transfer.Place, out console) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // gives the signals back their default action
	r := &transfer.Run{From: from, To: to, Parallel: c.Parallel, All: c.All, LeftOut: func(path string, err error) {
		fmt.Fprintf(out.stderr, "left out %q: %v\n", path, err)
	}}
	quiet := showProgress(out.stderr, r.Counts)
	err := r.Do(ctx)
	quiet()
	fmt.Fprintln(out.stdout, r.Counts())
	return err
}

// showProgress writes a line now and then until quiet is called, where w is a terminal.
func showProgress(w io.Writer, counts func() transfer.Counts) (quiet func()) {
	file, ok := w.(*os.File)
	if !ok {
		return func() {}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintln(file, counts())
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}
