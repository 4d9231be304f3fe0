package ratelimittest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

// vector is one recorded history.
type vector struct {
	Vector  int                `json:"vector"`
	Configs []ratelimit.Config `json:"configs"`
	Steps   []vectorStep       `json:"steps"`
}

type vectorStep struct {
	AtMillis    int64           `json:"at_ms"`
	Key         string          `json:"key"`
	Config      int             `json:"config"`
	Op          string          `json:"op"`
	IncrementBy float64         `json:"increment_by"`
	Expect      json.RawMessage `json:"expect"`
}

// Recorded is the file of what the original answered, relative to the repository's root, and RecordedSteps how many steps it has.
const (
	Recorded      = "../shared/conformance/ratelimit/vectors.jsonl"
	RecordedSteps = 4512
)

// Vectors replays recorded histories, those of each file as a test of its own. Names are relative to the repository's root; a
// missing file skips, or fails when required is set.
func Vectors(t *testing.T, open func(t testing.TB) ratelimit.Backend, files []string, required bool) {
	t.Helper()
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			vectors := readVectors(t, name, required)
			replayAll(t, open(t), vectors, name)
			replayOnOracle(t, vectors)
		})
	}
}

// MovedVectors replays recorded histories whose keys move again and again between two backends. The rest is as for [Vectors].
func MovedVectors(t *testing.T, a, b func(t testing.TB) ratelimit.Backend, files []string, required bool) {
	t.Helper()
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			vectors := readVectors(t, name, required)
			replayAll(t, newMoving(a(t), b(t)), vectors, name)
		})
	}
}

func replayAll(t *testing.T, b ratelimit.Backend, vectors []vector, name string) {
	t.Helper()
	same, steps := 0, 0
	for _, v := range vectors {
		same += replay(t, b, v)
		steps += len(v.Steps)
	}
	t.Logf("%d/%d steps of %d histories have the recorded answer", same, steps, len(vectors))
	if same != steps || name == Recorded && steps != RecordedSteps {
		t.Errorf("%d of %d steps were compared; %s has %d", same, steps, Recorded, RecordedSteps)
	}
}

func readVectors(t *testing.T, name string, required bool) []vector {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(repositoryRoot(t), name)
	}
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) && !required {
		t.Skipf("no recorded histories: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var vectors []vector
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		vectors = append(vectors, v)
	}
	if err := lines.Err(); err != nil || len(vectors) == 0 {
		t.Fatalf("%s: %d histories, %v", name, len(vectors), err)
	}
	return vectors
}

// repositoryRoot is the folder above that has go.mod.
func repositoryRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working folder")
		}
		dir = filepath.Dir(dir)
	}
}

// replay runs a history with keys of its own, and returns how many steps had the recorded answer. It ends the test at one that had not.
func replay(t *testing.T, b ratelimit.Backend, v vector) (same int) {
	t.Helper()
	ctx := context.Background()
	rules := make([]ratelimit.Rule, len(v.Configs))
	for i, c := range v.Configs {
		rule, err := c.Rule()
		if err != nil {
			t.Fatalf("vector %d config %d: %v", v.Vector, i, err)
		}
		rules[i] = rule
	}
	for i, step := range v.Steps {
		now, key, rule := time.UnixMilli(step.AtMillis), fmt.Sprintf("%s#%d", step.Key, v.Vector), rules[step.Config]
		var got any
		var err error
		switch step.Op {
		case "increment":
			got, err = increment(ctx, b, now, key, rule, step.IncrementBy)
		case "get_remaining_limit":
			got, err = remaining(ctx, b, now, key, rule)
		case "reset_limit":
			err = b.Reset(ctx, key)
		default:
			t.Fatalf("vector %d step %d: unknown op %q", v.Vector, i, step.Op)
		}
		if err == nil {
			err = sameJSON(got, step.Expect)
		}
		if err != nil {
			t.Fatalf("vector %d step %d (%s of %s): %v", v.Vector, i, step.Op, step.Key, err)
		}
		same++
	}
	return same
}

// replayOnOracle makes sure that what random tests compare with is right.
func replayOnOracle(t *testing.T, vectors []vector) {
	t.Helper()
	for _, v := range vectors {
		o := oracle{}
		for i, step := range v.Steps {
			c := v.Configs[step.Config]
			var got any
			switch step.Op {
			case "increment":
				got = o.increment(step.Key, step.AtMillis, c, step.IncrementBy)
			case "get_remaining_limit":
				got = o.remaining(step.Key, step.AtMillis, c)
			case "reset_limit":
				delete(o, step.Key)
			}
			if err := sameJSON(got, step.Expect); err != nil {
				t.Fatalf("oracle: vector %d step %d: %v", v.Vector, i, err)
			}
		}
	}
}

// sameJSON compares the JSON of a value with what is wanted: same fields, numbers within 1e-9 (relative beyond 1).
func sameJSON(got any, want json.RawMessage) error {
	data, err := json.Marshal(got)
	if err != nil {
		return err
	}
	var g, w any
	if err := errors.Join(json.Unmarshal(data, &g), json.Unmarshal(want, &w)); err != nil {
		return err
	}
	if !sameValue(g, w) {
		return fmt.Errorf("got %s, want %s", data, want)
	}
	return nil
}

func sameValue(got, want any) bool {
	switch want := want.(type) {
	case float64:
		got, ok := got.(float64)
		return ok && closeTo(got, want)
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok || len(got) != len(want) {
			return false
		}
		for name, value := range want {
			other, ok := got[name]
			if !ok || !sameValue(other, value) {
				return false
			}
		}
		return true
	}
	return got == want
}

func closeTo(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(b)) }

// increment charges one key.
func increment(ctx context.Context, b ratelimit.Backend, now time.Time, key string, rule ratelimit.Rule, n float64) (ratelimit.Result, error) {
	answers, err := b.Take(ctx, now, []ratelimit.Item{{Key: key, Rule: rule, N: n}}, false)
	if err != nil {
		return ratelimit.Result{}, err
	}
	return rule.Result(n, answers[0]), nil
}

// remaining asks what is left of one key.
func remaining(ctx context.Context, b ratelimit.Backend, now time.Time, key string, rule ratelimit.Rule) (float64, error) {
	answers, err := b.Take(ctx, now, []ratelimit.Item{{Key: key, Rule: rule}}, true)
	if err != nil {
		return 0, err
	}
	return rule.Remaining(answers[0]), nil
}
