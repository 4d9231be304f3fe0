package deploymenttest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/deployment"
)

func from(version int64) deployment.Write { return deployment.Write{By: "tester", IfVersion: &version} }

func appConditions(s *subject) {
	wrong := func(version int64) {
		s.Helper()
		a := shop()
		a.Endpoint = "https://other.example.run.app"
		if _, err := s.PutApp(s.Context(), a, from(version)); !errors.Is(err, deployment.ErrConflict) {
			s.Errorf("PutApp from version %d: got %v, want ErrConflict", version, err)
		}
		if err := s.DeleteApp(s.Context(), "shop", from(version), published); !errors.Is(err, deployment.ErrConflict) {
			s.Errorf("DeleteApp from version %d: got %v, want ErrConflict", version, err)
		}
	}
	wrong(1)
	for version := range int64(3) {
		if _, err := s.PutApp(s.Context(), shop(), from(version)); err != nil {
			s.Fatalf("PutApp from version %d: %v", version, err)
		}
		wrong(version)
		wrong(version + 2)
	}
	if got, err := s.App(s.Context(), "shop"); err != nil || got.Version != 3 || got.Endpoint != shop().Endpoint {
		s.Errorf("stored is %+v, %v", got, err)
	}
	if err := s.DeleteApp(s.Context(), "shop", from(3), published); err != nil {
		s.Fatal(err)
	}
	wrong(3)
	wrong(4) // the deletion has a version and leaves none
	if _, err := s.PutApp(s.Context(), shop(), from(0)); err != nil {
		s.Errorf("PutApp after the deletion: %v", err)
	}
	if changes, err := s.AppHistory(s.Context(), "shop", 50); err != nil || len(changes) != 5 {
		s.Errorf("%d changes, %v, want 5: what was refused changes nothing", len(changes), err)
	}
}

func appRace(s *subject) {
	for version := range int64(10) {
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := s.PutApp(s.Context(), shop(), from(version))
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, deployment.ErrConflict) {
					s.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			s.Fatalf("%d writers won from version %d", won.Load(), version)
		}
	}
}

func historyRecords(s *subject) {
	if changes, err := s.AppHistory(s.Context(), "shop", 10); err != nil || len(changes) != 0 {
		s.Errorf("before there was one: %v, %v", changes, err)
	}
	first, second := s.put(shop()), s.put(full())
	gone := published.Add(time.Hour)
	if err := s.DeleteApp(s.Context(), "shop", deployment.Write{By: "another"}, gone); err != nil {
		s.Fatal(err)
	}
	other := shop()
	other.Name = "shops"
	s.put(other)
	want := []deployment.Change{
		{Version: 3, At: gone, By: "another"},
		{Version: 2, At: published, By: "tester", App: &second},
		{Version: 1, At: published, By: "tester", App: &first},
	}
	for limit := 1; limit <= 4; limit++ {
		got, err := s.AppHistory(s.Context(), "shop", limit)
		if diff := cmp.Diff(want[:min(limit, 3)], got); diff != "" || err != nil {
			s.Errorf("limit %d: %v (-want +got):\n%s", limit, err, diff)
		}
	}
}

func historyBounded(s *subject) {
	const more = deployment.HistoryLength + 7
	for range more {
		s.put(shop())
	}
	got, err := s.AppHistory(s.Context(), "shop", 10*deployment.HistoryLength)
	if err != nil || len(got) < deployment.HistoryLength {
		s.Fatalf("%d changes, %v", len(got), err)
	}
	if len(got) > deployment.HistoryLength {
		s.Errorf("keeps %d changes, want %d", len(got), deployment.HistoryLength)
	}
	for i, c := range got {
		if c.Version != int64(more-i) {
			s.Fatalf("entry %d is version %d", i, c.Version)
		}
	}
}

func historyPurge(s *subject) {
	for _, name := range []string{"alive", "gone", "back"} {
		a := shop()
		a.Name = name
		s.put(a)
		if name == "alive" {
			continue
		}
		if err := s.DeleteApp(s.Context(), name, deployment.Write{}, published.Add(time.Minute)); err != nil {
			s.Fatal(err)
		}
		if name == "back" {
			s.put(a)
		}
	}
	count := func(name string) int {
		changes, err := s.AppHistory(s.Context(), name, 50)
		if err != nil {
			s.Fatal(err)
		}
		return len(changes)
	}
	for _, step := range []struct {
		before time.Time
		want   int
	}{{published.Add(time.Minute), 0}, {published.Add(time.Hour), 2}, {published.Add(time.Hour), 0}} {
		if n, err := s.PurgeHistory(s.Context(), step.before); err != nil || n != step.want {
			s.Errorf("PurgeHistory before %v: %d, %v, want %d", step.before, n, err, step.want)
		}
	}
	if got := fmt.Sprint(count("alive"), count("gone"), count("back")); got != "1 0 3" {
		s.Errorf("changes left: %s, want 1 0 3", got)
	}
}

func watchHears(s *subject) {
	heard := make(chan deployment.Hint, 100)
	end := s.Watch(func(h deployment.Hint) { heard <- h })
	want := func(h deployment.Hint) {
		s.Helper()
		for {
			select {
			case got := <-heard:
				if got == h {
					return
				}
			case <-time.After(20 * time.Second):
				s.Fatalf("waited in vain for %+v", h)
			}
		}
	}
	s.put(shop())
	want(deployment.Hint{App: "shop"})
	if err := s.DeleteApp(s.Context(), "shop", deployment.Write{}, published); err != nil {
		s.Fatal(err)
	}
	want(deployment.Hint{App: "shop"})
	s.mustPut(route("sbx-a", 1))
	want(deployment.Hint{Preview: "sbx-a"})
	s.mustWithdraw("sbx-a", 1)
	want(deployment.Hint{Preview: "sbx-a"})
	end()
	for len(heard) > 0 {
		<-heard
	}
	s.put(shop())
	if len(heard) > 0 {
		s.Errorf("heard %+v after the end", <-heard)
	}
}
