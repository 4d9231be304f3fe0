package app_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
)

// onGoogleCloud is the configuration of RUNTIME_PROVIDER=gcp on this machine: the official emulators of Pub/Sub and Firestore, a real
// Redis and Postgres, and a Cloud Run that runs containers as processes.
func onGoogleCloud(t *testing.T) app.Config {
	t.Helper()
	base := config(t)
	pubsub, pubsubProject := testenv.PubSub(t)
	firestore, firestoreProject := testenv.Firestore(t)
	redisURL, _ := testenv.Redis(t)
	vars := map[string]string{
		"RUNTIME_PROVIDER": "gcp", "CLOUD_RUN": "fake", "DATABASE_URL": testenv.Postgres(t), "REDIS_URL": redisURL,
		"PUBSUB_EMULATOR_HOST": pubsub, "PUBSUB_PROJECT": pubsubProject, "PUBSUB_PREFIX": fmt.Sprintf("v%d-", time.Now().UnixNano()),
		"FIRESTORE_EMULATOR_HOST": firestore, "FIRESTORE_PROJECT": firestoreProject,
		"LISTEN": base.Listen, "DATA_DIR": base.DataDir, "SANDBOXD": base.Sandboxd, "PATH": os.Getenv("PATH"), "LIMIT_TIMEOUT": "1m",
	}
	if port := os.Getenv("RUN_GCP_LISTEN"); port != "" {
		vars["LISTEN"] = port
	}
	c, err := app.ReadConfig(environment(vars))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// phase is one step of generating an app: what the agent knows, and the files that it has written.
type phase struct {
	name, page string
}

var phases = []phase{{"blueprint", "<h1>first phase</h1>"}, {"implementation", "<h1>second phase</h1><script src=app.js></script>"}}

// TestVerificationAppIsGeneratedEndToEnd generates an app in two phases, with a restart of the whole platform between them: its state
// persists, each phase is previewed on its own address, and the previews go by themselves.
func TestVerificationAppIsGeneratedEndToEnd(t *testing.T) {
	t.Parallel()
	c := onGoogleCloud(t)
	id := fmt.Sprintf("agent-%d", time.Now().UnixNano())
	var made []client.Sandbox
	for n, p := range phases {
		w := start(t, c)
		t.Logf("phase %d, %s: vibed answers at http://%s", n+1, p.name, w.Addr())
		sessions := w.client.Sessions()
		state := map[string]any{"currentPhase": p.name, "generatedFilesMap": map[string]any{"index.html": map[string]string{"fileContents": p.page}}}
		body, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if _, err := sessions.Initialize(within(t), id, body, client.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		} else {
			before, err := sessions.Read(within(t), id, client.PartState)
			if err != nil || !strings.Contains(string(before.Data), phases[n-1].name) || before.Version != int64(n) {
				t.Fatalf("after a restart the state is %s at version %d, %v", before.Data, before.Version, err)
			}
			t.Logf("the state of phase %d is there: version %d", n, before.Version)
			if _, err := sessions.Merge(within(t), id, client.PartState, body, client.WriteOptions{IfVersion: &before.Version}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := sessions.Read(within(t), id, client.PartState)
		if err != nil {
			t.Fatal(err)
		}
		var stored struct {
			GeneratedFilesMap map[string]struct {
				FileContents string `json:"fileContents"`
			} `json:"generatedFilesMap"`
		}
		if err := json.Unmarshal(got.Data, &stored); err != nil {
			t.Fatal(err)
		}
		request := client.RunRequest{RequestID: fmt.Sprintf("%s-%d", id, n), ProjectName: "shop", StaticDir: "."}
		for path, file := range stored.GeneratedFilesMap {
			request.Source.Files = append(request.Source.Files, client.File{Path: path, Content: file.FileContents})
		}
		s := w.run(t, request)
		if s.State != client.Ready {
			t.Fatalf("phase %d: the sandbox is %s: %s\n%s", n+1, s.State, s.Reason, s.LogTail)
		}
		if code, _, page := w.get(t, s.PreviewURL, "/"); code != 200 || page != p.page {
			t.Fatalf("phase %d: the preview is %d %q", n+1, code, page)
		}
		t.Logf("the preview of phase %d is served at %s", n+1, s.PreviewURL)
		if hold := os.Getenv("RUN_GCP_HOLD"); hold != "" && n == len(phases)-1 {
			waitForInterrupt(t)
		}
		if last := w.end(t, s.ID); last.State != client.Deleted {
			t.Errorf("phase %d: after its end the sandbox is %s", n+1, last.State)
		}
		made = append(made, s)
		w.stop()
	}
	if made[0].PreviewURL == made[1].PreviewURL {
		t.Errorf("both phases were previewed at %s", made[0].PreviewURL)
	}
}

// waitForInterrupt lets a person look at what runs.
func waitForInterrupt(t *testing.T) {
	t.Helper()
	t.Log("Ctrl-C ends it")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	<-stop
}

// TestVerificationBurstIsEnforcedByRedis lets 64 clients burst through the API: exactly as many as the limit are admitted, and what
// counted them is in Redis.
func TestVerificationBurstIsEnforcedByRedis(t *testing.T) {
	t.Parallel()
	c := onGoogleCloud(t)
	l := start(t, c).client.Limits()
	who := fmt.Sprintf("user:%d", time.Now().UnixNano())
	charge := client.LimitCharge{Limit: "burst", Identifier: who, N: 1, Config: hundred}
	if yes, no := together(t, l, 5, charge); yes != 100 || no != 220 {
		t.Errorf("of 320 calls %d were admitted and %d rejected, want exactly 100 and 220", yes, no)
	}
	keysOf := func() []string {
		t.Helper()
		options, err := redis.ParseURL(c.Limit.RedisURL)
		if err != nil {
			t.Fatal(err)
		}
		rdb := redis.NewClient(options)
		defer rdb.Close()
		keys, err := rdb.Keys(within(t), "*"+who+"*").Result()
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	if len(keysOf()) == 0 {
		t.Error("Redis holds nothing of the limit")
	}
	if err := l.Reset(within(t), "burst", who); err != nil {
		t.Fatal(err)
	}
	if result, err := l.Increment(within(t), charge); err != nil || !result.Success {
		t.Errorf("after a reset: %+v, %v", result, err)
	}
}

// TestVerificationPreviewIsServedAndAutoDeleted previews an app whose time to live then ends: its address is gone, and so is all of it.
func TestVerificationPreviewIsServedAndAutoDeleted(t *testing.T) {
	t.Parallel()
	c := onGoogleCloud(t)
	w := start(t, c)
	request := static(fmt.Sprintf("short-%d", time.Now().UnixNano()))
	request.TTLSeconds = 10
	s := w.run(t, request)
	if s.State != client.Ready {
		t.Fatalf("the sandbox is %s: %s", s.State, s.Reason)
	}
	if code, header, page := w.get(t, s.PreviewURL, "/"); code != 200 || page != "<h1>demo</h1>" || header.Get("X-Preview-Type") != "sandbox" {
		t.Errorf("preview: %d %q %v", code, page, header)
	}
	if objects(t, c) == 0 {
		t.Error("nothing of a running sandbox is in the bucket")
	}
	var last client.Sandbox
	for now, err := range w.client.Sandboxes().Watch(within(t), s.ID) { // the schedule's ticks end it
		if err != nil {
			t.Fatal(err)
		}
		last = now
	}
	if last.State != client.Deleted || last.Reason == "" {
		t.Errorf("at its end it is %s: %q", last.State, last.Reason)
	}
	if code, _, _ := w.get(t, s.PreviewURL, "/"); code != 404 {
		t.Errorf("its address answers %d", code)
	}
	// What sandboxd was sending when it was told to end goes with the next sweep, which the schedule asks for every five minutes.
	for ctx := within(t); objects(t, c) > 0; {
		if _, err := w.client.Publish(ctx, "cleanup-ticks", client.Message{Data: []byte(`{"kind":"ORPHANED_SANDBOXES"}`)}); err != nil {
			t.Fatalf("%d objects are left in the bucket: %v", objects(t, c), err)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d objects are left in the bucket", objects(t, c))
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// objects counts what is in the bucket of the Cloud Run fake, but for graves, which are empty JSON objects.
func objects(t *testing.T, c app.Config) (n int) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(c.DataDir, "cloudrun"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		body, err := os.ReadFile(filepath.Join(c.DataDir, "cloudrun", entry.Name()))
		if err == nil && string(body) != "{}" { // one that went meanwhile is none
			n++
		}
	}
	return n
}
