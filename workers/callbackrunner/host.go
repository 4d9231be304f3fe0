package callbackrunner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"vibesdk-gcp/internal/hostclient"
)

// maxAnswer is how much of an answer is read. Nothing in it is used but the beginning of an error.
const maxAnswer = 64 << 10

// host is the agent host.
type host struct {
	*hostclient.Client

	timeout time.Duration
}

// verdict is what a call came to.
type verdict struct {
	// err is nil when the run went well. Its text is kept with the job.
	err error
	// begun is false when the host certainly did not begin the run.
	begun bool
	// permanent says that the host will never take this run.
	permanent bool
	// after is how long the host asked to be left alone; 0 when it did not.
	after time.Duration
}

// call makes the call, now.
func (h *host) call(ctx context.Context, c Call, idempotencyKey string, now time.Time) verdict {
	body, err := json.Marshal(c)
	if err != nil {
		return verdict{err: fmt.Errorf("encode the call: %w", err), begun: true, permanent: true}
	}
	req, err := h.Request(ctx, http.MethodPost, bytes.NewReader(body), "callbacks", c.SessionID, c.Callback)
	if err != nil {
		return verdict{err: err, begun: true, permanent: true}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(hostclient.IdempotencyKey, idempotencyKey)
	hostclient.SetTimeout(req.Header, h.timeout)
	resp, err := h.Do(req)
	if err != nil {
		return verdict{err: unreached(err), begun: !hostclient.NotConnected(err)}
	}
	defer resp.Body.Close()
	// A body that is read to its end lets the connection be used again; a giant one ends it.
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		// The work is done, whatever became of the rest of the answer.
		return verdict{begun: true}
	}
	v := verdict{err: fmt.Errorf("agent host answered %d%s", resp.StatusCode, hostclient.Quote(answer)), begun: true}
	if err != nil {
		v.err = fmt.Errorf("%w (and the answer broke off)", v.err)
	}
	switch code := resp.StatusCode; code {
	case http.StatusTooEarly, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		v.begun = false
		v.after = retryAfter(resp.Header.Get("Retry-After"), now)
	case http.StatusRequestTimeout, http.StatusConflict:
	default:
		v.permanent = code >= 400 && code < 500
	}
	return v
}

// unreached says why there is no answer.
func unreached(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("agent host did not answer in time")
	}
	return fmt.Errorf("agent host was not reached: %w", hostclient.Cause(err))
}

// retryAfter reads the header: seconds or a date; 0 when there is none or it makes no sense.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(seconds, 0), int(maxPostpone/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxPostpone)
	}
	return 0
}
