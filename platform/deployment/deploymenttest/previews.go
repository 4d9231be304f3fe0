package deploymenttest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/deployment"
)

func (s *subject) mustPut(p deployment.Preview) {
	s.Helper()
	if err := s.PutPreview(s.Context(), p); err != nil {
		s.Fatalf("PutPreview fence %d: %v", p.Fence, err)
	}
}

func (s *subject) mustWithdraw(id string, fence int64) {
	s.Helper()
	if err := s.WithdrawPreview(s.Context(), id, fence); err != nil {
		s.Fatalf("WithdrawPreview fence %d: %v", fence, err)
	}
}

func (s *subject) wantStale(p deployment.Preview) {
	s.Helper()
	if err := s.PutPreview(s.Context(), p); !errors.Is(err, deployment.ErrStale) {
		s.Errorf("PutPreview fence %d: got %v, want ErrStale", p.Fence, err)
	}
}

func (s *subject) wantPreview(want deployment.Preview) {
	s.Helper()
	got, err := s.Preview(s.Context(), want.SandboxID)
	if err != nil {
		s.Fatalf("Preview: %v, want fence %d", err, want.Fence)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("Preview (-want +got):\n%s", diff)
	}
}

func (s *subject) wantNone(id string) {
	s.Helper()
	if p, err := s.Preview(s.Context(), id); !errors.Is(err, deployment.ErrNotFound) {
		s.Errorf("Preview: got fence %d and %v, want ErrNotFound", p.Fence, err)
	}
}

func previewRoundTrip(s *subject) {
	s.wantNone("sbx-a")
	s.mustPut(route("sbx-a", 1))
	s.wantPreview(route("sbx-a", 1))
	for _, id := range []string{"SBX-A", "sbx-b", "sbx-", "", "sbx-%", "sbx_a"} {
		s.wantNone(id)
	}
}

func previewTwice(s *subject) {
	s.mustPut(route("sbx-a", 3))
	again := route("sbx-a", 3)
	again.PublishedAt = published.Add(time.Hour)
	s.mustPut(again)
	s.wantPreview(route("sbx-a", 3)) // first published when it was first published
}

func previewFences(s *subject) {
	s.mustPut(route("sbx-a", 2))
	newer := deployment.Preview{SandboxID: "sbx-a", Token: tokenB, Fence: 5, Endpoint: "https://new.example.run.app", PublishedAt: published.Add(time.Minute)}
	s.mustPut(newer)
	s.wantStale(route("sbx-a", 2))
	s.wantStale(route("sbx-a", 4))
	s.wantPreview(newer)
}

func previewToken(s *subject) {
	s.mustPut(route("sbx-a", 2))
	other := route("sbx-a", 2)
	other.Token = tokenB
	s.wantStale(other)
	s.wantPreview(route("sbx-a", 2))
}

func previewMoves(s *subject) {
	s.mustPut(route("sbx-a", 2))
	moved := route("sbx-a", 2)
	moved.Endpoint = "127.0.0.1:4999"
	s.mustPut(moved)
	s.wantPreview(moved)
}

func previewConcurrent(s *subject) {
	const fences = 40
	order := rand.Perm(fences)
	var wg sync.WaitGroup
	for _, i := range order {
		wg.Go(func() {
			p := route("sbx-a", int64(i+1))
			p.Endpoint = fmt.Sprintf("127.0.0.1:%d", 4001+i)
			if err := s.PutPreview(s.Context(), p); err != nil && !errors.Is(err, deployment.ErrStale) {
				s.Errorf("fence %d: %v", p.Fence, err)
			}
		})
	}
	wg.Wait()
	want := route("sbx-a", fences)
	want.Endpoint = "127.0.0.1:4040"
	s.wantPreview(want)
}

func withdrawUpTo(s *subject) {
	for _, fence := range []int64{3, 7} {
		id := fmt.Sprintf("sbx-%d", fence)
		s.mustPut(route(id, 3))
		s.mustWithdraw(id, fence)
		s.wantNone(id)
		s.mustWithdraw(id, fence)
		s.wantNone(id)
	}
}

func withdrawLeavesNewer(s *subject) {
	s.mustPut(route("sbx-a", 3))
	s.mustWithdraw("sbx-a", 2)
	s.wantPreview(route("sbx-a", 3))
	s.wantStale(route("sbx-a", 2))
	s.mustWithdraw("sbx-a", 3)
	s.wantNone("sbx-a")
}

func withdrawAbsent(s *subject) {
	s.mustWithdraw("sbx-a", 4)
	s.wantNone("sbx-a")
	s.wantStale(route("sbx-a", 4)) // the publication that the withdrawal overtook
	s.mustPut(route("sbx-a", 5))
}

func withdrawForEver(s *subject) {
	s.mustPut(route("sbx-a", 3))
	s.mustWithdraw("sbx-a", 3)
	for fence := int64(1); fence <= 3; fence++ {
		s.wantStale(route("sbx-a", fence))
	}
	s.mustWithdraw("sbx-a", 1) // an old message: it must not lower what is withdrawn
	s.wantStale(route("sbx-a", 2))
	s.mustPut(route("sbx-a", 4))
	s.wantStale(route("sbx-a", 3))
	s.wantPreview(route("sbx-a", 4))
}

// withdrawConcurrent publishes and withdraws the same fences at once. Whatever the interleaving, a fence that
// was withdrawn is not published at the end.
func withdrawConcurrent(s *subject) {
	const last = 20
	var wg sync.WaitGroup
	for _, i := range rand.Perm(last) {
		fence := int64(i + 1)
		wg.Go(func() {
			if err := s.PutPreview(s.Context(), route("sbx-a", fence)); err != nil && !errors.Is(err, deployment.ErrStale) {
				s.Errorf("put %d: %v", fence, err)
			}
		})
		wg.Go(func() {
			if err := s.WithdrawPreview(s.Context(), "sbx-a", fence); err != nil {
				s.Errorf("withdraw %d: %v", fence, err)
			}
		})
	}
	wg.Wait()
	s.wantNone("sbx-a")
	s.wantStale(route("sbx-a", last))
}

func purge(s *subject) {
	s.mustWithdraw("sbx-gone", 1)
	s.mustPut(route("sbx-again", 1))
	s.mustWithdraw("sbx-again", 1)
	s.mustPut(route("sbx-again", 2))
	s.mustPut(route("sbx-live", 1))

	for _, step := range []struct {
		before time.Time
		want   int
	}{
		{time.Unix(1, 0), 0},
		{time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), 1}, // only sbx-gone has nothing but a withdrawal
		{time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), 0},
	} {
		got, err := s.PurgeWithdrawn(s.Context(), step.before)
		if err != nil {
			s.Fatal(err)
		}
		if got != step.want {
			s.Errorf("PurgeWithdrawn before %v: got %d, want %d", step.before, got, step.want)
		}
	}
	s.wantPreview(route("sbx-again", 2))
	s.wantPreview(route("sbx-live", 1))
	s.wantStale(route("sbx-again", 1))
	s.mustPut(route("sbx-gone", 1))
}

func longest(s *subject) {
	p := route("s"+strings.Repeat("-x", (deployment.MaxSandboxID-1)/2)+"y", math.MaxInt64)
	p.Endpoint = "https://" + strings.Repeat("a", deployment.MaxEndpoint-len("https://"))
	s.mustPut(p)
	s.wantPreview(p)
	s.mustWithdraw(p.SandboxID, math.MaxInt64)
	s.wantStale(p)

	a := shop()
	a.Name = strings.Repeat("a", deployment.MaxAppName)
	a.Endpoint = p.Endpoint
	a.Owner = strings.Repeat("o", deployment.MaxOwner)
	s.put(a)
	if got, err := s.App(s.Context(), a.Name); err != nil || got.Endpoint != a.Endpoint || got.Owner != a.Owner {
		s.Errorf("App: %v, endpoint of %d bytes", err, len(got.Endpoint))
	}
}

func endedContext(s *subject) {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if err := s.PutPreview(ctx, route("sbx-a", 1)); err == nil || errors.Is(err, deployment.ErrStale) {
		s.Errorf("PutPreview: got %v", err)
	}
	if _, err := s.Preview(ctx, "sbx-a"); err == nil || errors.Is(err, deployment.ErrNotFound) {
		s.Errorf("Preview: got %v", err)
	}
	if _, err := s.PutApp(ctx, shop(), deployment.Write{}); err == nil {
		s.Error("PutApp: got nil")
	}
	if _, err := s.App(s.Context(), "shop"); !errors.Is(err, deployment.ErrNotFound) {
		s.Errorf("App: got %v", err)
	}
	s.wantNone("sbx-a")
}
