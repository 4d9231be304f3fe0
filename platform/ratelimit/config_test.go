package ratelimit_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/ratelimit"
)

func TestConfigNamesTheFaultyField(t *testing.T) {
	t.Parallel()
	for field, faults := range map[string][]ratelimit.Config{
		"limit":       {{Limit: -1, Period: 1}, {Limit: math.NaN(), Period: 1}, {Limit: math.Inf(1), Period: 1}, {Limit: 1.1e9, Period: 1}},
		"period":      {{Limit: 1}, {Limit: 1, Period: -1}, {Limit: 1, Period: math.NaN()}, {Limit: 1, Period: 0.0001}, {Limit: 1, Period: 1e9}, {Limit: 1, Period: 1.0005}},
		"burst":       {{Limit: 1, Period: 1, Burst: -1}, {Limit: 1, Period: 1, Burst: math.NaN()}},
		"burstWindow": {{Limit: 1, Period: 1, Burst: 1, BurstWindow: new(-1.0)}, {Limit: 1, Period: 1, BurstWindow: new(math.NaN())}},
		"bucketSize":  {{Limit: 1, Period: 1, BucketSize: -1}, {Limit: 1, Period: 1, BucketSize: 0.0005}, {Limit: 1, Period: 1, BucketSize: 86401}, {Limit: 1, Period: 86400, BucketSize: 0.5}, {Limit: 1, Period: 1, BucketSize: 0.1, DailyLimit: new(1.0)}},
		"dailyLimit":  {{Limit: 1, Period: 1, DailyLimit: new(-1.0)}, {Limit: 1, Period: 1, DailyLimit: new(math.Inf(1))}},
	} {
		for _, c := range faults {
			if err := c.Validate(); !errors.Is(err, ratelimit.ErrInvalid) || !strings.Contains(err.Error(), ": "+field+" ") {
				t.Errorf("%+v gave %v, want ErrInvalid that names %s", c, err, field)
			}
		}
	}
	for _, c := range []ratelimit.Config{
		{Limit: 0, Period: 0.001}, {Limit: 0.5, Period: 60}, {Limit: 1, Period: 86400, BucketSize: 0.864},
		{Limit: 1, Period: 1, BurstWindow: new(0.0), DailyLimit: new(0.0)},
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	rule, err := ratelimit.Config{Limit: 1, Period: 1}.Rule()
	if err != nil {
		t.Fatal(err)
	}
	item := func(key string, n float64) ratelimit.Item { return ratelimit.Item{Key: key, Rule: rule, N: n} }
	many := make([]ratelimit.Item, ratelimit.MaxItems+1)
	for i := range many {
		many[i] = item(strings.Repeat("k", i+1), 1)
	}
	now := time.Now()
	for name, test := range map[string]struct {
		now   time.Time
		items []ratelimit.Item
	}{
		"no item":      {now, nil},
		"many items":   {now, many},
		"same key":     {now, []ratelimit.Item{item("a", 1), item("b", 1), item("a", 1)}},
		"empty key":    {now, []ratelimit.Item{item("", 1)}},
		"long key":     {now, []ratelimit.Item{item(strings.Repeat("k", 513), 1)}},
		"no UTF-8":     {now, []ratelimit.Item{item("a\xff", 1)}},
		"control byte": {now, []ratelimit.Item{item("a\x00", 1)}},
		"NaN":          {now, []ratelimit.Item{item("a", math.NaN())}},
		"infinite":     {now, []ratelimit.Item{item("a", math.Inf(-1))}},
		"huge":         {now, []ratelimit.Item{item("a", 1.1e9)}},
		"before 1970":  {time.Unix(-1, 0), []ratelimit.Item{item("a", 1)}},
	} {
		if err := ratelimit.Check(test.now, test.items); !errors.Is(err, ratelimit.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if err := ratelimit.Check(time.Time{}, many[:ratelimit.MaxItems]); err != nil {
		t.Error(err)
	}
}

func TestResultInJSON(t *testing.T) {
	t.Parallel()
	limits := ratelimit.Config{Limit: 3, Period: 15, Burst: 2, DailyLimit: new(5.0)}
	windowed := limits
	windowed.BurstWindow = new(30.0)
	for _, test := range []struct {
		config ratelimit.Config
		answer ratelimit.Answer
		want   string
	}{
		{limits, ratelimit.Answer{Main: 1, Daily: 2}, `{"success":true,"remainingLimit":1}`},
		{limits, ratelimit.Answer{Main: 1, Daily: 4.5}, `{"success":true,"remainingLimit":0}`},
		{limits, ratelimit.Answer{Exceeded: ratelimit.ExceededMain}, `{"success":false,"remainingLimit":0,"exceededLimit":"main","limitValue":3,"periodSeconds":15}`},
		{limits, ratelimit.Answer{Exceeded: ratelimit.ExceededBurst}, `{"success":false,"remainingLimit":0,"exceededLimit":"burst","limitValue":2}`},
		{windowed, ratelimit.Answer{Exceeded: ratelimit.ExceededBurst}, `{"success":false,"remainingLimit":0,"exceededLimit":"burst","limitValue":2,"periodSeconds":30}`},
		{limits, ratelimit.Answer{Exceeded: ratelimit.ExceededDaily}, `{"success":false,"remainingLimit":0,"exceededLimit":"daily","limitValue":5,"periodSeconds":86400}`},
	} {
		rule, err := test.config.Rule()
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(rule.Result(1, test.answer))
		if err != nil || string(got) != test.want {
			t.Errorf("%+v: %s, %v, want %s", test.answer, got, err, test.want)
		}
	}
}

// TestPresetsAreTheOriginals holds the presets against what VibeSDK's configuration had at both times.
func TestPresetsAreTheOriginals(t *testing.T) {
	t.Parallel()
	api := ratelimit.Config{Limit: 10_000, Period: 60}
	auth := ratelimit.Config{Limit: 1000, Period: 60}
	for name, test := range map[string]struct {
		preset map[string]ratelimit.Limit
		want   map[string]ratelimit.Config
	}{
		"October 2025": {ratelimit.PresetS(), map[string]ratelimit.Config{
			"apiRateLimit": api, "authRateLimit": auth,
			"appCreation": {Limit: 10, Period: 14_400, DailyLimit: new(10.0)},
			"llmCalls":    {Limit: 400, Period: 3600, DailyLimit: new(1000.0)},
		}},
		"August 2026": {ratelimit.PresetH(), map[string]ratelimit.Config{
			"apiRateLimit": api, "authRateLimit": auth,
			"appCreation":  {Limit: 3, Period: 86_400, DailyLimit: new(3.0)},
			"llmCalls":     {Limit: 200, Period: 86_400, CalendarDaily: true},
			"publicApps":   {Limit: 120, Period: 60, Burst: 40, BurstWindow: new(10.0)},
			"spacePreview": {Limit: 600, Period: 60, Burst: 120, BurstWindow: new(10.0)},
		}},
	} {
		if _, err := ratelimit.New(openMemory(t), ratelimit.Options{Limits: test.preset}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := map[string]ratelimit.Config{}
		for limit, l := range test.preset {
			if l.OnFailure != "" && l.OnFailure != ratelimit.Open { // as the original, which lets calls pass
				t.Errorf("%s: %s is %s in an outage", name, limit, l.OnFailure)
			}
			got[limit] = l.Config
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOverride(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"yaml": "llmCalls: {limit: 5, period: 3600, dailyLimit: 0, onFailure: closed}\nextra:\n  limit: 1.5\n  period: 60\n  burstWindow: 0\n",
		"json": `{"llmCalls": {"limit": 5, "period": 3600, "dailyLimit": 0, "onFailure": "closed"}, "extra": {"limit": 1.5, "period": 60, "burstWindow": 0}}`,
	} {
		base := ratelimit.PresetH()
		got, err := ratelimit.Override(base, []byte(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := ratelimit.PresetH()
		want["llmCalls"] = ratelimit.Limit{Config: ratelimit.Config{Limit: 5, Period: 3600, DailyLimit: new(0.0)}, OnFailure: ratelimit.Closed}
		want["extra"] = ratelimit.Limit{Config: ratelimit.Config{Limit: 1.5, Period: 60, BurstWindow: new(0.0)}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(ratelimit.PresetH(), base); diff != "" {
			t.Errorf("%s changed the base:\n%s", name, diff)
		}
	}
	for file, want := range map[string]string{
		"llmCalls: {limit: -5, period: 1}":               "llmCalls",
		"llmCalls: {limit: 5, perod: 1}":                 "perod",
		"llmCalls: {limit: five, period: 1}":             "limits",
		"a b: {limit: 5, period: 1}":                     "name of a limit",
		"x: {limit: 5, period: 1, onFailure: sometimes}": "onFailure",
		"[1, 2]":                            "limits",
		"x: {limit: .nan, period: 1}":       "limit must be",
		strings.Repeat("#", 1<<20) + "####": "longer",
	} {
		if _, err := ratelimit.Override(nil, []byte(file)); !errors.Is(err, ratelimit.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q gave %v, want ErrInvalid that says %q", file, err, want)
		}
	}
}

// FuzzOverride looks for files that panic, or that give limits which are then refused.
func FuzzOverride(f *testing.F) {
	f.Add([]byte("llmCalls: {limit: 5, period: 3600, dailyLimit: 0, onFailure: closed}"))
	f.Add([]byte(`{"a": {"limit": 1e300, "period": 0.5, "burst": 2, "burstWindow": null, "bucketSize": 1}}`))
	f.Add([]byte("a: &x {limit: 1, period: 1}\nb: *x\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		limits, err := ratelimit.Override(nil, file)
		if err != nil {
			if !errors.Is(err, ratelimit.ErrInvalid) {
				t.Errorf("%v is not ErrInvalid", err)
			}
			return
		}
		for name, limit := range limits {
			rule, err := limit.Rule()
			if err != nil {
				t.Fatalf("limit %s was accepted: %v", name, err)
			}
			items := []ratelimit.Item{{Key: "k", Rule: rule, N: 1}}
			for range 3 {
				if _, err := ratelimit.NewMemory(ratelimit.MemoryOptions{}).Take(t.Context(), time.Unix(1e9, 0), items, false); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
