package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/checkup"
)

const (
	// callTimeout bounds each look: a person waits.
	callTimeout = 10 * time.Second
	// skewWarn and skewFail are differences of clocks. Due times and leases bear a few seconds; tokens and signed addresses no minute.
	skewWarn, skewFail = 5 * time.Second, time.Minute
)

// Gateway looks at the gateway at an address like http://127.0.0.1:8787: whether it answers and is ready, whether it takes our key, how far
// its clock is from ours, and whether dead letters wait. api is a client of it.
func Gateway(ctx context.Context, address string, api *client.Client) []checkup.Finding {
	f := checkup.About("gateway " + address)
	clock, err := ready(ctx, f, address)
	if err != nil {
		f.Fail("start it, or name its address with --addr or VIBE_ADDR", "does not answer: %v", err)
		return f.Else("")
	}
	found := append(f.Else("answers and is ready"), clock...)

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	calls, letters := checkup.About("gateway API"), checkup.About("dead letters")
	counts, err := api.DeadLetters().Count(ctx, client.DeadLetterQuery{States: []client.LetterState{client.LetterOpen}})
	switch {
	case errors.Is(err, client.ErrUnauthorized):
		calls.Fail("name the file with the key with --api-key-file or VIBE_API_KEY_FILE", "does not take our key: %v", err)
		return append(found, calls.Else("")...)
	case err != nil:
		calls.Fail("its log says why", "does not work: %v", err)
		return append(found, calls.Else("")...)
	}
	for _, c := range counts {
		letters.Warn("vibectl dlq list --subscription "+c.Subscription, "%d of %s wait for a person, the oldest since %s", c.Count, c.Subscription, c.Oldest.Format(time.RFC3339))
	}
	return append(append(found, calls.Else("answers")...), letters.Else("none waits")...)
}

// ready asks for readiness and compares clocks. An error is a server that does not answer.
func ready(ctx context.Context, f *checkup.Findings, address string) ([]checkup.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(address, "/")+"/readyz", http.NoBody)
	if err != nil {
		return nil, err
	}
	before := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	after := time.Now()
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		f.Fail("its log says which part does not answer", "is not ready: %s", resp.Status)
	}
	clock := checkup.About("clock")
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		clock.Skip("the gateway's answer has no date")
		return clock.Else(""), nil
	}
	return skew(clock, before, after, date), nil
}

// skew judges a date, cut to the second, that came with an answer between two moments of our clock.
func skew(f *checkup.Findings, before, after, date time.Time) []checkup.Finding {
	var off time.Duration
	switch {
	case date.After(after):
		off = date.Sub(after)
	case date.Add(time.Second).Before(before):
		off = date.Add(time.Second).Sub(before)
	}
	text := fmt.Sprintf("the gateway's is at least %s %s ours", off.Abs().Round(time.Millisecond), map[bool]string{true: "ahead of", false: "behind"}[off > 0])
	switch {
	case off.Abs() >= skewFail:
		f.Fail("synchronize the clocks (NTP) of both machines", "%s", text)
	case off.Abs() >= skewWarn:
		f.Warn("synchronize the clocks (NTP) of both machines", "%s", text)
	}
	return f.Else("the gateway's and ours agree within %s", (after.Sub(before) + time.Second).Round(time.Millisecond))
}
