package redislimit_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/internal/checkup"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit/redislimit"
)

// TestCheck sets up a server in all the wrong ways.
func TestCheck(t *testing.T) {
	t.Parallel()
	server := testenv.NewRedisServer(t)
	o, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	admin := redis.NewClient(o)
	defer admin.Close()
	b, err := redislimit.Open(server.URL(), redislimit.Options{Timeout: time.Minute, DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	set := func(name, value string) {
		t.Helper()
		if err := admin.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	want := func(want ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		found := b.Check(ctx)
		if len(found) != len(want) {
			t.Fatalf("%d findings, want %q: %+v", len(found), want, found)
		}
		for i, f := range found {
			status, text, _ := strings.Cut(want[i], ": ")
			if string(f.Status) != status || !strings.Contains(f.Detail, text) || (f.Fix == "") != (f.Status == checkup.OK) {
				t.Errorf("%+v, want %s", f, want[i])
			}
		}
	}
	// What a full server evicts is tried out with a limit that is never reached: a server that is full takes no settings.
	set("maxmemory", "0")
	set("maxmemory-policy", "noeviction")
	want("warn: has no maxmemory")
	set("maxmemory", "1gb")
	want("ok: has room")
	set("maxmemory-policy", "allkeys-lru")
	want("fail: its maxmemory-policy is allkeys-lru")
	set("maxmemory-policy", "noeviction")
	for n := range 64 { // in pieces, for the server keeps what a client sent in buffers of its size
		if err := admin.Set(t.Context(), fmt.Sprint("ballast", n), strings.Repeat("x", 1<<20), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	said, err := admin.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, said, _ = strings.Cut(said, "used_memory:")
	said, _, _ = strings.Cut(said, "\r\n")
	used, err := strconv.Atoi(said)
	if err != nil {
		t.Fatal(err)
	}
	set("maxmemory", fmt.Sprint(used/87*100)) // what clients and buffers need changes by less
	want("warn: bytes are used")
	set("maxmemory", fmt.Sprint(used/10*9))
	want("fail: bytes are used")
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	want("fail: does not answer")
}
