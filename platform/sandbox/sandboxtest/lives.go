package sandboxtest

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

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
