package cfclient_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
)

const vectors = "../../../shared/conformance/ratelimit/vectors.jsonl"

type history struct {
	Vector  int               `json:"vector"`
	Configs []json.RawMessage `json:"configs"`
	Steps   []struct {
		At          int64           `json:"at_ms"`
		Key         string          `json:"key"`
		Config      int             `json:"config"`
		Op          string          `json:"op"`
		IncrementBy float64         `json:"increment_by"`
		Expect      json.RawMessage `json:"expect"`
	} `json:"steps"`
}

// TestLimitsCountAsRecorded replays histories recorded from VibeSDK's limiter on RateLimitObject.
func TestLimitsCountAsRecorded(t *testing.T) {
	t.Parallel()
	file, err := os.Open(filepath.FromSlash(vectors))
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("REQUIRE_BACKENDS") != "1" {
		t.Skipf("no recorded histories: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := bridgeClient(t, testenv.BridgeWith(t, testenv.WorkerSpec{Vars: map[string]string{"TEST_CLOCK": "1"}}))
	var group errgroup.Group
	group.SetLimit(4)
	histories := 0
	for lines := bufio.NewScanner(file); lines.Scan(); histories++ {
		var h history
		if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
			t.Fatal(err)
		}
		group.Go(func() error { return replay(t, c, h) })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if histories < 200 {
		t.Errorf("only %d histories", histories)
	}
}

func replay(t *testing.T, c *cfclient.Client, h history) error {
	for i, step := range h.Steps {
		at := fmt.Sprintf("history %d, step %d (%s)", h.Vector, i, step.Op)
		verb := map[string]string{"increment": "increment", "get_remaining_limit": "remaining", "reset_limit": "reset"}[step.Op]
		body, err := json.Marshal(map[string]any{"config": h.Configs[step.Config], "incrementBy": step.IncrementBy})
		if err != nil {
			return err
		}
		// Each history has keys of its own.
		response, err := c.Do(t.Context(), cfclient.Request{
			Method: http.MethodPost, Path: "/v1/limits/RATE_LIMITS/" + verb, Query: url.Values{"key": {fmt.Sprintf("%d:%s", h.Vector, step.Key)}},
			Header: http.Header{"X-Bridge-Now": {strconv.FormatInt(step.At, 10)}}, Body: [][]byte{body},
		})
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		var want, got any
		if err := json.Unmarshal(step.Expect, &want); err != nil {
			return err
		}
		switch verb {
		case "increment":
			err = json.Unmarshal(response.Body, &got)
		case "remaining":
			var answer struct{ Remaining float64 }
			err = json.Unmarshal(response.Body, &answer)
			got = answer.Remaining
		}
		if err != nil || !equal(want, got) {
			return fmt.Errorf("%s: %s, want %s; %w", at, response.Body, step.Expect, err)
		}
	}
	return nil
}

func equal(want, got any) bool {
	switch w := want.(type) {
	case float64:
		g, ok := got.(float64)
		return ok && math.Abs(w-g) <= 1e-9
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(w) != len(g) {
			return false
		}
		for name := range w {
			if !equal(w[name], g[name]) {
				return false
			}
		}
		return true
	default:
		return want == got
	}
}

func TestLimitsAreChecked(t *testing.T) {
	t.Parallel()
	b := testenv.Workerd(t)
	c := bridgeClient(t, b)
	call := func(verb, key, body string, header http.Header) error {
		_, err := c.Do(t.Context(), cfclient.Request{
			Method: http.MethodPost, Path: "/v1/limits/RATE_LIMITS/" + verb, Query: url.Values{"key": {key}}, Body: [][]byte{[]byte(body)}, Header: header,
		})
		return err
	}
	const good = `{"config":{"limit":2,"period":60}}`
	for what, err := range map[string]error{
		"no key":            call("increment", "", good, nil),
		"no config":         call("increment", "k", `{}`, nil),
		"no JSON":           call("increment", "k", `{`, nil),
		"a negative limit":  call("increment", "k", `{"config":{"limit":-1,"period":60}}`, nil),
		"a period of words": call("remaining", "k", `{"config":{"limit":1,"period":"60"}}`, nil),
		"no period":         call("remaining", "k", `{"config":{"limit":1}}`, nil),
		"a charge of words": call("increment", "k", `{"config":{"limit":2,"period":60},"incrementBy":"1"}`, nil),
		"a clock":           call("increment", "k", good, http.Header{"X-Bridge-Now": {"1"}}),
	} {
		wantCode(t, what, err, 400, "invalid")
	}
	for i, want := range []bool{true, true, false} {
		var got struct{ Success bool }
		err := c.JSON(t.Context(), cfclient.Request{
			Method: http.MethodPost, Path: "/v1/limits/RATE_LIMITS/increment", Query: url.Values{"key": {"k"}}, Body: [][]byte{[]byte(good)},
		}, &got)
		if err != nil || got.Success != want {
			t.Errorf("charge %d: %v, %v", i, got.Success, err)
		}
		b.Restart(t, nil) // what was counted outlives it
	}
}
