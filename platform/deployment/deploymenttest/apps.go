package deploymenttest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/deployment"
)

func shop() deployment.App {
	return deployment.App{
		Name: "shop", Place: deployment.Place{Target: deployment.TargetCloudRun, Endpoint: "https://shop.example.run.app"},
		Visibility: deployment.Public, UpdatedAt: published,
	}
}

// full is an app with all there is.
func full() deployment.App {
	a := shop()
	a.Audience, a.Visibility, a.Owner, a.SandboxID = "https://shop.example.run.app", deployment.Private, "user 42 ünï", "sbx-a"
	a.Rollout = &deployment.Rollout{
		Place:  deployment.Place{Target: deployment.TargetCloudRun, Endpoint: "https://next.example.run.app", Audience: "next"},
		Weight: 30,
	}
	return a
}

func (s *subject) put(a deployment.App) deployment.App {
	s.Helper()
	stored, err := s.PutApp(s.Context(), a, deployment.Write{By: "tester"})
	if err != nil {
		s.Fatal(err)
	}
	return stored
}

func appRoundTrip(s *subject) {
	if _, err := s.App(s.Context(), "shop"); !errors.Is(err, deployment.ErrNotFound) {
		s.Fatalf("App before Put: got %v, want ErrNotFound", err)
	}
	for version, put := range []deployment.App{shop(), full(), shop()} {
		want := put
		want.Version = int64(version + 1)
		if diff := cmp.Diff(want, s.put(put)); diff != "" {
			s.Errorf("PutApp returned (-want +got):\n%s", diff)
		}
		read, err := s.App(s.Context(), "shop")
		if err != nil {
			s.Fatal(err)
		}
		if diff := cmp.Diff(want, read); diff != "" {
			s.Errorf("App returned (-want +got):\n%s", diff)
		}
		list, err := s.Apps(s.Context(), "", 10)
		if diff := cmp.Diff([]deployment.App{want}, list); diff != "" || err != nil {
			s.Errorf("Apps returned %v (-want +got):\n%s", err, diff)
		}
	}
}

func appVersions(s *subject) {
	for want := int64(1); want <= 5; want++ {
		a := shop()
		a.Version = 99 // what the caller believes must not matter
		a.Endpoint = fmt.Sprintf("127.0.0.1:%d", 4000+want)
		if got := s.put(a); got.Version != want || got.Endpoint != a.Endpoint {
			s.Fatalf("put %d: got version %d at %s", want, got.Version, got.Endpoint)
		}
	}
}

func appConcurrent(s *subject) {
	const writers, puts = 8, 10
	var mu sync.Mutex
	seen := map[int64]int{}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range puts {
				a, err := s.PutApp(s.Context(), shop(), deployment.Write{})
				if err != nil {
					s.Error(err)
					return
				}
				mu.Lock()
				seen[a.Version]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for v := int64(1); v <= writers*puts; v++ {
		if seen[v] != 1 {
			s.Errorf("version %d was given %d times", v, seen[v])
		}
	}
}

func appDelete(s *subject) {
	if err := s.DeleteApp(s.Context(), "shop", deployment.Write{}, published); !errors.Is(err, deployment.ErrNotFound) {
		s.Errorf("DeleteApp of none: got %v, want ErrNotFound", err)
	}
	s.put(shop())
	if err := s.DeleteApp(s.Context(), "shop", deployment.Write{}, published); err != nil {
		s.Fatal(err)
	}
	if _, err := s.App(s.Context(), "shop"); !errors.Is(err, deployment.ErrNotFound) {
		s.Errorf("App after delete: got %v, want ErrNotFound", err)
	}
	if got := s.put(shop()); got.Version != 3 {
		s.Errorf("put after a delete: version %d, want 3", got.Version)
	}
}

func appExact(s *subject) {
	s.put(shop())
	for _, name := range []string{"SHOP", "shop ", "sho", "shop%", "sh_p", "", "shop\x00", "' OR '1'='1"} {
		if a, err := s.App(s.Context(), name); err == nil {
			s.Errorf("App(%q) = %q", name, a.Name)
		}
	}
}

func appPages(s *subject) {
	// A locale would sort "a-b" after "aa"; bytes do not.
	want := []string{"a", "a-b", "a1", "aa", "b-2", "b1", "b2"}
	for _, i := range []int{3, 0, 6, 1, 5, 2, 4} {
		a := shop()
		a.Name = want[i]
		s.put(a)
	}
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page, err := s.Apps(s.Context(), after, 3)
		if err != nil {
			s.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		if len(page) > 3 {
			s.Fatalf("page of %d, limit 3", len(page))
		}
		for _, a := range page {
			got = append(got, a.Name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("names (-want +got):\n%s", diff)
	}
}
