package console

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSealedSessionsOpenOnlyWithTheirSecretAndInTime(t *testing.T) {
	t.Parallel()
	const token = "vibe_0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ends := now.Add(time.Hour)
	ours, same, other := newSeal([]byte("a secret that is shared by two")), newSeal([]byte("a secret that is shared by two")), newSeal([]byte("another secret"))
	value, err := ours.close(token, ends)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ours.close(token, ends)
	if err != nil || again == value {
		t.Errorf("the same session twice is the same text: %v", err)
	}
	plain, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || strings.Contains(value, token) || strings.Contains(string(plain), token[:12]) {
		t.Errorf("the cookie shows the key, %v", err)
	}
	for name, c := range map[string]struct {
		seal  *seal
		value string
		now   time.Time
		want  string
	}{
		"ours":              {ours, value, now, token},
		"of an instance":    {same, value, ends.Add(-time.Second), token},
		"at its end":        {ours, value, ends, ""},
		"of another secret": {other, value, now, ""},
		"made up anew":      {newSeal(nil), value, now, ""},
		"changed":           {ours, flip(value), now, ""},
		"cut":               {ours, value[:len(value)-4], now, ""},
		"nothing":           {ours, "", now, ""},
		"no base64":         {ours, "not base64!", now, ""},
	} {
		got, err := c.seal.open(c.value, c.now)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, errNoSession) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// flip changes the last bit that counts.
func flip(value string) string {
	data, _ := base64.RawURLEncoding.DecodeString(value)
	data[len(data)-1] ^= 1
	return base64.RawURLEncoding.EncodeToString(data)
}

func TestASealWithoutASecretTakesItsOwn(t *testing.T) {
	t.Parallel()
	s, now := newSeal(nil), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	value, err := s.close("key", now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.open(value, now); got != "key" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzOpenSession(f *testing.F) {
	s := newSeal(nil)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	value, err := s.close("key", now.Add(time.Minute))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value[:20])
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := s.open(text, now); err == nil && text != value {
			t.Errorf("%q opens as %q", text, got)
		}
	})
}
