package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/sandbox"
)

// BenchmarkPublishToReady measures what the platform adds to a preview. A static app is asked for over HTTP and waited
// for until its preview answers through the router; beside it, in turns, sandboxd is run by hand on the same files until
// it answers. added-ms-p50 is the difference of the medians.
func BenchmarkPublishToReady(b *testing.B) {
	w := start(b, config(b))
	var platform, byHand []time.Duration
	n := 0
	for b.Loop() {
		n++
		platform = append(platform, platformOnce(b, w, n))
		byHand = append(byHand, byHandOnce(b))
	}
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
	b.ReportMetric(ms(p50(platform)), "platform-ms-p50")
	b.ReportMetric(ms(p50(byHand)), "by-hand-ms-p50")
	b.ReportMetric(ms(p50(platform)-p50(byHand)), "added-ms-p50")
}

func platformOnce(b *testing.B, w *world, n int) time.Duration {
	b.Helper()
	began := time.Now()
	s := w.run(b, static(fmt.Sprintf("bench-%d-%d", n, began.UnixNano())))
	if s.State != client.Ready {
		b.Fatalf("%s: %s", s.State, s.Reason)
	}
	if code, _, _ := w.get(b, s.PreviewURL, "/"); code != http.StatusOK {
		b.Fatalf("preview: %d", code)
	}
	took := time.Since(began)
	w.end(b, s.ID)
	return took
}

func byHandOnce(b *testing.B) time.Duration {
	b.Helper()
	program := testenv.Program(b, "sandboxd", "")
	dir := b.TempDir()
	task := sandbox.GuestTask{
		Task: sandbox.Task{
			Ref:          sandbox.Ref{ID: sandbox.IDFor(dir), Fence: 1},
			Spec:         sandbox.Spec{ProjectName: "demo", StaticDir: ".", Source: sandbox.Source{Files: []sandbox.File{{Path: "index.html", Data: []byte("<h1>demo</h1>")}}}},
			ControlToken: sandbox.NewControlToken(), Deadline: time.Now().Add(time.Minute),
		},
		Dir: dir, StatusFile: filepath.Join(dir, "status.json"), Listen: "127.0.0.1:0", BaseEnv: map[string]string{"PATH": os.Getenv("PATH")},
	}
	body, err := json.Marshal(task)
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	file := filepath.Join(dir, "task.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.CommandContext(within(b), program, "build", "--task", file).CombinedOutput(); err != nil {
		b.Fatalf("build by hand: %v\n%s", err, out)
	}
	serve := exec.CommandContext(within(b), program, "serve", "--task", file)
	if err := serve.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = serve.Process.Signal(os.Interrupt)
		_ = serve.Wait() // ended by us
	}()
	endpoint := answering(b, task.StatusFile)
	resp, err := http.Get("http://" + endpoint + "/")
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	return time.Since(began)
}

// answering waits for the address of a preview in a status file.
func answering(b *testing.B, file string) string {
	b.Helper()
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		var status sandbox.GuestStatus
		if body, err := os.ReadFile(file); err == nil && json.Unmarshal(body, &status) == nil &&
			status.Phase == sandbox.PhaseServe && status.Progress == sandbox.Done {
			return status.Endpoint
		}
		time.Sleep(time.Millisecond)
	}
	b.Fatal("sandboxd by hand does not answer")
	return ""
}

func p50(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
