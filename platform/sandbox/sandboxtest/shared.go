package sandboxtest

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"vibesdk-gcp/platform/sandbox"
)

// logsInPages reads the log of a build that has ended, and of a preview that runs, page by page.
func logsInPages(t *testing.T, s *runtimeSuite) {
	task := NewTask("pages", 1, "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; "+Page)
	must(t, s.Build(t.Context(), task))
	Built(t, s, task.Ref)
	whole := Log(t, s, task.Ref, sandbox.PhaseBuild, 0)
	if strings.Count(whole, "] line ") != 500 || !strings.HasSuffix(whole, "\n") || !strings.Contains(whole, "built in") {
		t.Errorf("the log of a finished build is not whole: %d bytes, %d lines, ends in %q", len(whole), strings.Count(whole, "\n"), whole[max(0, len(whole)-80):])
	}
	if paged := s.pages(t, task.Ref, sandbox.PhaseBuild, int64(len(whole))); paged != whole {
		t.Errorf("the pages of the build's log are %d bytes, the whole is %d", len(paged), len(whole))
	}
	must(t, s.Serve(t.Context(), task))
	Serving(t, s, task.Ref)
	Printed(t, s, task.Ref, sandbox.PhaseServe, `the preview answers`)
	live := Log(t, s, task.Ref, sandbox.PhaseServe, 0)
	if paged := s.pages(t, task.Ref, sandbox.PhaseServe, int64(len(live))); paged != live {
		t.Errorf("the pages of the preview's log are %q, the whole is %q", paged, live)
	}
	must(t, s.Delete(t.Context(), task.Ref))
}

// pages reads a log up to a size in small pages.
func (s *runtimeSuite) pages(t *testing.T, ref sandbox.Ref, phase sandbox.Phase, size int64) string {
	t.Helper()
	var all strings.Builder
	for page := max(size/7, 1); int64(all.Len()) < size; {
		r, err := s.Logs(t.Context(), ref, phase, int64(all.Len()))
		must(t, err)
		_, err = io.CopyN(&all, r, min(page, size-int64(all.Len())))
		r.Close()
		must(t, err)
	}
	return all.String()
}

// twoDrivers lets two drivers over the same sandboxes do the same at the same time, and each see what the other did.
func twoDrivers(t *testing.T, s *runtimeSuite) {
	if s.features.Second == nil {
		t.Skip("there is one owner")
	}
	other := s.features.Second(t)
	both := []sandbox.RuntimeDriver{s, other}
	task := NewTask("two", 1, "echo counted $((20+1)); "+Page)
	at20 := func(call func(sandbox.RuntimeDriver) error) {
		t.Helper()
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				if err := call(both[i%2]); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	at20(func(d sandbox.RuntimeDriver) error { return d.Build(t.Context(), task) })
	Built(t, other, task.Ref)
	at20(func(d sandbox.RuntimeDriver) error { return d.Build(t.Context(), task) })
	if n := strings.Count(Log(t, other, task.Ref, sandbox.PhaseBuild, 0), "counted 21"); n != 1 {
		t.Errorf("the build ran %d times", n)
	}
	at20(func(d sandbox.RuntimeDriver) error { return d.Serve(t.Context(), task) })
	if mine, theirs := Serving(t, s, task.Ref), Serving(t, other, task.Ref); mine != theirs {
		t.Errorf("one sees %+v, the other %+v", mine, theirs)
	}
	at20(func(d sandbox.RuntimeDriver) error { return d.Delete(t.Context(), task.Ref) })
	for _, d := range both {
		(&runtimeSuite{d, s.features}).allGone(t, task.Ref)
		wantErr(t, d.Build(t.Context(), task), sandbox.ErrGone)
		wantErr(t, d.Serve(t.Context(), task), sandbox.ErrGone)
	}
	// One builds while the other deletes. Whichever is first, nothing is left.
	for range 5 {
		task.Fence++
		var group sync.WaitGroup
		group.Go(func() {
			if err := s.Build(t.Context(), task); err != nil && !errors.Is(err, sandbox.ErrGone) {
				t.Error(err)
			}
		})
		group.Go(func() {
			if err := other.Delete(t.Context(), task.Ref); err != nil {
				t.Error(err)
			}
		})
		group.Wait()
		s.allGone(t, task.Ref)
	}
}
