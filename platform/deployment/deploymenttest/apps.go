package deploymenttest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/deployment"
)

func shop() deployment.App {
	return deployment.App{Name: "shop", Target: deployment.TargetCloudRun, Endpoint: "https://shop.example.run.app", UpdatedAt: published}
}

func appRoundTrip(t *testing.T, d deployment.Driver) {
	if _, err := d.App(t.Context(), "shop"); !errors.Is(err, deployment.ErrNotFound) {
		t.Fatalf("App before Put: got %v, want ErrNotFound", err)
	}
	want := shop()
	want.Version = 1
	stored, err := d.PutApp(t.Context(), shop())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("PutApp returned (-want +got):\n%s", diff)
	}
	read, err := d.App(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("App returned (-want +got):\n%s", diff)
	}
}

func appVersions(t *testing.T, d deployment.Driver) {
	for want := int64(1); want <= 5; want++ {
		a := shop()
		a.Version = 99 // what the caller believes must not matter
		a.Endpoint = fmt.Sprintf("127.0.0.1:%d", 4000+want)
		got, err := d.PutApp(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if got.Version != want || got.Endpoint != a.Endpoint {
			t.Fatalf("put %d: got version %d at %s", want, got.Version, got.Endpoint)
		}
	}
}

func appConcurrent(t *testing.T, d deployment.Driver) {
	const writers, puts = 8, 10
	var mu sync.Mutex
	seen := map[int64]int{}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range puts {
				a, err := d.PutApp(t.Context(), shop())
				if err != nil {
					t.Error(err)
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
			t.Errorf("version %d was given %d times", v, seen[v])
		}
	}
}

func appDelete(t *testing.T, d deployment.Driver) {
	if err := d.DeleteApp(t.Context(), "shop"); !errors.Is(err, deployment.ErrNotFound) {
		t.Errorf("DeleteApp of none: got %v, want ErrNotFound", err)
	}
	if _, err := d.PutApp(t.Context(), shop()); err != nil {
		t.Fatal(err)
	}
	if err := d.DeleteApp(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.App(t.Context(), "shop"); !errors.Is(err, deployment.ErrNotFound) {
		t.Errorf("App after delete: got %v, want ErrNotFound", err)
	}
}

func appExact(t *testing.T, d deployment.Driver) {
	if _, err := d.PutApp(t.Context(), shop()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SHOP", "shop ", "sho", "shop%", "sh_p", "", "shop\x00", "' OR '1'='1"} {
		if a, err := d.App(t.Context(), name); err == nil {
			t.Errorf("App(%q) = %q", name, a.Name)
		}
	}
}

func appPages(t *testing.T, d deployment.Driver) {
	// A locale would sort "a-b" after "aa"; bytes do not.
	want := []string{"a", "a-b", "a1", "aa", "b-2", "b1", "b2"}
	for _, i := range []int{3, 0, 6, 1, 5, 2, 4} {
		a := shop()
		a.Name = want[i]
		if _, err := d.PutApp(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page, err := d.Apps(t.Context(), after, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		if len(page) > 3 {
			t.Fatalf("page of %d, limit 3", len(page))
		}
		for _, a := range page {
			got = append(got, a.Name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
