package sandboxtest

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// patience bounds every wait of the suite. It is a limit for what hangs; no case measures time.
const patience = 2 * time.Minute

// RuntimeFeatures says what a driver's harness can do beyond the contract's minimum.
type RuntimeFeatures struct {
	// Alive reports whether a process of a sandbox lives, by the number that it knows itself by. Nil skips the cases
	// that need to look at processes.
	Alive func(pid int) bool
	// Daemons says that processes are found and ended even when they left their session and their environment.
	Daemons bool
	// Dev is a development server: a command line that answers every request on $PORT with "hello from dev", and the
	// variables it needs. Empty skips the cases that need one.
	Dev    string
	DevEnv map[string]string
}

// RunRuntime runs the contract. newDriver returns a driver without sandboxes and cleans up through t. The project's
// commands may use what POSIX has.
func RunRuntime(t *testing.T, newDriver func(t *testing.T) sandbox.RuntimeDriver, f RuntimeFeatures) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s *runtimeSuite)
	}{
		{"StaticLife", staticLife},
		{"DevLife", devLife},
		{"UnknownIsNothing", unknownIsNothing},
		{"BuildTwentyTimesIsOneBuild", buildTwentyTimes},
		{"ServeTwentyTimesIsOnePreview", serveTwentyTimes},
		{"BrokenBuildSaysWhy", brokenBuild},
		{"BrokenDevServerSaysWhy", brokenDevServer},
		{"DeadlineEndsBuild", deadlineEndsBuild},
		{"LogsStreamWhileRunning", logsStream},
		{"SecretsStayOutOfLogs", secretsStayOut},
		{"AwaitReturnsAfterChange", awaitReturns},
		{"DeleteEndsBuild", deleteEndsBuild},
		{"DeleteEndsDaemons", deleteEndsDaemons},
		{"DeleteEndsTheStubborn", deleteEndsTheStubborn},
		{"DeleteIsFenced", deleteIsFenced},
		{"DeletedStaysDeleted", deletedStaysDeleted},
		{"DeleteMeetsBuild", deleteMeetsBuild},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, &runtimeSuite{RuntimeDriver: newDriver(t), features: f})
		})
	}
}

type runtimeSuite struct {
	sandbox.RuntimeDriver
	features RuntimeFeatures
}

// NewTask returns the task of a static page built by the given commands. The build's deadline is far.
func NewTask(name string, fence int64, build string) sandbox.Task {
	return sandbox.Task{
		Ref: sandbox.Ref{ID: sandbox.IDFor(name), Fence: fence}, ControlToken: sandbox.NewControlToken(), Deadline: time.Now().Add(patience),
		Spec: sandbox.Spec{
			ProjectName: name, Build: build, StaticDir: "dist",
			Source: sandbox.Source{Files: []sandbox.File{{Path: "page.txt", Data: []byte("hello from static\n")}}},
		},
	}
}

// Page is a build command that makes the page of [NewTask].
const Page = "mkdir -p dist && cp page.txt dist/index.html"

// Until waits until the status of ref satisfies ok.
func Until(t *testing.T, d sandbox.RuntimeDriver, ref sandbox.Ref, what string, ok func(sandbox.Status) bool) sandbox.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		st, err := d.Inspect(ctx, ref)
		must(t, err)
		if ok(st) {
			return st
		}
		if ctx.Err() != nil {
			t.Fatalf("%s is not %s: %+v", ref, what, st)
		}
		must(t, d.Await(ctx, ref, st))
	}
}

// Built waits until the build of ref has succeeded.
func Built(t *testing.T, d sandbox.RuntimeDriver, ref sandbox.Ref) sandbox.Status {
	t.Helper()
	st := Until(t, d, ref, "built", func(st sandbox.Status) bool { return st.Build == sandbox.Done || st.Build == sandbox.Broken })
	if st.Build != sandbox.Done {
		t.Fatalf("%s: build is broken: %s\n%s", ref, st.Reason, st.LogTail)
	}
	return st
}

// Serving waits until the preview of ref answers.
func Serving(t *testing.T, d sandbox.RuntimeDriver, ref sandbox.Ref) sandbox.Status {
	t.Helper()
	st := Until(t, d, ref, "serving", func(st sandbox.Status) bool { return st.Serve == sandbox.Done || st.Serve == sandbox.Broken })
	if st.Serve != sandbox.Done {
		t.Fatalf("%s: preview is broken: %s\n%s", ref, st.Reason, st.LogTail)
	}
	return st
}

// Log reads what the phase printed so far.
func Log(t *testing.T, d sandbox.RuntimeDriver, ref sandbox.Ref, phase sandbox.Phase, offset int64) string {
	t.Helper()
	r, err := d.Logs(t.Context(), ref, phase, offset)
	must(t, err)
	defer r.Close()
	body, err := io.ReadAll(r)
	must(t, err)
	return string(body)
}

// Printed waits until the phase has printed something that matches, and returns the first submatch.
func Printed(t *testing.T, d sandbox.RuntimeDriver, ref sandbox.Ref, phase sandbox.Phase, pattern string) string {
	t.Helper()
	expr, begin := regexp.MustCompile(pattern), time.Now()
	for {
		text := Log(t, d, ref, phase, 0)
		if m := expr.FindStringSubmatch(text); m != nil {
			return m[len(m)-1]
		}
		if time.Since(begin) > patience {
			t.Fatalf("%s has not printed %s:\n%s", phase, pattern, text)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (s *runtimeSuite) get(t *testing.T, endpoint string) (int, string) {
	t.Helper()
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint, nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(body)
}

func (s *runtimeSuite) listed(t *testing.T, ref sandbox.Ref) bool {
	t.Helper()
	refs, err := s.List(t.Context())
	must(t, err)
	return slices.Contains(refs, ref)
}

// pids waits until the build has printed each name with the number of a process, as `name 123`.
func (s *runtimeSuite) pids(t *testing.T, ref sandbox.Ref, names ...string) []int {
	t.Helper()
	if s.features.Alive == nil {
		t.Skip("processes cannot be seen from here")
	}
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(Printed(t, s, ref, sandbox.PhaseBuild, `\] `+name+` (\d+)\n`))
		must(t, err)
		if !s.features.Alive(pid) {
			t.Fatalf("%s is not alive: the case tells nothing", name)
		}
		pids = append(pids, pid)
	}
	return pids
}

func (s *runtimeSuite) allGone(t *testing.T, ref sandbox.Ref, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if s.features.Alive(pid) {
			t.Errorf("process %d lives on", pid)
		}
	}
	if st, err := s.Inspect(t.Context(), ref); err != nil || st != (sandbox.Status{}) {
		t.Errorf("after delete: %+v, %v", st, err)
	}
	if s.listed(t, ref) {
		t.Error("still listed after delete")
	}
	_, err := s.Logs(t.Context(), ref, sandbox.PhaseBuild, 0)
	wantErr(t, err, sandbox.ErrNotFound)
}

func staticLife(t *testing.T, s *runtimeSuite) {
	task := NewTask("static-life", 1, Page)
	must(t, s.Build(t.Context(), task))
	if !s.listed(t, task.Ref) {
		t.Error("not listed after Build returned")
	}
	if st, err := s.Inspect(t.Context(), task.Ref); err != nil || st.Build == sandbox.Absent {
		t.Errorf("after Build returned: %+v, %v", st, err)
	}
	if st := Built(t, s, task.Ref); st != (sandbox.Status{Build: sandbox.Done}) {
		t.Errorf("built = %+v", st)
	}
	must(t, s.Serve(t.Context(), task))
	st := Serving(t, s, task.Ref)
	if want := (sandbox.Status{Build: sandbox.Done, Serve: sandbox.Done, Endpoint: st.Endpoint}); st != want || st.Endpoint == "" {
		t.Errorf("serving = %+v", st)
	}
	if code, body := s.get(t, st.Endpoint); code != http.StatusOK || body != "hello from static\n" {
		t.Errorf("preview answers %d %q", code, body)
	}
	must(t, s.Delete(t.Context(), task.Ref))
	s.allGone(t, task.Ref)
	if code, body := s.get(t, st.Endpoint); code == http.StatusOK {
		t.Errorf("preview still answers %q", body)
	}
	must(t, s.Delete(t.Context(), task.Ref))
}

func devLife(t *testing.T, s *runtimeSuite) {
	task := s.devTask(t, "dev-life")
	must(t, s.Build(t.Context(), task))
	Built(t, s, task.Ref)
	must(t, s.Serve(t.Context(), task))
	st := Serving(t, s, task.Ref)
	if code, body := s.get(t, st.Endpoint); code != http.StatusOK || !strings.Contains(body, "hello from dev") {
		t.Errorf("preview answers %d %q", code, body)
	}
	must(t, s.Delete(t.Context(), task.Ref))
	s.allGone(t, task.Ref)
	if code, _ := s.get(t, st.Endpoint); code == http.StatusOK {
		t.Error("preview still answers")
	}
}

func (s *runtimeSuite) devTask(t *testing.T, name string) sandbox.Task {
	t.Helper()
	if s.features.Dev == "" {
		t.Skip("the harness has no development server")
	}
	task := NewTask(name, 1, "true")
	task.Spec.StaticDir, task.Spec.Dev, task.Spec.Env = "", s.features.Dev, s.features.DevEnv
	return task
}

func unknownIsNothing(t *testing.T, s *runtimeSuite) {
	task := NewTask("unknown", 1, Page)
	st, err := s.Inspect(t.Context(), task.Ref)
	must(t, err)
	equal(t, st, sandbox.Status{})
	_, err = s.Logs(t.Context(), task.Ref, sandbox.PhaseServe, 0)
	wantErr(t, err, sandbox.ErrNotFound)
	wantErr(t, s.Serve(t.Context(), task), sandbox.ErrTransition)
	if s.listed(t, task.Ref) {
		t.Error("a Serve that was refused left something")
	}
	must(t, s.Delete(t.Context(), task.Ref))
	must(t, s.Await(t.Context(), task.Ref, sandbox.Status{Build: sandbox.Running}))
}

func buildTwentyTimes(t *testing.T, s *runtimeSuite) {
	task := NewTask("twenty", 1, "echo counted $((20+1)); "+Page)
	at20(t, func() error { return s.Build(t.Context(), task) })
	Built(t, s, task.Ref)
	at20(t, func() error { return s.Build(t.Context(), task) })
	Built(t, s, task.Ref)
	if n := strings.Count(Log(t, s, task.Ref, sandbox.PhaseBuild, 0), "counted 21"); n != 1 {
		t.Errorf("the build ran %d times", n)
	}
}

func serveTwentyTimes(t *testing.T, s *runtimeSuite) {
	task := NewTask("serve-twenty", 1, Page)
	must(t, s.Build(t.Context(), task))
	Built(t, s, task.Ref)
	at20(t, func() error { return s.Serve(t.Context(), task) })
	first := Serving(t, s, task.Ref)
	at20(t, func() error { return s.Serve(t.Context(), task) })
	if again := Serving(t, s, task.Ref); again != first {
		t.Errorf("preview went from %+v to %+v", first, again)
	}
}

func at20(t *testing.T, call func() error) {
	t.Helper()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := call(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func brokenBuild(t *testing.T, s *runtimeSuite) {
	task := NewTask("broken", 1, "echo last words $((1+1)); exit 3")
	must(t, s.Build(t.Context(), task))
	st := Until(t, s, task.Ref, "broken", func(st sandbox.Status) bool { return st.Build != sandbox.Running })
	if st.Build != sandbox.Broken || st.Interrupted || !strings.Contains(st.Reason, "status 3") || !strings.Contains(st.LogTail, "last words 2") {
		t.Errorf("broken build: %+v", st)
	}
	wantErr(t, s.Serve(t.Context(), task), sandbox.ErrTransition)
	must(t, s.Build(t.Context(), task))
	if n := strings.Count(Log(t, s, task.Ref, sandbox.PhaseBuild, 0), "last words 2"); n != 1 {
		t.Errorf("the build ran %d times", n)
	}
}

func brokenDevServer(t *testing.T, s *runtimeSuite) {
	task := NewTask("broken-dev", 1, "true")
	task.Spec.StaticDir, task.Spec.Dev = "", "nosuchserver --port $PORT"
	must(t, s.Build(t.Context(), task))
	Built(t, s, task.Ref)
	must(t, s.Serve(t.Context(), task))
	// Guests try again for a while before they give up.
	Printed(t, s, task.Ref, sandbox.PhaseServe, `nosuchserver`)
	if st := Until(t, s, task.Ref, "started", func(st sandbox.Status) bool { return st.Serve != sandbox.Absent }); st.Serve == sandbox.Done {
		t.Errorf("a server that does not exist answers: %+v", st)
	}
	must(t, s.Delete(t.Context(), task.Ref))
	s.allGone(t, task.Ref)
}

func deadlineEndsBuild(t *testing.T, s *runtimeSuite) {
	task := NewTask("deadline", 1, "echo begun; sleep 1000")
	task.Deadline = time.Now().Add(300 * time.Millisecond)
	must(t, s.Build(t.Context(), task))
	st := Until(t, s, task.Ref, "broken", func(st sandbox.Status) bool { return st.Build != sandbox.Running })
	if st.Build != sandbox.Broken || st.Interrupted || !strings.Contains(st.Reason, "timed out") {
		t.Errorf("build beyond its deadline: %+v", st)
	}
}

func logsStream(t *testing.T, s *runtimeSuite) {
	task := NewTask("stream", 1, "echo first; echo second >&2; sleep 1000")
	must(t, s.Build(t.Context(), task))
	Printed(t, s, task.Ref, sandbox.PhaseBuild, `\] first\n`)
	Printed(t, s, task.Ref, sandbox.PhaseBuild, `\] second\n`)
	if st, err := s.Inspect(t.Context(), task.Ref); err != nil || st.Build != sandbox.Running {
		t.Errorf("status = %+v, %v", st, err)
	}
	all := Log(t, s, task.Ref, sandbox.PhaseBuild, 0)
	half := int64(len(all) / 2)
	if rest := Log(t, s, task.Ref, sandbox.PhaseBuild, half); rest != all[half:] {
		t.Errorf("from offset %d of %q: %q", half, all, rest)
	}
	if beyond := Log(t, s, task.Ref, sandbox.PhaseBuild, 1<<30); beyond != "" {
		t.Errorf("beyond the end: %q", beyond)
	}
	if nothing := Log(t, s, task.Ref, sandbox.PhaseServe, 0); nothing != "" {
		t.Errorf("a phase that was not triggered printed %q", nothing)
	}
}

func secretsStayOut(t *testing.T, s *runtimeSuite) {
	const secret = "s3cr3t-v4lue"
	task := NewTask("secret", 1, `echo "it is $API_KEY"; echo "$API_KEY" >&2; exit 1`)
	task.Spec.Env = map[string]string{"API_KEY": secret}
	must(t, s.Build(t.Context(), task))
	st := Until(t, s, task.Ref, "broken", func(st sandbox.Status) bool { return st.Build == sandbox.Broken })
	text := Log(t, s, task.Ref, sandbox.PhaseBuild, 0)
	if !strings.Contains(text, "it is ") {
		t.Fatalf("the command printed nothing:\n%s", text)
	}
	for where, text := range map[string]string{"log": text, "tail": st.LogTail, "reason": st.Reason} {
		if strings.Contains(text, secret) || strings.Contains(text, task.ControlToken) {
			t.Errorf("the %s shows a secret: %s", where, text)
		}
	}
}

func awaitReturns(t *testing.T, s *runtimeSuite) {
	task := NewTask("await", 1, "echo begun; sleep 1000")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, s.Await(ctx, task.Ref, sandbox.Status{})) // the end of ctx is no error
	// Each Await below can only return because of a change: its context has no end but the test's.
	changed := func(seen sandbox.Status) <-chan error {
		done := make(chan error, 1)
		go func() { done <- s.Await(t.Context(), task.Ref, seen) }()
		return done
	}
	expect := func(done <-chan error, what string) {
		t.Helper()
		select {
		case err := <-done:
			must(t, err)
		case <-time.After(patience):
			t.Fatalf("Await missed that the sandbox was %s", what)
		}
	}
	triggered := changed(sandbox.Status{})
	must(t, s.Build(t.Context(), task))
	expect(triggered, "triggered")
	Printed(t, s, task.Ref, sandbox.PhaseBuild, `\] begun\n`)
	now, err := s.Inspect(t.Context(), task.Ref)
	must(t, err)
	deleted := changed(now)
	must(t, s.Delete(t.Context(), task.Ref))
	expect(deleted, "deleted")
}
