package client_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"vibesdk-gcp/gateway/client"
)

func TestChargesAreSentOnce(t *testing.T) {
	t.Parallel()
	var s seen
	c := connect(t, client.Options{RetryFor: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
		s.add(r)
		http.Error(w, "busy", http.StatusServiceUnavailable)
	})
	charge := client.LimitCharge{Limit: "a", Identifier: "u", N: 1}
	_, increment := c.Limits().Increment(t.Context(), charge)
	_, reserve := c.Limits().Reserve(t.Context(), "id", charge)
	for _, err := range []error{increment, reserve} {
		if !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
	}
	if len(s.calls) != 2 {
		t.Errorf("calls %q, want one each", s.calls)
	}
}

func TestQuestionsAboutLimitsAreRepeated(t *testing.T) {
	t.Parallel()
	var s seen
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if s.add(r)%2 == 1 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"remainingLimit":2.5,"degraded":true}`)
	})
	left, err := c.Limits().Remaining(t.Context(), client.LimitCharge{Limit: "a", Identifier: "ip:::1/64"})
	if err != nil || left != (client.LimitRemaining{RemainingLimit: 2.5, Degraded: true}) {
		t.Errorf("%+v, %v", left, err)
	}
	if err := c.Limits().Reset(t.Context(), "a", ".."); err != nil {
		t.Error(err)
	}
	if s.calls[1] != "POST /v1/limits/a/ip:::1%2F64:remaining" || s.calls[3] != "POST /v1/limits/a/..:reset" || len(s.calls) != 4 {
		t.Errorf("calls %q", s.calls)
	}
	if err := c.Limits().Reset(t.Context(), "a", ""); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("without an identifier: %v", err)
	}
}

func TestRejectionsAreResults(t *testing.T) {
	t.Parallel()
	body := `{"status":429,"detail":"no","success":false,"limit":"a","identifier":"u","results":[{"success":false,"remainingLimit":0,"exceededLimit":"main","limitValue":3,"periodSeconds":60,"limit":"a","identifier":"u","retryAfterSeconds":9.5}]}`
	calls := 0
	c := connect(t, client.Options{RetryFor: time.Minute}, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.Header().Set("Retry-After", "10")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, body)
	})
	got, err := c.Limits().Increment(t.Context(), client.LimitCharge{Limit: "a", Identifier: "u", N: 1})
	if err != nil || got.Success || got.ExceededLimit != "main" || *got.LimitValue != 3 || *got.PeriodSeconds != 60 || got.RetryAfterSeconds != 9.5 {
		t.Errorf("%+v, %v", got, err)
	}
	// The same answer to another charge is about the call itself.
	_, err = c.Limits().Increment(t.Context(), client.LimitCharge{Limit: "a", Identifier: "other", N: 1})
	var refused *client.Error
	if !errors.Is(err, client.ErrLimited) || !errors.As(err, &refused) || refused.RetryAfter != 10*time.Second {
		t.Errorf("a call that was limited: %v", err)
	}
	if _, err := c.Limits().List(t.Context()); !errors.Is(err, client.ErrLimited) {
		t.Errorf("a list that was limited: %v", err)
	}
	if calls != 3 {
		t.Errorf("%d calls, want 3: what is limited is not repeated", calls)
	}
}

func TestReservationsKeepTheirForm(t *testing.T) {
	t.Parallel()
	const form = `{"id":"x","charges":[{"bucket":177262560}],"future":1}`
	var settled []string
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/v1/limits:increment" {
			_, _ = io.WriteString(w, `{"success":true,"results":[{"success":true,"limit":"a","identifier":"u"}],"reservation":`+form+`}`)
			return
		}
		settled = append(settled, r.URL.Path+" "+string(body))
		w.WriteHeader(http.StatusNoContent)
	})
	out, err := c.Limits().Reserve(t.Context(), "", client.LimitCharge{Limit: "a", Identifier: "u", N: 1})
	if err != nil || out.Reservation == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	stored, err := json.Marshal(out.Reservation)
	if err != nil {
		t.Fatal(err)
	}
	var again client.Reservation
	if err := json.Unmarshal(stored, &again); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Limits().Settle(t.Context(), again, 1.5), c.Limits().Refund(t.Context(), again), c.Limits().Settle(t.Context(), again, 1, 2)); err != nil {
		t.Fatal(err)
	}
	if settled[2] != `/v1/limits:settle {"actuals":[1,2],"reservation":`+form+`}` {
		t.Errorf("settled one by one: %q", settled[2])
	}
	if settled[0] != `/v1/limits:settle {"actual":1.5,"reservation":`+form+`}` || settled[1] != `/v1/limits:refund {"reservation":`+form+`}` {
		t.Errorf("settled %q", settled)
	}
}
