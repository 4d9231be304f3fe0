package redislimit

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
)

// TestCallsOfARunAreDecidedAsIfAlone has random calls decided in runs, and the same ones each by itself.
func TestCallsOfARunAreDecidedAsIfAlone(t *testing.T) {
	t.Parallel()
	address, prefix := testenv.Redis(t)
	open := func(name string) *Backend {
		b, err := Open(address, Options{Prefix: prefix + name, Keep: time.Hour, Timeout: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	together, alone := open("together:"), open("alone:")
	daily := 40.0
	var rules []ratelimit.Rule
	for _, c := range []ratelimit.Config{
		{Limit: 9, Period: 60}, {Limit: 30, Period: 600, Burst: 7}, {Limit: 25, Period: 90, BucketSize: 3, DailyLimit: &daily},
		{Limit: 12, Period: 3600, CalendarDaily: true}, {Limit: 11.7, Period: 45, BucketSize: 1},
	} {
		rule, err := c.Rule()
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, rule)
	}
	random := rand.New(rand.NewPCG(4, 11))
	clock := float64(time.Date(2026, 3, 4, 23, 50, 0, 0, time.UTC).UnixMilli())
	names := map[string]struct{}{}
	for group := range 150 {
		clock += float64(random.IntN(90_000))
		var batch []*call
		for range 1 + random.IntN(60) {
			c := &call{now: clock + float64(random.IntN(3)*random.IntN(400_000)), dry: random.IntN(8) == 0, keys: []string{}}
			for _, key := range random.Perm(4)[:1+random.IntN(2)*random.IntN(3)] {
				n := float64(random.IntN(3))
				switch random.IntN(12 + group) { // fractions make the order of addition matter, so they come late
				case 0:
					n = -1
				case 1:
					n = 0.1
				}
				// Two thirds of the keys know one bucket size, the leaf of which is in the head.
				rule := rules[random.IntN(2)]
				if key == 3 {
					rule = rules[random.IntN(len(rules))]
				}
				name := fmt.Sprintf("{all}%d-%d", key, group/10)
				c.keys, names[name] = append(c.keys, name), struct{}{}
				c.items = append(c.items, ratelimit.Item{Key: "", Rule: rule, N: n})
			}
			batch = append(batch, c)
		}
		var single []*call
		for _, c := range batch {
			single = append(single, &call{now: c.now, dry: c.dry, keys: prefixed(alone.o.Prefix, c.keys), items: c.items})
			c.keys = prefixed(together.o.Prefix, c.keys)
		}
		together.pipeline(batch)
		for i, c := range single {
			alone.pipeline([]*call{c})
			if c.err != nil || batch[i].err != nil {
				t.Fatalf("group %d call %d: %v alone, %v together", group, i, c.err, batch[i].err)
			}
			for k, want := range c.answers {
				if got := batch[i].answers[k]; !same(got, want) {
					t.Fatalf("group %d call %d item %d: %+v together, %+v alone", group, i, k, got, want)
				}
			}
		}
	}
	for name := range names {
		wantSame(t, together, alone, name)
	}
}

// wantSame compares all that is stored of a key, also its bucket sizes: a call that charged nothing leaves none.
func wantSame(t *testing.T, together, alone *Backend, name string) {
	t.Helper()
	var dumped [2]ratelimit.Counts
	for i, b := range []*Backend{together, alone} {
		fields, err := b.client.HGetAll(t.Context(), b.o.Prefix+name).Result()
		if err != nil {
			t.Fatal(err)
		}
		if dumped[i], err = countsOf(name, fields); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(dumped[i].Sizes, func(a, b ratelimit.SizeUse) int { return cmp.Compare(a.Size, b.Size) })
	}
	if d := dumped[0].Difference(dumped[1], 0); d != "" || !slices.Equal(dumped[0].Sizes, dumped[1].Sizes) {
		t.Errorf("%s: %s; sizes %v together, %v alone", name, d, dumped[0].Sizes, dumped[1].Sizes)
	}
}

func prefixed(prefix string, keys []string) []string {
	list := make([]string, len(keys))
	for i, key := range keys {
		list[i] = prefix + key
	}
	return list
}

func same(a, b ratelimit.Answer) bool {
	near := math.Abs(a.Main-b.Main) <= 1e-9 && math.Abs(a.Daily-b.Daily) <= 1e-9
	return near && a.Exceeded == b.Exceeded && a.Now == b.Now && (a.Exceeded == "" || a.RetryAt == b.RetryAt)
}
