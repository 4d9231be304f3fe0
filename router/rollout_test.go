package router_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"vibesdk-gcp/platform/deployment"
)

// splitWorld has the app shop at "old" and a server "new".
func splitWorld(t *testing.T) (w *world, first, second deployment.Place) {
	t.Helper()
	answer := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, text)
		}
	}
	w = newWorld(t, answer("old"))
	next := httptest.NewServer(answer("new"))
	t.Cleanup(next.Close)
	return w, deployment.Place{Target: deployment.TargetProcess, Endpoint: w.upstreamHost()}, deployment.Place{Target: deployment.TargetCloudRun, Endpoint: next.URL}
}

func (w *world) split(first, second deployment.Place, weight int) {
	w.t.Helper()
	w.put(deployment.App{Name: "shop", Place: first, Rollout: &deployment.Rollout{Place: second, Weight: weight}})
}

// visit is a page load of a visitor, who keeps what cookies they get.
func (w *world) visit(cookies *[]string, agent string) string {
	w.t.Helper()
	r := w.request(http.MethodGet, "shop.localhost", "/", nil)
	r.Header.Set("Accept", "text/html,*/*")
	r.Header.Set("User-Agent", agent)
	r.Header.Set("Cookie", strings.Join(*cookies, "; "))
	res := w.do(r)
	for _, line := range res.Header.Values("Set-Cookie") {
		pair, attributes, _ := strings.Cut(line, "; ")
		if attributes != "Path=/; Max-Age=86400; HttpOnly; SameSite=Lax" {
			w.t.Errorf("cookie %s", line)
		}
		*cookies = append(*cookies, pair)
	}
	return bodyOf(w.t, res)
}

// TestRolloutsMoveEachVisitorOnce: whom the weight has reached stays in the new version, from page to page and as the weight grows.
func TestRolloutsMoveEachVisitorOnce(t *testing.T) {
	t.Parallel()
	w, first, second := splitWorld(t)
	const visitors = 120
	jars, seen := make([][]string, visitors), make([]string, visitors)
	for _, weight := range []int{0, 20, 50, 50, 90, 100} {
		w.split(first, second, weight)
		count := 0
		for i := range jars {
			got := w.visit(&jars[i], fmt.Sprintf("browser %d", i))
			again := w.visit(&jars[i], "another name of the same browser")
			if got != again {
				t.Errorf("weight %d: visitor %d got %s and then %s", weight, i, got, again)
			}
			if seen[i] == "new" && got == "old" {
				t.Errorf("weight %d: visitor %d went back", weight, i)
			}
			if seen[i] = got; got == "new" {
				count++
			}
		}
		if share := 100 * count / visitors; share < weight-15 || share > weight+15 || weight%100 == 0 && share != weight {
			t.Errorf("weight %d: %d %% of the visitors got the new version", weight, share)
		}
	}
	for i, jar := range jars {
		if len(jar) != 1 {
			t.Errorf("visitor %d got cookies %q, want one", i, jar)
		}
	}
	// Back and forward, and the end of it.
	w.split(first, second, 0)
	if got := w.visit(&jars[0], "x"); got != "old" {
		t.Errorf("weight 0: %s", got)
	}
	w.put(deployment.App{Name: "shop", Place: second})
	res := w.get("shop.localhost", "/")
	wantAnswer(t, res, http.StatusOK, "new")
	if strings.Contains(strings.Join(res.Header.Values("Vary"), ","), "Cookie") || len(res.Header.Values("Set-Cookie")) != 0 {
		t.Errorf("after the rollout: %v", res.Header)
	}
}

// TestRolloutsWithoutCookies: who keeps none stays all the same.
func TestRolloutsWithoutCookies(t *testing.T) {
	t.Parallel()
	w, first, second := splitWorld(t)
	w.split(first, second, 50)
	both := map[string]int{}
	for i := range 60 {
		var got []string
		for range 3 {
			r := w.request(http.MethodGet, "shop.localhost", "/app.js", nil)
			r.Header.Set("User-Agent", "tool")
			r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i)) // as a load balancer tells
			r.Header.Set("Cookie", "__vibesdk_visitor=nonsense")
			res := w.do(r)
			if len(res.Header.Values("Set-Cookie")) != 0 || strings.Join(res.Header.Values("Vary"), ",") != "Origin,Cookie" {
				t.Fatalf("headers of something that is no page: %v", res.Header)
			}
			got = append(got, bodyOf(t, res))
		}
		if got[0] != got[1] || got[1] != got[2] {
			t.Errorf("visitor %d got %q", i, got)
		}
		both[got[0]]++
	}
	if both["old"] < 10 || both["new"] < 10 {
		t.Errorf("of 60 visitors: %v", both)
	}
}

// TestSwitchUnderLoad moves an app between two places, and through a rollout, while clients ask without a pause. No request fails, and what was
// asked after a switch is answered by the new place.
func TestSwitchUnderLoad(t *testing.T) {
	t.Parallel()
	w, first, second := splitWorld(t)
	var asked atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				method, body := http.MethodGet, ""
				if (n+i)%3 == 0 {
					method, body = http.MethodPost, "body"
				}
				r, err := http.NewRequest(method, w.front.URL+"/", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				r.Host = "shop.localhost"
				res, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK || string(text) != "old" && string(text) != "new" {
					t.Errorf("%s: %d %q, %v", method, res.StatusCode, text, err)
				}
				asked.Add(1)
			}
		})
	}
	for turn := range 60 {
		at, want := first, "old"
		if turn%2 == 0 {
			at, want = second, "new"
		}
		switch turn % 3 {
		case 0:
			w.split(first, second, turn)
		default:
			w.put(deployment.App{Name: "shop", Place: at})
			wantAnswer(t, w.get("shop.localhost", "/"), http.StatusOK, want)
		}
		for before := asked.Load(); asked.Load() < before+20; { // traffic at each place
			wantAnswer(t, w.get(w.previewHost(), "/"), http.StatusOK, "old")
		}
	}
	close(stop)
	wg.Wait()
	if strings.Contains(w.log.String(), "not served") {
		t.Errorf("log: %s", w.log)
	}
}
