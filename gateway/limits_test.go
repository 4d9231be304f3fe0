package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/sqllimit"
	"vibesdk-gcp/schemas"
)

// noon is the start of a bucket.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// limits is a gateway over limits in SQLite whose clock the test sets.
type limits struct {
	*fixture

	now  atomic.Int64 // seconds after noon
	down atomic.Bool
}

// breakable fails while it is down.
type breakable struct {
	ratelimit.Backend
	down *atomic.Bool
}

func (b breakable) Take(ctx context.Context, now time.Time, items []ratelimit.Item, dry bool) ([]ratelimit.Answer, error) {
	if b.down.Load() {
		return nil, errors.New("down: password=secret")
	}
	return b.Backend.Take(ctx, now, items, dry)
}

var configured = map[string]ratelimit.Limit{
	ratelimit.APIRateLimit:  {Config: ratelimit.Config{Limit: 3, Period: 60}},
	ratelimit.AuthRateLimit: {Config: ratelimit.Config{Limit: 2, Period: 60}},
	ratelimit.LLMCalls:      {Config: ratelimit.Config{Limit: 10, Period: 3600, Burst: 4, DailyLimit: new(20.0)}},
	"closed":                {Config: ratelimit.Config{Limit: 1, Period: 60}, OnFailure: ratelimit.Closed},
	"never":                 {Config: ratelimit.Config{Limit: 0, Period: 60}},
	"fraction":              {Config: ratelimit.Config{Limit: 2.5, Period: 0.5}},
}

func startLimits(t testing.TB, change ...func(*gateway.Options)) *limits {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "limits.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	l := &limits{}
	limiter, err := ratelimit.New(breakable{sqllimit.New(db, sqllimit.Options{}), &l.down}, ratelimit.Options{
		Limits: configured, Deadline: time.Minute,
		Now: func() time.Time { return noon.Add(time.Duration(l.now.Load()) * time.Second) },
	})
	if err != nil {
		t.Fatal(err)
	}
	l.fixture = start(t, append([]func(*gateway.Options){func(o *gateway.Options) { o.Limits = limiter }}, change...)...)
	return l
}

// limitAnswer is every field that an answer about limits may have.
type limitAnswer struct {
	gateway.Problem
	gateway.LimitResult
	Details     *gateway.LimitDetails  `json:"details"`
	Results     []gateway.LimitResult  `json:"results"`
	Reservation *ratelimit.Reservation `json:"reservation"`
}

func (l *limits) post(t *testing.T, path, body string, status int) (limitAnswer, http.Header) {
	t.Helper()
	got := l.call(t, http.MethodPost, "/v1/limits"+path, body)
	var a limitAnswer
	if got.StatusCode != status {
		t.Fatalf("POST %s %s: %d %s, want %d", path, body, got.StatusCode, got.body, status)
	}
	if got.StatusCode == http.StatusNoContent {
		return a, got.Header
	}
	got.decode(t, &a)
	if status != http.StatusNotFound && status != http.StatusBadRequest && got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("POST %s: Cache-Control %q", path, got.Header.Get("Cache-Control"))
	}
	return a, got.Header
}

func TestLimitIncrements(t *testing.T) {
	t.Parallel()
	l := startLimits(t)
	for i := range 3 {
		a, h := l.post(t, "/apiRateLimit/user:1:increment", "", 200)
		if !a.Success || a.RemainingLimit != float64(2-i) || a.Limit != "apiRateLimit" || a.Identifier != "user:1" || a.Degraded || a.RetryAfterSeconds != 0 {
			t.Errorf("increment %d: %+v", i, a)
		}
		for name, want := range map[string]string{
			"RateLimit-Policy": `"apiRateLimit";q=3;w=60`, "RateLimit": fmt.Sprintf(`"apiRateLimit";r=%d;t=60`, 2-i),
			"RateLimit-Limit": "3", "RateLimit-Remaining": strconv.Itoa(2 - i), "RateLimit-Reset": "60", "Retry-After": "",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s of increment %d is %q, want %q", name, i, got, want)
			}
		}
	}
	l.now.Store(5)
	a, h := l.post(t, "/apiRateLimit/user:1:increment", `{"n":1}`, 429)
	want := gateway.LimitDetails{
		Message: "Rate limit exceeded for apiRateLimit. Please try again later.", LimitType: "apiRateLimit", Limit: 3, Period: 60,
		Suggestions: []string{"Try again in 65 seconds"},
	}
	if a.Success || a.RemainingLimit != 0 || a.ExceededLimit != "main" || *a.LimitValue != 3 || *a.PeriodSeconds != 60 || a.RetryAfterSeconds != 65 ||
		a.Type != "urn:vibesdk:problem:rate-limited" || a.Status != 429 || !reflect.DeepEqual(*a.Details, want) || len(a.Results) != 1 {
		t.Errorf("rejection: %+v, details %+v", a, a.Details)
	}
	if h.Get("Content-Type") != "application/problem+json" || h.Get("Retry-After") != "65" || h.Get("RateLimit") != `"apiRateLimit";r=0;t=65` || h.Get("RateLimit-Reset") != "65" {
		t.Errorf("headers of the rejection: %v", h)
	}
	l.now.Store(69) // the oldest bucket counts until 12:01:10
	l.post(t, "/apiRateLimit/user:1:increment", "", 429)
	l.now.Store(70)
	l.post(t, "/apiRateLimit/user:1:increment", "", 200)
	l.post(t, "/apiRateLimit/user:2:increment", "", 200)
}

func TestLimitBurstAndDay(t *testing.T) {
	t.Parallel()
	l := startLimits(t)
	l.post(t, "/llmCalls/user:1:increment", `{"n":4}`, 200)
	a, _ := l.post(t, "/llmCalls/user:1:increment", "", 429)
	// A burst window that is not configured has no length to tell: the main one's is in the details, as in the original.
	if a.ExceededLimit != "burst" || *a.LimitValue != 4 || a.PeriodSeconds != nil || a.Details.Limit != 4 || a.Details.Period != 3600 {
		t.Errorf("burst: %+v, details %+v", a, a.Details)
	}
	l.post(t, "/llmCalls/user:1:reset", "", 204)
	l.post(t, "/llmCalls/user:1:increment", `{"n":20}`, 200)
	l.now.Store(4000)
	a, h := l.post(t, "/llmCalls/user:1:increment", "", 429)
	if a.ExceededLimit != "daily" || *a.LimitValue != 20 || *a.PeriodSeconds != 86400 || a.Details.Period != 86400 || h.Get("Retry-After") != "82410" {
		t.Errorf("daily: %+v, details %+v, Retry-After %s", a, a.Details, h.Get("Retry-After"))
	}
	a, h = l.post(t, "/never/user:1:increment", "", 429)
	if a.RetryAfterSeconds != 0 || h.Get("Retry-After") != "" || h.Get("RateLimit-Reset") != "" || h.Get("RateLimit") != `"never";r=0` || len(a.Details.Suggestions) != 0 {
		t.Errorf("a limit of 0: %+v %v", a, h)
	}
	_, h = l.post(t, "/fraction/user:1:increment", `{"n":0.75}`, 200)
	if h.Get("RateLimit-Policy") != `"fraction";q=2;w=1` || h.Get("RateLimit") != `"fraction";r=1;t=1` {
		t.Errorf("headers of fractions: %v", h)
	}
}

func TestLimitChecksChargeNothing(t *testing.T) {
	t.Parallel()
	l := startLimits(t)
	remains := func(want float64) {
		t.Helper()
		if a, _ := l.post(t, "/apiRateLimit/ip:::1:remaining", "", 200); a.RemainingLimit != want {
			t.Errorf("%v remain, want %v", a.RemainingLimit, want)
		}
	}
	for range 5 {
		if a, _ := l.post(t, "/apiRateLimit/ip:::1:check", `{"n":1}`, 200); !a.Success || a.RemainingLimit != 2 {
			t.Errorf("check: %+v", a)
		}
	}
	remains(3)
	l.post(t, "/apiRateLimit/ip:::1:increment", `{"n":2.5}`, 200)
	remains(0.5)
	l.post(t, "/apiRateLimit/ip:::1:increment", "", 200)
	a, h := l.post(t, "/apiRateLimit/ip:::1:check", "", 200)
	if a.Success || a.ExceededLimit != "main" || a.RetryAfterSeconds != 70 || a.Details != nil || h.Get("RateLimit") != `"apiRateLimit";r=0;t=70` {
		t.Errorf("check at the limit: %+v %v", a, h)
	}
	l.post(t, "/apiRateLimit/ip:::1:increment", `{"n":0}`, 429)
	l.post(t, "/apiRateLimit/ip:::1:reset", "", 204)
	remains(3)
	l.post(t, "/notConfigured/ip:::1:reset", "", 204)
}

func TestLimitIdentifiersAreDecodedOnce(t *testing.T) {
	t.Parallel()
	l := startLimits(t)
	for path, want := range map[string]string{
		"user:a%2Fb": "user:a/b", "user%3Aa%252Fb": "user:a%2Fb", "user:a:increment": "user:a:increment", "ip:2001:db8::1": "ip:2001:db8::1",
		"%2F": "/", "..": "..", "%2e%2E": "..", "a%2F%2Fb": "a//b", "a%2F..%2Fc": "a/../c", "%E2%82%AC%20%3F": "€ ?", "user:1apps": "user:1apps",
	} {
		if a, _ := l.post(t, "/llmCalls/"+path+":increment", "", 200); a.Identifier != want {
			t.Errorf("identifier %s was read as %q, want %q", path, a.Identifier, want)
		}
	}
	if a, _ := l.post(t, "/llmCalls/user:a%2Fb:remaining", "", 200); a.RemainingLimit != 9 {
		t.Errorf("%v remain of a/b, want 9: other identifiers are other keys", a.RemainingLimit)
	}
}

func TestLimitsOfTheCaller(t *testing.T) {
	t.Parallel()
	l := startLimits(t)
	for i := range 3 {
		status := 200
		if i == 2 {
			status = 429
		}
		a, h := l.post(t, "/mine/user:1:increment", `{"config":{"limit":2,"period":60,"burst":0,"bucketSize":5,"dailyLimit":100,"calendarDaily":true}}`, status)
		if status == 200 && (a.RemainingLimit != float64(1-i) || h.Get("RateLimit-Policy") != `"mine";q=2;w=60`) {
			t.Errorf("increment %d: %+v %v", i, a, h)
		}
	}
	if a, _ := l.post(t, "/mine/user:1:remaining", `{"config":{"limit":5,"period":60}}`, 200); a.RemainingLimit != 3 {
		t.Errorf("%v remain under another configuration, want 3", a.RemainingLimit)
	}
	l.post(t, "/mine/user:1:increment", "", 404)
}

func TestSeveralLimitsAtOnce(t *testing.T) {
	t.Parallel()
	l := startLimits(t)
	body := `{"charges":[{"limit":"apiRateLimit","identifier":"user:1"},{"limit":"llmCalls","identifier":"user:1","n":2},{"limit":"apiRateLimit","identifier":"ip:1","n":3}]}`
	a, h := l.post(t, ":check", body, 200)
	if !a.Success || len(a.Results) != 3 {
		t.Fatalf("check: %+v", a)
	}
	if got := h.Get("RateLimit-Policy"); got != `"apiRateLimit";q=3;w=60, "llmCalls";q=10;w=3600` {
		t.Errorf("RateLimit-Policy %s", got)
	}
	if got := h.Get("RateLimit"); got != `"apiRateLimit";r=0;t=60` {
		t.Errorf("RateLimit %s: want that of the charge that leaves least", got)
	}
	a, _ = l.post(t, ":increment", body, 200)
	if !a.Success || a.Results[0].RemainingLimit != 2 || a.Results[1].RemainingLimit != 8 || a.Results[2].RemainingLimit != 0 || a.Results[2].Identifier != "ip:1" {
		t.Fatalf("increment: %+v", a)
	}
	a, h = l.post(t, ":increment", body, 429)
	if a.Success || a.Identifier != "ip:1" || a.Details.LimitType != "apiRateLimit" || len(a.Results) != 3 || !a.Results[0].Success || a.Results[2].Success || h.Get("Retry-After") != "70" || h.Get("RateLimit") != `"apiRateLimit";r=0;t=70` {
		t.Errorf("rejection: %+v %v", a, h)
	}
	if a, _ := l.post(t, "/llmCalls/user:1:remaining", "", 200); a.RemainingLimit != 8 {
		t.Errorf("%v remain after a rejected call, want 8: all or none are charged", a.RemainingLimit)
	}
	if a, _ := l.post(t, ":check", body, 200); a.Success {
		t.Errorf("check at the limit: %+v", a)
	}
}

func TestLimitReservations(t *testing.T) {
	t.Parallel()
	l := startLimits(t)
	remains := func(want float64, why string) {
		t.Helper()
		if a, _ := l.post(t, "/llmCalls/user:1:remaining", "", 200); a.RemainingLimit != want {
			t.Errorf("%v remain, want %v: %s", a.RemainingLimit, want, why)
		}
	}
	text := func(a limitAnswer) string {
		t.Helper()
		if a.Reservation == nil {
			t.Fatalf("no reservation in %+v", a)
		}
		data, err := json.Marshal(a.Reservation)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	a, _ := l.post(t, "/llmCalls/user:1:increment", `{"n":3,"reserve":true,"reservationId":"one"}`, 200)
	if a.Reservation.ID != "one" || !a.Success {
		t.Errorf("reserved: %+v", a)
	}
	for range 2 {
		l.post(t, ":settle", `{"actual":1.25,"reservation":`+text(a)+`}`, 204)
	}
	remains(8.75, "a settlement counts once")
	a, _ = l.post(t, ":increment", `{"reserve":true,"charges":[{"limit":"llmCalls","identifier":"user:1","n":2},{"limit":"mine","identifier":"user:1","config":{"limit":1,"period":60}}]}`, 200)
	l.post(t, ":refund", `{"reservation":`+text(a)+`}`, 204)
	remains(8.75, "it was refunded")
	a, _ = l.post(t, ":increment", `{"reserve":true,"charges":[{"limit":"llmCalls","identifier":"user:1","n":2},{"limit":"mine","identifier":"user:2","config":{"limit":9,"period":60}}]}`, 200)
	l.post(t, ":settle", `{"actuals":[0.25,3],"reservation":`+text(a)+`}`, 204)
	remains(8.5, "each charge has its own cost")
	if a, _ := l.post(t, "/mine/user:2:remaining", `{"config":{"limit":9,"period":60}}`, 200); a.RemainingLimit != 6 {
		t.Errorf("%v remain, want 6: the second cost is that of the second charge", a.RemainingLimit)
	}
	if a, _ := l.post(t, "/mine/user:1:remaining", `{"config":{"limit":1,"period":60}}`, 200); a.RemainingLimit != 1 {
		t.Errorf("%v remain, want 1: the charge with its own configuration was refunded", a.RemainingLimit)
	}
	l.post(t, "/llmCalls/user:1:increment", `{"n":4}`, 200)
	a, _ = l.post(t, "/llmCalls/user:1:increment", `{"n":2,"reserve":true}`, 429)
	if a.Reservation != nil {
		t.Errorf("a rejection has a reservation: %+v", a.Reservation)
	}
}

func TestLimitRequestsAreChecked(t *testing.T) {
	t.Parallel()
	l := startLimits(t)
	long := strings.Repeat("x", ratelimit.MaxKey)
	var seventeen []string
	for i := range 17 {
		seventeen = append(seventeen, fmt.Sprintf(`{"limit":"llmCalls","identifier":"user:%d"}`, i))
	}
	one := "/apiRateLimit/user:1:increment"
	for _, c := range []struct{ path, body, field, says string }{
		{one, `{"n":"1"}`, "n", "number"},
		{one, `{"n":1e400}`, "n", "number"},
		{one, `{"n":1000000001}`, "n", "1e+09"},
		{one, `{"n":-1000000001}`, "n", "1e+09"},
		{one, `{"n":NaN}`, "n", "invalid character 'N'"},
		{one, `{"n":1,"config":{"limit":5,"period":-Infinity}}`, "config.period", "invalid character"},
		{one, `{"n":1`, "", "unexpected EOF"},
		{one, `[1]`, "", "JSON object"},
		{one, `{"n":1}{}`, "", "more than one"},
		{one, `{"m":1}`, "m", "unknown"},
		{one, `{"config":{"limit":-1,"period":60}}`, "config.limit", "must be 0 to"},
		{one, `{"config":{"limit":1e10,"period":60}}`, "config.limit", "must be 0 to"},
		{one, `{"config":{"limit":1}}`, "config.period", "seconds"},
		{one, `{"config":{"limit":1,"period":-60}}`, "config.period", "seconds"},
		{one, `{"config":{"limit":1,"period":1e9}}`, "config.period", "seconds"},
		{one, `{"config":{"limit":1,"period":"60"}}`, "config.period", "number"},
		{one, `{"config":{"limit":1,"period":60,"burst":-1}}`, "config.burst", "must be 0 to"},
		{one, `{"config":{"limit":1,"period":60,"burstWindow":-1}}`, "config.burstWindow", "seconds"},
		{one, `{"config":{"limit":1,"period":60,"dailyLimit":-1}}`, "config.dailyLimit", "must be 0 to"},
		{one, `{"config":{"limit":1,"period":86400,"bucketSize":0.001}}`, "config.bucketSize", "buckets"},
		{one, `{"config":{"limit":1,"period":60,"bucketSize":0.0001}}`, "config.bucketSize", "seconds"},
		{one, `{"config":{"limit":1,"period":60,"calendarDaily":1}}`, "config.calendarDaily", "boolean"},
		{one, `{"config":{"limit":1,"period":60,"perod":1}}`, "perod", "unknown"},
		{one, `{"charges":[]}`, "charges", "no meaning"},
		{one, `{"reservationId":"a"}`, "reservationId", "reserve"},
		{one, `{"reserve":true,"reservationId":"` + strings.Repeat("i", 129) + `"}`, "reservationId", "128 bytes"},
		{one, `{"reserve":true,"reservationId":"a\u0000"}`, "reservationId", "control characters"},
		{one, `{"actual":1}`, "actual", "no meaning"},
		{"/apiRateLimit/user:1:check", `{"reserve":true}`, "reserve", "no meaning"},
		{"/apiRateLimit/user:1:remaining", `{"config":{"limit":1,"period":0}}`, "config.period", "seconds"},
		{"/apiRateLimit/:increment", "", "identifier", "required"},
		{"/apiRateLimit/" + long + ":increment", "", "identifier", "the limit is 490"},
		{"/apiRateLimit/%00:increment", "", "identifier", "control"},
		{"/apiRateLimit/%ff:increment", "", "identifier", "UTF-8"},
		{"/bad%20name/user:1:increment", `{"config":{"limit":1,"period":60}}`, "limit", "letter"},
		{"/bad%20name/user:1:reset", "", "limit", "letter"},
		{"/" + long + "/user:1:increment", `{"config":{"limit":1,"period":60}}`, "limit", "at most 63 letters"},
		{":increment", "", "charges", "1 to 16"},
		{":increment", `{"n":1}`, "n", "no meaning"},
		{":increment", `{"charges":[` + strings.Join(seventeen, ",") + `]}`, "charges", "1 to 16"},
		{":increment", `{"charges":[{"limit":"llmCalls","identifier":"a"},{"limit":"llmCalls","identifier":"a"}]}`, "charges[1]", "same key as charges[0]"},
		{":increment", `{"charges":[{"limit":"llmCalls","identifier":"a"},{"limit":"llmCalls","identifier":"b","n":+1}]}`, "charges[1].n", "invalid character '+'"},
		{":increment", `{"charges":[{"limit":"llmCalls","identifier":"a"},{"identifier":"a"}]}`, "charges[1].limit", "required"},
		{":increment", `{"charges":[{"limit":"llmCalls","identifier":"a"},{"limit":"llmCalls"}]}`, "charges[1].identifier", "required"},
		{":check", `{"charges":[{"limit":"llmCalls","identifier":"a","config":{"limit":1,"period":0}}]}`, "charges[0].config.period", "seconds"},
		{":settle", `{"actual":1}`, "reservation", "required"},
		{":settle", `{"reservation":{"id":"a"}}`, "actual", "required"},
		{":settle", `{"actual":1e10,"reservation":{"id":"a"}}`, "actual", "1e+09"},
		{":settle", `{"actuals":[1],"reservation":{"id":"a"}}`, "actuals", "1 costs for 0 charges"},
		{":settle", `{"actuals":[1e10],"reservation":{"id":"a","charges":[{}]}}`, "actuals[0]", "1e+09"},
		{":settle", `{"actual":1,"actuals":[1],"reservation":{"id":"a"}}`, "actuals", "beside actual"},
		{":refund", `{"actuals":[1],"reservation":{"id":"a"}}`, "actuals", "no meaning"},
		{":settle", `{"actual":1,"reservation":{"id":"a","charges":[{"limit":"llmCalls","identifier":"a","n":1,"bucket":1152921504606846976,"size":10000}]}}`, "", "bucket"},
		{":refund", `{"actual":1,"reservation":{"id":"a"}}`, "actual", "no meaning"},
	} {
		p := l.call(t, http.MethodPost, "/v1/limits"+c.path, c.body).wantProblem(t, 400, "invalid")
		switch {
		case c.field == "" && !strings.Contains(p.Detail, c.says):
			t.Errorf("%s %s: %q, want %q", c.path, c.body, p.Detail, c.says)
		case c.field != "" && (len(p.Faults) != 1 || p.Faults[0].Field != c.field || !strings.Contains(p.Faults[0].Message, c.says)):
			t.Errorf("%s %s: %+v, want a fault of %s that says %q", c.path, c.body, p.Faults, c.field, c.says)
		}
	}
	l.call(t, http.MethodPost, "/v1/limits"+one, `{"n":1`+strings.Repeat(" ", 64<<10)+`}`).wantProblem(t, 413, "too-large")
	l.call(t, http.MethodPost, "/v1/limits/apiRateLimit/user:1", `{`).wantProblem(t, 404, "no-route")
	l.call(t, http.MethodPost, "/v1/limits/apiRateLimit/user:1:fly", `{`).wantProblem(t, 404, "no-route")
	l.call(t, http.MethodPost, "/v1/limits:fly", "").wantProblem(t, 404, "no-route")
	l.call(t, http.MethodPost, "/v1/limits/unknown/user:1:increment", "").wantProblem(t, 404, "not-found")
	l.call(t, http.MethodGet, "/v1/limits/apiRateLimit/user:1:increment", "").wantProblem(t, 405, "no-method")
	for _, limit := range []string{"apiRateLimit", "llmCalls"} {
		if a, _ := l.post(t, "/"+limit+"/user:1:remaining", "", 200); a.RemainingLimit != configured[limit].Limit {
			t.Errorf("%v of %s remain: a refused request changed something", a.RemainingLimit, limit)
		}
	}
}

func TestLimitsInAnOutage(t *testing.T) {
	t.Parallel()
	l := startLimits(t)
	l.down.Store(true)
	for i := range 4 {
		status := 200
		if i == 3 {
			status = 429
		}
		if a, _ := l.post(t, "/apiRateLimit/user:1:increment", "", status); !a.Degraded {
			t.Errorf("increment %d in an outage: %+v, want degraded", i, a)
		}
	}
	if a, _ := l.post(t, "/apiRateLimit/user:1:remaining", "", 200); !a.Degraded {
		t.Errorf("remaining in an outage: %+v, want degraded", a)
	}
	got := l.call(t, http.MethodPost, "/v1/limits/closed/user:1:increment", "")
	got.wantProblem(t, 503, "unavailable")
	if got.Header.Get("Retry-After") == "" || strings.Contains(got.body, "secret") {
		t.Errorf("answer of a closed limit: %s %v", got.body, got.Header)
	}
	l.down.Store(false)
	if a, _ := l.post(t, "/apiRateLimit/user:1:increment", "", 200); a.Degraded {
		t.Errorf("after the outage: %+v", a)
	}
}

func TestLimitsAreListed(t *testing.T) {
	t.Parallel()
	l := startLimits(t)
	var got struct{ Limits map[string]ratelimit.Limit }
	l.call(t, http.MethodGet, "/v1/limits", "").decode(t, &got)
	want := map[string]ratelimit.Limit{}
	for name, limit := range configured {
		if limit.OnFailure == "" {
			limit.OnFailure = ratelimit.Open
		}
		want[name] = limit
	}
	if !reflect.DeepEqual(got.Limits, want) {
		t.Errorf("limits: %+v, want %+v", got.Limits, want)
	}
	without := start(t)
	without.call(t, http.MethodGet, "/v1/limits", "").wantProblem(t, 501, "no-limits")
	without.call(t, http.MethodPost, "/v1/limits:check", "").wantProblem(t, 501, "no-limits")
}

func TestClientsTogetherGetExactlyTheLimit(t *testing.T) {
	t.Parallel()
	l := startLimits(t)
	var admitted, rejected atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 5 {
				switch got := l.call(t, http.MethodPost, "/v1/limits/burst/user:1:increment", `{"config":{"limit":100,"period":60}}`); got.StatusCode {
				case http.StatusOK:
					admitted.Add(1)
				case http.StatusTooManyRequests:
					rejected.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if admitted.Load() != 100 || rejected.Load() != 220 {
		t.Errorf("%d admitted and %d rejected, want 100 and 220", admitted.Load(), rejected.Load())
	}
}

func TestCallsAreLimited(t *testing.T) {
	t.Parallel()
	l := startLimits(t, func(o *gateway.Options) { o.LimitCalls = true })
	for i := range 3 {
		// Without a key to know callers by, what they send as one is nothing.
		got := l.call(t, http.MethodGet, "/v1/sandboxes", "", header("Authorization", fmt.Sprintf("Bearer made up %d", i)), header("X-Forwarded-For", fmt.Sprintf("10.0.0.%d", i)))
		if got.StatusCode != http.StatusOK || got.Header.Get("RateLimit-Remaining") != strconv.Itoa(2-i) {
			t.Errorf("call %d: %d %v", i, got.StatusCode, got.Header)
		}
	}
	got := l.call(t, http.MethodGet, "/v1/sandboxes", "")
	var a limitAnswer
	got.decode(t, &a)
	if got.StatusCode != http.StatusTooManyRequests || got.Header.Get("Retry-After") != "70" || a.Details.LimitType != "apiRateLimit" || a.Identifier != "ip:127.0.0.1" {
		t.Errorf("over the limit: %d %s", got.StatusCode, got.body)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := l.call(t, http.MethodGet, path, ""); got.StatusCode != http.StatusOK {
			t.Errorf("%s over the limit: %d", path, got.StatusCode)
		}
	}
	l.call(t, http.MethodGet, "/v1/sandboxes", "", host("evil.example")).wantProblem(t, 421, "wrong-host")
	l.now.Store(70)
	l.down.Store(true)
	if got := l.call(t, http.MethodGet, "/v1/sandboxes", ""); got.StatusCode != http.StatusOK {
		t.Errorf("in an outage: %d %s", got.StatusCode, got.body)
	}
}

func TestKeysCannotBeGuessedAtAnyRate(t *testing.T) {
	t.Parallel()
	key := header("Authorization", "Bearer correct horse battery")
	l := startLimits(t, func(o *gateway.Options) { o.LimitCalls, o.APIKey = true, "correct horse battery" })
	for range 2 {
		l.call(t, http.MethodGet, "/v1/sandboxes", "", header("Authorization", "Bearer wrong")).wantProblem(t, 401, "unauthorized")
	}
	got := l.call(t, http.MethodGet, "/v1/sandboxes", "", header("Authorization", "Bearer wrong"))
	var a limitAnswer
	got.decode(t, &a)
	if got.StatusCode != http.StatusTooManyRequests || a.Details.LimitType != "authRateLimit" || a.Identifier != "ip:127.0.0.1" {
		t.Errorf("third guess: %d %s", got.StatusCode, got.body)
	}
	for range 3 {
		if got := l.call(t, http.MethodGet, "/v1/sandboxes", "", key); got.StatusCode != http.StatusOK {
			t.Errorf("with the key: %d %s", got.StatusCode, got.body)
		}
	}
	got = l.call(t, http.MethodGet, "/v1/sandboxes", "", key)
	if got.StatusCode != http.StatusTooManyRequests || strings.Contains(got.body, "battery") || !strings.Contains(got.body, `"identifier":"token:`) {
		t.Errorf("over the limit of the key: %d %s", got.StatusCode, got.body)
	}
}

func TestLimitedCallsNeedTheirLimits(t *testing.T) {
	t.Parallel()
	limiter, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryOptions{}), ratelimit.Options{
		Limits: map[string]ratelimit.Limit{ratelimit.APIRateLimit: configured[ratelimit.APIRateLimit]},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := start(t)
	for name, l := range map[string]*ratelimit.Limiter{"apiRateLimit": nil, "authRateLimit": limiter} {
		o := f.gateway.Options
		o.Limits, o.LimitCalls = l, true
		if _, err := gateway.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
