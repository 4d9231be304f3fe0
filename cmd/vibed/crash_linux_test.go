package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/crashpoint"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
)

// visits is how often a whole life passes a crash point that it passes more than once: each time is a place of its own
// to die. The others are passed at least once.
var visits = map[string]int{
	"sandboxrunner/before-save":  5, // to building, starting, ready, stopping, deleted
	"sandboxrunner/after-save":   5,
	"processsandbox/after-task":  2, // build, preview
	"processsandbox/after-start": 2,
	// Publications, claims and settlements share transactions by chance; this many there always are.
	"sqlbus/before-commit": 6,
	"sqlbus/after-commit":  6,
}

// TestKilledAtEveryStep kills vibed with SIGKILL at every crash point that it has, in the middle of a whole life: a
// request, the same request again, its id reused for another one, the preview, the end. Restarted, it must come
// to the same end as if nothing had happened: one sandbox, never two builds at once, and nothing left behind.
func TestKilledAtEveryStep(t *testing.T) {
	if testing.Short() {
		t.Skip("builds vibed and restarts it dozens of times")
	}
	t.Parallel()
	vibed := program(t, "crashpoint")
	points := crashpoint.Names()
	if len(points) < 10 {
		t.Fatalf("only %d crash points are linked in: %q", len(points), points)
	}
	for _, point := range points {
		if isOfJobs(point) || isOfReplays(point) {
			continue // a sandbox's life does not pass it
		}
		for n := range max(visits[point], 1) {
			n++
			t.Run(fmt.Sprintf("%s:%d", point, n), func(t *testing.T) {
				t.Parallel()
				killedAt(t, vibed, fmt.Sprintf("%s:%d", point, n))
			})
		}
	}
}

func killedAt(t *testing.T, vibed, point string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := newPlatform(t, vibed, point)
	p.start(ctx)

	evidence := t.TempDir()
	request := client.RunRequest{
		RequestID: "crash", ProjectName: "crash",
		Source: client.Source{Files: []client.File{{Path: "index.html", Content: "it lives"}}},
		// The kernel gives the lock back when its holder is killed, so only a build that really runs holds it.
		BuildCommand: `exec 9>>"$EVIDENCE/lock"; flock -n 9 || touch "$EVIDENCE/two-builds"; sleep 0.1`,
		StaticDir:    ".",
		Env:          map[string]string{"EVIDENCE": evidence},
	}
	id := p.run(ctx, request)
	p.run(ctx, request)
	other := request
	other.ProjectName = "something else"
	if got := p.run(ctx, other); got != id {
		t.Errorf("the reused request id names sandbox %s, want %s", got, id)
	}

	var sb client.Sandbox
	p.try(ctx, func() (err error) { // a crash after ready gives it a new generation with a new address
		if sb, err = p.reached(ctx, id, client.Ready); err != nil {
			return err
		}
		return p.answers(ctx, sb.PreviewURL, http.StatusOK, "it lives")
	})
	if sb.ProjectName != "crash" {
		t.Errorf("project is %q: the second request with the same id changed the first", sb.ProjectName)
	}

	p.stop(ctx, id)
	p.try(ctx, func() error {
		_, err := p.reached(ctx, id, client.Deleted)
		return err
	})
	p.try(ctx, func() error { return p.answers(ctx, sb.PreviewURL, http.StatusNotFound, "") })
	p.try(ctx, func() error { return p.onlyTheReusedIDIsParked(ctx) })

	if !p.killed {
		t.Errorf("nothing passed the crash point %s", point)
	}
	if all := p.list(ctx); len(all) != 1 {
		t.Errorf("%d sandboxes, want one: %+v", len(all), all)
	}
	if _, err := os.Stat(filepath.Join(evidence, "two-builds")); err == nil {
		t.Error("two builds ran at once")
	}
	if left, err := filepath.Glob(filepath.Join(p.data, "sandboxes", "sbx-*")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	for pid, env := range environments(t) {
		if bytes.Contains(env, []byte("SANDBOX_REF="+id+"/")) && bytes.Contains(env, []byte(evidence)) {
			t.Errorf("process %s of the sandbox is left", pid)
		}
	}
	p.end()
}

// platform is a vibed that is started again whenever it was killed.
type platform struct {
	t                          *testing.T
	vibed, point, data, listen string
	env                        []string // beside what every vibed gets
	api                        *client.Client

	cmd    *exec.Cmd
	log    *logBuffer
	died   chan error
	killed bool
}

func newPlatform(t *testing.T, vibed, point string) *platform {
	t.Helper()
	listen := testenv.Address(t)
	api, err := client.New("http://"+listen, client.Options{RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, vibed: vibed, point: point, data: t.TempDir(), listen: listen, api: api, log: &logBuffer{}}
	t.Cleanup(func() {
		if p.cmd != nil {
			_ = p.cmd.Process.Kill()
			<-p.died
		}
		if t.Failed() {
			t.Logf("vibed said:\n%s", p.log)
		}
	})
	return p
}

// start starts vibed, armed the first time, and waits until it answers or dies of its crash point.
func (p *platform) start(ctx context.Context) {
	p.t.Helper()
	cmd := exec.Command(p.vibed)
	cmd.Env = append(os.Environ(), "LISTEN="+p.listen, "DATA_DIR="+p.data, "LOG_FORMAT=text", "LOG_LEVEL=debug")
	cmd.Env = append(cmd.Env, p.env...)
	if !p.killed {
		cmd.Env = append(cmd.Env, "CRASHPOINT="+p.point)
	}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.cmd, p.died = cmd, make(chan error, 1)
	go func() { p.died <- cmd.Wait() }()
	p.try(ctx, func() error {
		_, err := p.api.Sandboxes().List(ctx)
		return err
	})
}

// revive starts vibed again if it was killed.
func (p *platform) revive(ctx context.Context) {
	p.t.Helper()
	select {
	case err := <-p.died:
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || p.killed || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			p.cmd = nil
			p.t.Fatalf("vibed ended by itself: %v", err)
		}
		p.killed, p.cmd = true, nil
		p.start(ctx)
	default:
	}
}

// try repeats what fails while vibed is dead or restarting.
func (p *platform) try(ctx context.Context, do func() error) {
	p.t.Helper()
	for {
		err := do()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			p.t.Fatalf("gave up: %v", err)
		}
		p.revive(ctx)
		pause(ctx)
	}
}

func (p *platform) run(ctx context.Context, req client.RunRequest) string {
	p.t.Helper()
	var accepted client.Accepted
	p.try(ctx, func() (err error) {
		accepted, err = p.api.Sandboxes().Run(ctx, req)
		return err
	})
	return accepted.ID
}

func (p *platform) stop(ctx context.Context, id string) {
	p.t.Helper()
	p.try(ctx, func() error {
		_, err := p.api.Sandboxes().Stop(ctx, id)
		return err
	})
}

func (p *platform) list(ctx context.Context) (all []client.Sandbox) {
	p.t.Helper()
	p.try(ctx, func() (err error) {
		all, err = p.api.Sandboxes().List(ctx)
		return err
	})
	return all
}

// reached reads the sandbox and returns an error while it is in another state. It may end the test: a failed sandbox
// never becomes anything else.
func (p *platform) reached(ctx context.Context, id string, want client.State) (client.Sandbox, error) {
	sb, err := p.api.Sandboxes().Get(ctx, id)
	switch {
	case err != nil:
		return sb, err
	case sb.State == client.Failed:
		p.t.Fatalf("sandbox failed: %s\n%s", sb.Reason, sb.LogTail)
	case sb.State != want:
		return sb, fmt.Errorf("sandbox is %s (generation %d), want %s", sb.State, sb.Generation, want)
	}
	return sb, nil
}

// answers asks a preview and returns an error unless it answers as wanted.
func (p *platform) answers(ctx context.Context, url string, status int, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.listen+"/", http.NoBody)
	if err != nil {
		return err
	}
	req.Host = strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != status || !bytes.Contains(got, []byte(body)) {
		return fmt.Errorf("%s answers %d %q, want %d %q", url, res.StatusCode, got, status, body)
	}
	return nil
}

// onlyTheReusedIDIsParked returns an error until the request with the reused id is on dead-letters. A crash may
// have it published or parked more than once; nothing else may be there.
func (p *platform) onlyTheReusedIDIsParked(ctx context.Context) error {
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(p.data, "vibed.db"), sqldb.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.R.QueryContext(ctx, `SELECT reason FROM dead_letters`)
	if err != nil {
		return err
	}
	defer rows.Close()
	found := 0
	for ; rows.Next(); found++ {
		var reason string
		if err := rows.Scan(&reason); err != nil {
			return err
		}
		if !strings.Contains(reason, "was used before for another request") {
			p.t.Errorf("parked: %s", reason)
		}
	}
	if found == 0 {
		return errors.Join(errors.New("the request with the reused id is not parked"), rows.Err())
	}
	return rows.Err()
}

// end stops vibed as an operator would.
func (p *platform) end() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	err := <-p.died
	p.cmd = nil
	if err != nil {
		p.t.Errorf("vibed, told to stop: %v", err)
	}
}

// pause is the time between two looks at a fact, not a hope.
func pause(ctx context.Context) {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
	}
}

// environments reads the environment of every process of this machine that this user may see.
func environments(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, file := range files {
		if env, err := os.ReadFile(file); err == nil { // others end meanwhile
			found[filepath.Base(filepath.Dir(file))] = env
		}
	}
	return found
}

// logBuffer is a buffer for several writers.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
