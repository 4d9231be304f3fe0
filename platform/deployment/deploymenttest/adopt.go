package deploymenttest

import (
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/deployment"
)

// elsewhere is the history of an app of another table, the newest change first.
func elsewhere(versions ...int64) []deployment.Change {
	changes := make([]deployment.Change, len(versions))
	for i, version := range versions {
		a := full()
		a.Version, a.Rollout.Weight, a.UpdatedAt = version, int(version), published.Add(time.Duration(version)*time.Minute)
		changes[i] = deployment.Change{Version: version, At: a.UpdatedAt, By: "there", App: &a}
	}
	return changes
}

func (s *subject) adopt(name string, changes []deployment.Change, want bool) {
	s.Helper()
	if got, err := s.AdoptApp(s.Context(), name, changes); err != nil || got != want {
		s.Fatalf("AdoptApp at version %d: %t, %v; want %t", changes[0].Version, got, err, want)
	}
}

func (s *subject) wantHistory(name string, want []deployment.Change) {
	s.Helper()
	got, err := s.AppHistory(s.Context(), name, deployment.HistoryLength)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		s.Errorf("history of %s: %v (-want +got):\n%s", name, err, diff)
	}
}

func adoptGoesOn(s *subject) {
	older, newer := elsewhere(6, 5), elsewhere(8, 7, 6, 5)
	for _, changes := range [][]deployment.Change{older, newer} {
		s.adopt("shop", changes, true)
		s.adopt("shop", changes, false)
		if got, err := s.App(s.Context(), "shop"); err != nil || !got.Same(*changes[0].App) {
			s.Errorf("%+v, %v", got, err)
		}
		s.wantHistory("shop", changes)
	}
	if stored := s.put(shop()); stored.Version != 9 {
		s.Errorf("the next version is %d, want 9", stored.Version)
	}
	gone := append([]deployment.Change{{Version: 10, At: published, By: "there"}}, newer...)
	s.adopt("shop", gone, true)
	s.adopt("shop", gone, false)
	if _, err := s.App(s.Context(), "shop"); !errors.Is(err, deployment.ErrNotFound) {
		s.Errorf("an app that was deleted there: %v", err)
	}
	s.wantHistory("shop", gone)
	if stored := s.put(shop()); stored.Version != 11 {
		s.Errorf("after a deletion there the next version is %d, want 11", stored.Version)
	}
}

func adoptKeeps(s *subject) {
	s.adopt("shop", elsewhere(3, 2), true)
	now := s.put(shop())
	other := elsewhere(4, 3, 2)
	for name, changes := range map[string][]deployment.Change{
		"older": elsewhere(3, 2), "of the same version": other, "deleted at the same version": {{Version: 4, At: published, By: "there"}},
	} {
		if _, err := s.AdoptApp(s.Context(), "shop", changes); !errors.Is(err, deployment.ErrConflict) {
			s.Errorf("a copy that is %s: %v, want ErrConflict", name, err)
		}
	}
	if got, err := s.App(s.Context(), "shop"); err != nil || !got.Same(now) {
		s.Errorf("%+v, %v", got, err)
	}
	if changes, err := s.AppHistory(s.Context(), "shop", 10); err != nil || len(changes) != 3 || changes[0].By != "tester" {
		s.Errorf("history %+v, %v", changes, err)
	}
}
