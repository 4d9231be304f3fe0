package sandboxtest

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"vibesdk-gcp/platform/sandbox"
)

func deleteEndsBuild(t *testing.T, s *runtimeSuite) {
	task := NewTask("delete-build", 1, "sh -c 'echo child $$; sleep 1000; true' & echo shell $$; wait")
	must(t, s.Build(t.Context(), task))
	pids := s.pids(t, task.Ref, "shell", "child")
	must(t, s.Delete(t.Context(), task.Ref))
	s.allGone(t, task.Ref, pids...)
}

// deleteEndsDaemons starts processes that try to get away: into a session of their own, orphaned, with a cleared
// environment.
func deleteEndsDaemons(t *testing.T, s *runtimeSuite) {
	if !s.features.Daemons {
		t.Skip("daemons are not found here")
	}
	task := NewTask("daemons", 1, `
		(setsid sh -c 'echo session $$; sleep 1000; true' &)
		(setsid env -i PATH="$PATH" sh -c 'echo cleared $$; sleep 1000; true' &)
		(setsid sh -c '(sh -c "echo orphan \$\$; sleep 1000; true" &)' &)
		sleep 1000`)
	must(t, s.Build(t.Context(), task))
	pids := s.pids(t, task.Ref, "session", "cleared", "orphan")
	must(t, s.Delete(t.Context(), task.Ref))
	s.allGone(t, task.Ref, pids...)
}

func deleteEndsTheStubborn(t *testing.T, s *runtimeSuite) {
	task := NewTask("stubborn", 1, `trap '' TERM INT HUP; echo stubborn $$; while :; do sleep 1; done`)
	must(t, s.Build(t.Context(), task))
	pids := s.pids(t, task.Ref, "stubborn")
	must(t, s.Delete(t.Context(), task.Ref))
	s.allGone(t, task.Ref, pids...)
}

func deleteIsFenced(t *testing.T, s *runtimeSuite) {
	var tasks []sandbox.Task
	for fence := int64(1); fence <= 3; fence++ {
		task := NewTask("fenced", fence, Page)
		must(t, s.Build(t.Context(), task))
		tasks = append(tasks, task)
	}
	bystander := NewTask("bystander", 1, Page)
	must(t, s.Build(t.Context(), bystander))
	for _, task := range append(tasks, bystander) {
		Built(t, s, task.Ref)
	}
	must(t, s.Serve(t.Context(), tasks[2]))
	st := Serving(t, s, tasks[2].Ref)

	must(t, s.Delete(t.Context(), tasks[1].Ref))
	s.allGone(t, tasks[0].Ref)
	s.allGone(t, tasks[1].Ref)
	if now := Serving(t, s, tasks[2].Ref); now != st {
		t.Errorf("the newer generation went from %+v to %+v", st, now)
	}
	if code, _ := s.get(t, st.Endpoint); code != http.StatusOK {
		t.Errorf("the newer generation answers %d", code)
	}
	must(t, s.Delete(t.Context(), sandbox.Ref{ID: tasks[0].ID, Fence: 9}))
	s.allGone(t, tasks[2].Ref)
	Built(t, s, bystander.Ref)
}

func deletedStaysDeleted(t *testing.T, s *runtimeSuite) {
	task := NewTask("stays", 2, Page)
	must(t, s.Build(t.Context(), task))
	Built(t, s, task.Ref)
	must(t, s.Delete(t.Context(), task.Ref))
	older := NewTask("stays", 1, Page)
	wantErr(t, s.Build(t.Context(), task), sandbox.ErrGone)
	wantErr(t, s.Serve(t.Context(), task), sandbox.ErrGone)
	wantErr(t, s.Build(t.Context(), older), sandbox.ErrGone)
	s.allGone(t, task.Ref)
	next := NewTask("stays", 3, Page)
	must(t, s.Build(t.Context(), next))
	Built(t, s, next.Ref)
}

// deleteMeetsBuild lets both happen at once. Whichever is first, nothing is left.
func deleteMeetsBuild(t *testing.T, s *runtimeSuite) {
	for i := range 10 {
		task := NewTask(fmt.Sprint("meet-", i), 1, "sleep 1000")
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				if err := s.Build(t.Context(), task); err != nil && !errors.Is(err, sandbox.ErrGone) {
					t.Error(err)
				}
			})
			group.Go(func() {
				if err := s.Delete(t.Context(), task.Ref); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		s.allGone(t, task.Ref)
	}
}
