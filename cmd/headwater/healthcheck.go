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
	Admin string `default:"127.0.0.1:9090" placeholder:"ADDR" env:"HEADWATER_ADMIN" help:"Address of the admin listener (127.0.0.1:9090)."`
}

// Run asks the server on this machine whether it is ready, and fails when it is not.
func (c *healthCmd) Run(out console) error {
	host, port, err := net.SplitHostPort(c.Admin)
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
