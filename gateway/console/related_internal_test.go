package console

import (
	"strings"
	"testing"
)

func TestARequestGetsAnotherIDAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{\n  \"requestId\": \"shop-1\",\n  \"n\": 1.0,\n  \"note\": \"requestId\"\n}", `{"n": 1, "request_id" : "with \"quotes\" \\"}`,
	} {
		got, err := renew(text)
		if err != nil {
			t.Fatal(err)
		}
		at := strings.IndexByte(text, ':')
		before := requestIDField.FindStringSubmatchIndex(text)
		after := requestIDField.FindStringSubmatchIndex(got)
		if at < 0 || after == nil || got[:after[3]] != text[:before[3]] || got[after[1]:] != text[before[1]:] || got == text {
			t.Errorf("%s became %s", text, got)
		}
		if again, err := renew(text); err != nil || again == got {
			t.Errorf("the same id twice: %s, %v", again, err)
		}
	}
	if got, err := renew(`{"sandboxId":"x"}`); err == nil || got != `{"sandboxId":"x"}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestPayloadsComeBackFromTheForm(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{`{"a":1.0,"b":"<x>"}`, "plain text", "\x00\x01\xff", ""} {
		text, encoded := editable([]byte(payload))
		got, err := payloadOf(strings.ReplaceAll(text, "\n", "\r\n"), encoded)
		if err != nil || string(got) != payload {
			t.Errorf("%q came back as %q, %v", payload, got, err)
		}
	}
}
