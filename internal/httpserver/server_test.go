package httpserver_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/httpserver"
)

func start(t *testing.T, h http.HandlerFunc) (*httpserver.Server, string, <-chan error) {
	t.Helper()
	ln, err := httpserver.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httpserver.New(ln, h, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Stop(ctx)
	})
	return s, "http://" + s.Addr(), done
}

func TestStopLetsARunningAnswerFinish(t *testing.T) {
	t.Parallel()
	entered, finish := make(chan struct{}), make(chan struct{})
	s, url, done := start(t, func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-finish
		io.WriteString(w, "whole answer")
	})
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get(url)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-entered
	s.OnStop(func() { close(finish) }) // proves that Stop has begun before the answer ends
	if err := s.Stop(t.Context()); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	if got := <-answer; got != "whole answer" {
		t.Errorf("answer = %q, want the whole one", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve returned %v after Stop, want nil", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("second Stop: %v", err)
	}
}

// TestStopWaitsForWhatSaysGoodbye: a connection that was taken over is no request any more, and who ends it must have the time for it.
func TestStopWaitsForWhatSaysGoodbye(t *testing.T) {
	t.Parallel()
	taken := make(chan context.Context, 1)
	s, url, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		taken <- r.Context()
		<-r.Context().Done()
	})
	go http.Get(url)
	request := <-taken
	said := false
	s.OnStop(func() {
		select {
		case <-request.Done():
			t.Error("the context of the request ended before the goodbye")
		case <-time.After(100 * time.Millisecond):
		}
		said = true
	})
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !said {
		t.Error("Stop did not wait")
	}
	<-request.Done()
}

// TestStopWaitsNoLongerThanItMay: for a goodbye without an end as well.
func TestStopWaitsNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	s, _, done := start(t, func(http.ResponseWriter, *http.Request) {})
	block := make(chan struct{})
	defer close(block)
	begun := make(chan struct{})
	s.OnStop(func() { close(begun); <-block })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if err := s.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop: %v, want the end of its context", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

func TestStopCutsWhatOutlivesTheDeadline(t *testing.T) {
	t.Parallel()
	entered, cancelled := make(chan struct{}), make(chan struct{})
	s, url, _ := start(t, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(cancelled)
	})
	go func() {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
		}
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stop = %v, want the deadline", err)
	}
	<-cancelled
}

func TestListenSaysThatTheAddressIsTaken(t *testing.T) {
	t.Parallel()
	s, _, _ := start(t, func(http.ResponseWriter, *http.Request) {})
	_, err := httpserver.Listen(t.Context(), s.Addr())
	if !errors.Is(err, httpserver.ErrAddressTaken) || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("Listen = %v, want ErrAddressTaken naming %s", err, s.Addr())
	}
}

func TestCheckLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:8787": true, "127.9.9.9:0": true, "[::1]:80": true, "localhost:8787": true,
		":8787": false, "0.0.0.0:8787": false, "[::]:8787": false, "192.168.1.4:80": false, "example.com:80": false, "8787": false, "": false,
	} {
		if got := httpserver.CheckLoopback(address) == nil; got != want {
			t.Errorf("CheckLoopback(%q) ok = %v, want %v", address, got, want)
		}
	}
}
