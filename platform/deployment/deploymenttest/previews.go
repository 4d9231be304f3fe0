package deploymenttest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/deployment"
)

func mustPut(t *testing.T, d deployment.Driver, p deployment.Preview) {
	t.Helper()
	if err := d.PutPreview(t.Context(), p); err != nil {
		t.Fatalf("PutPreview fence %d: %v", p.Fence, err)
	}
}

func mustWithdraw(t *testing.T, d deployment.Driver, id string, fence int64) {
	t.Helper()
	if err := d.WithdrawPreview(t.Context(), id, fence); err != nil {
		t.Fatalf("WithdrawPreview fence %d: %v", fence, err)
	}
}

func wantStale(t *testing.T, d deployment.Driver, p deployment.Preview) {
	t.Helper()
	if err := d.PutPreview(t.Context(), p); !errors.Is(err, deployment.ErrStale) {
		t.Errorf("PutPreview fence %d: got %v, want ErrStale", p.Fence, err)
	}
}

func wantPreview(t *testing.T, d deployment.Driver, want deployment.Preview) {
	t.Helper()
	got, err := d.Preview(t.Context(), want.SandboxID)
	if err != nil {
		t.Fatalf("Preview: %v, want fence %d", err, want.Fence)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Preview (-want +got):\n%s", diff)
	}
}

func wantNone(t *testing.T, d deployment.Driver, id string) {
	t.Helper()
	if p, err := d.Preview(t.Context(), id); !errors.Is(err, deployment.ErrNotFound) {
		t.Errorf("Preview: got fence %d and %v, want ErrNotFound", p.Fence, err)
	}
}

func previewRoundTrip(t *testing.T, d deployment.Driver) {
	wantNone(t, d, "sbx-a")
	mustPut(t, d, route("sbx-a", 1))
	wantPreview(t, d, route("sbx-a", 1))
	for _, id := range []string{"SBX-A", "sbx-b", "sbx-", "", "sbx-%", "sbx_a"} {
		wantNone(t, d, id)
	}
}

func previewTwice(t *testing.T, d deployment.Driver) {
	mustPut(t, d, route("sbx-a", 3))
	again := route("sbx-a", 3)
	again.PublishedAt = published.Add(time.Hour)
	mustPut(t, d, again)
	wantPreview(t, d, route("sbx-a", 3)) // first published when it was first published
}

func previewFences(t *testing.T, d deployment.Driver) {
	mustPut(t, d, route("sbx-a", 2))
	newer := deployment.Preview{SandboxID: "sbx-a", Token: tokenB, Fence: 5, Endpoint: "https://new.example.run.app", PublishedAt: published.Add(time.Minute)}
	mustPut(t, d, newer)
	wantStale(t, d, route("sbx-a", 2))
	wantStale(t, d, route("sbx-a", 4))
	wantPreview(t, d, newer)
}

func previewToken(t *testing.T, d deployment.Driver) {
	mustPut(t, d, route("sbx-a", 2))
	other := route("sbx-a", 2)
	other.Token = tokenB
	wantStale(t, d, other)
	wantPreview(t, d, route("sbx-a", 2))
}

func previewMoves(t *testing.T, d deployment.Driver) {
	mustPut(t, d, route("sbx-a", 2))
	moved := route("sbx-a", 2)
	moved.Endpoint = "127.0.0.1:4999"
	mustPut(t, d, moved)
	wantPreview(t, d, moved)
}

func previewConcurrent(t *testing.T, d deployment.Driver) {
	const fences = 40
	order := rand.Perm(fences)
	var wg sync.WaitGroup
	for _, i := range order {
		wg.Go(func() {
			p := route("sbx-a", int64(i+1))
			p.Endpoint = fmt.Sprintf("127.0.0.1:%d", 4001+i)
			if err := d.PutPreview(t.Context(), p); err != nil && !errors.Is(err, deployment.ErrStale) {
				t.Errorf("fence %d: %v", p.Fence, err)
			}
		})
	}
	wg.Wait()
	want := route("sbx-a", fences)
	want.Endpoint = "127.0.0.1:4040"
	wantPreview(t, d, want)
}

func withdrawUpTo(t *testing.T, d deployment.Driver) {
	for _, fence := range []int64{3, 7} {
		id := fmt.Sprintf("sbx-%d", fence)
		mustPut(t, d, route(id, 3))
		mustWithdraw(t, d, id, fence)
		wantNone(t, d, id)
		mustWithdraw(t, d, id, fence)
		wantNone(t, d, id)
	}
}

func withdrawLeavesNewer(t *testing.T, d deployment.Driver) {
	mustPut(t, d, route("sbx-a", 3))
	mustWithdraw(t, d, "sbx-a", 2)
	wantPreview(t, d, route("sbx-a", 3))
	wantStale(t, d, route("sbx-a", 2))
	mustWithdraw(t, d, "sbx-a", 3)
	wantNone(t, d, "sbx-a")
}

func withdrawAbsent(t *testing.T, d deployment.Driver) {
	mustWithdraw(t, d, "sbx-a", 4)
	wantNone(t, d, "sbx-a")
	wantStale(t, d, route("sbx-a", 4)) // the publication that the withdrawal overtook
	mustPut(t, d, route("sbx-a", 5))
}

func withdrawForEver(t *testing.T, d deployment.Driver) {
	mustPut(t, d, route("sbx-a", 3))
	mustWithdraw(t, d, "sbx-a", 3)
	for fence := int64(1); fence <= 3; fence++ {
		wantStale(t, d, route("sbx-a", fence))
	}
	mustWithdraw(t, d, "sbx-a", 1) // an old message: it must not lower what is withdrawn
	wantStale(t, d, route("sbx-a", 2))
	mustPut(t, d, route("sbx-a", 4))
	wantStale(t, d, route("sbx-a", 3))
	wantPreview(t, d, route("sbx-a", 4))
}

// withdrawConcurrent publishes and withdraws the same fences at once. Whatever the interleaving, a fence that
// was withdrawn is not published at the end.
func withdrawConcurrent(t *testing.T, d deployment.Driver) {
	const last = 20
	var wg sync.WaitGroup
	for _, i := range rand.Perm(last) {
		fence := int64(i + 1)
		wg.Go(func() {
			if err := d.PutPreview(t.Context(), route("sbx-a", fence)); err != nil && !errors.Is(err, deployment.ErrStale) {
				t.Errorf("put %d: %v", fence, err)
			}
		})
		wg.Go(func() {
			if err := d.WithdrawPreview(t.Context(), "sbx-a", fence); err != nil {
				t.Errorf("withdraw %d: %v", fence, err)
			}
		})
	}
	wg.Wait()
	wantNone(t, d, "sbx-a")
	wantStale(t, d, route("sbx-a", last))
}

func purge(t *testing.T, d deployment.Driver) {
	mustWithdraw(t, d, "sbx-gone", 1)
	mustPut(t, d, route("sbx-again", 1))
	mustWithdraw(t, d, "sbx-again", 1)
	mustPut(t, d, route("sbx-again", 2))
	mustPut(t, d, route("sbx-live", 1))

	for _, step := range []struct {
		before time.Time
		want   int
	}{
		{time.Unix(1, 0), 0},
		{time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), 1}, // only sbx-gone has nothing but a withdrawal
		{time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), 0},
	} {
		got, err := d.PurgeWithdrawn(t.Context(), step.before)
		if err != nil {
			t.Fatal(err)
		}
		if got != step.want {
			t.Errorf("PurgeWithdrawn before %v: got %d, want %d", step.before, got, step.want)
		}
	}
	wantPreview(t, d, route("sbx-again", 2))
	wantPreview(t, d, route("sbx-live", 1))
	wantStale(t, d, route("sbx-again", 1))
	mustPut(t, d, route("sbx-gone", 1))
}

func longest(t *testing.T, d deployment.Driver) {
	p := route("s"+strings.Repeat("-x", (deployment.MaxSandboxID-1)/2)+"y", math.MaxInt64)
	p.Endpoint = "https://" + strings.Repeat("a", deployment.MaxEndpoint-len("https://"))
	mustPut(t, d, p)
	wantPreview(t, d, p)
	mustWithdraw(t, d, p.SandboxID, math.MaxInt64)
	wantStale(t, d, p)

	a := shop()
	a.Name = strings.Repeat("a", deployment.MaxAppName)
	a.Endpoint = p.Endpoint
	if _, err := d.PutApp(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if got, err := d.App(t.Context(), a.Name); err != nil || got.Endpoint != a.Endpoint {
		t.Errorf("App: %v, endpoint of %d bytes", err, len(got.Endpoint))
	}
}

func endedContext(t *testing.T, d deployment.Driver) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.PutPreview(ctx, route("sbx-a", 1)); err == nil || errors.Is(err, deployment.ErrStale) {
		t.Errorf("PutPreview: got %v", err)
	}
	if _, err := d.Preview(ctx, "sbx-a"); err == nil || errors.Is(err, deployment.ErrNotFound) {
		t.Errorf("Preview: got %v", err)
	}
	if _, err := d.PutApp(ctx, shop()); err == nil {
		t.Error("PutApp: got nil")
	}
	wantNone(t, d, "sbx-a")
}
