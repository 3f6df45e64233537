package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthTimeout bounds one health check.
const healthTimeout = 3 * time.Second

// healthCmd is "headwater healthcheck": for containers, whose image holds no other program that could ask.
type healthCmd struct {
	Config string  `short:"c" placeholder:"FILE" env:"HEADWATER_CONFIG" help:"YAML configuration file of the server."`
	Admin  *string `placeholder:"ADDR" env:"HEADWATER_ADMIN" help:"Address of the admin listener (127.0.0.1:9090)."`
}

// admin returns the address of the admin listener. What else is in the file does not matter here: a server that runs may
// be healthy while its file is being edited.
func (c *healthCmd) admin() (string, error) {
	if c.Config == "" || c.Admin != nil {
		return first(defaultAdmin, c.Admin), nil
	}
	data, err := readBounded(c.Config, maxConfigBytes+1)
	if err != nil {
		return "", err
	}
	f, doc, problems := parseFile(data)
	if doc == nil && len(problems) > 0 {
		return "", &ConfigError{File: c.Config, Problems: problems}
	}
	return first(defaultAdmin, f.Admin), nil
}

// Run asks the server on this machine whether it is ready, and fails when it is not.
func (c *healthCmd) Run(out console) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(admin)
	if err != nil {
		return fmt.Errorf("admin address: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // listening on every address
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // the environment's proxies are not asked
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health check: %s: %s", resp.Status, strings.TrimSpace(string(said)))
	}
	fmt.Fprintln(out.stdout, strings.TrimSpace(string(said)))
	return nil
}
