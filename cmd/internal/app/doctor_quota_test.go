package app

import (
	"log/slog"
	"strings"
	"testing"

	"vibesdk-gcp/internal/checkup"
	"vibesdk-gcp/internal/testenv"
)

func TestJudgeConnections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit, used int64
		want        string
	}{
		{100, 79, "ok: "},
		{100, 80, "warn: 80 of 100 connections are used"},
		{100, 95, "fail: 95 of 100 connections are used"},
		{47, 5, "warn: takes 47; with a process for each role they may open 63"},
		{8, 8, "fail: takes 8, one process may open 9"},
	} {
		f := checkup.About("database connections")
		judgeConnections(f, c.limit, c.used)
		found := f.Else("")
		status, text, _ := strings.Cut(c.want, ": ")
		if len(found) != 1 || string(found[0].Status) != status || !strings.Contains(found[0].Detail, text) || status != "ok" && found[0].Fix == "" {
			t.Errorf("%d of %d: %+v, want %s", c.used, c.limit, found, c.want)
		}
	}
}

// TestQuotasAreLookedAt asks a real Postgres and a real Redis.
func TestQuotasAreLookedAt(t *testing.T) {
	t.Parallel()
	redisURL, _ := testenv.Redis(t)
	c, err := ReadConfig(func(name string) (string, bool) {
		v, ok := map[string]string{"DATABASE_URL": testenv.Postgres(t), "LIMIT_BACKEND": "redis", "REDIS_URL": redisURL}[name]
		return v, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	subjects := map[string]checkup.Status{}
	for _, f := range CheckPorts(t.Context(), c, slog.New(slog.DiscardHandler)) {
		subject, _, _ := strings.Cut(f.Subject, " 127.")
		subjects[subject] = f.Status
		if subject == "database connections" && !strings.Contains(f.Detail, "used") && f.Status == checkup.OK {
			t.Errorf("%+v", f)
		}
	}
	for _, subject := range []string{"database connections", "Redis"} {
		if status, ok := subjects[subject]; !ok || status == checkup.Skipped {
			t.Errorf("%s was not looked at: %v", subject, subjects)
		}
	}
}
