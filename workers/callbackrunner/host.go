package callbackrunner

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.opentelemetry.io/otel/propagation"
)

const (
	// maxAnswer is how much of an answer is read. Nothing in it is used but the beginning of an error.
	maxAnswer = 64 << 10
	// maxErrorText is how many bytes of an answer's body an error quotes.
	maxErrorText = 200
)

// host is the agent host.
type host struct {
	base   string // without a slash at the end
	key    string
	client *http.Client
}

// newHost checks the address. Errors do not repeat it: what was meant for another setting may be in there.
func newHost(address, key string, concurrency int) (*host, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, errors.New("address of the agent host must be like https://host or http://127.0.0.1:8080/path")
	case u.User != nil:
		return nil, errors.New("address of the agent host must not hold a user or a password")
	case u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return nil, errors.New("address of the agent host must not have a query or a fragment")
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        concurrency,
		MaxIdleConnsPerHost: concurrency,
		IdleConnTimeout:     90 * time.Second,
	}
	return &host{
		base: strings.TrimSuffix(u.String(), "/"), key: key,
		client: &http.Client{
			Transport: transport,
			// A redirect would send the payload and the key to wherever it points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
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
	address := h.base + "/callbacks/" + segment(c.SessionID) + "/" + segment(c.Callback)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return verdict{err: fmt.Errorf("make the call: %w", err), begun: true, permanent: true}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", idempotencyKey)
	req.Header.Set("User-Agent", "vibesdk-gcp")
	if h.key != "" {
		req.Header.Set("Authorization", "Bearer "+h.key)
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))
	resp, err := h.client.Do(req)
	if err != nil {
		return verdict{err: unreached(err), begun: !notConnected(err)}
	}
	defer resp.Body.Close()
	// A body that is read to its end lets the connection be used again; a giant one ends it.
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		// The work is done, whatever became of the rest of the answer.
		return verdict{begun: true}
	}
	v := verdict{err: fmt.Errorf("agent host answered %d%s", resp.StatusCode, quoted(answer)), begun: true}
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

// segment is one segment of a path. A dot segment would be taken for a direction.
func segment(text string) string {
	if text == "." || text == ".." {
		return strings.ReplaceAll(text, ".", "%2E")
	}
	return url.PathEscape(text)
}

// notConnected reports whether a call failed before anything of it was sent.
func notConnected(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return untrusted
}

// unreached says why there is no answer, without the address: it would repeat what people know in every error of every job.
func unreached(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("agent host did not answer in time")
	}
	return fmt.Errorf("agent host was not reached: %w", err)
}

// quoted is the beginning of an answer on one line.
func quoted(answer []byte) string {
	text := string(answer[:min(len(answer), maxErrorText)])
	text = strings.ToValidUTF8(text, "")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if text == "" {
		return ""
	}
	return ": " + text
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
