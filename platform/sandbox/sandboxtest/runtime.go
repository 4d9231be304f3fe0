package sandboxtest

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	// Second returns another driver over the sandboxes of the one that newDriver made for the same test, as another process has it.
	// Nil skips the cases that need it: there is one owner.
	Second func(t *testing.T) sandbox.RuntimeDriver
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
		{"LogsInPagesAfterTheEnd", logsInPages},
		{"TwoDriversAreOneRuntime", twoDrivers},
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
