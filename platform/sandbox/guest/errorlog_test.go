package guest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/sandbox"
)

func TestErrorLog(t *testing.T) {
	t.Parallel()
	type seen struct {
		Message string
		Level   int
		Count   int
		Raw     string
	}
	for name, test := range map[string]struct {
		lines []string
		want  []seen
	}{
		"pino": {
			[]string{`{"level":30,"msg":"fine"}`, `{"level":50,"err":{"message":"no row"}}`, `{"level":60,"msg":"down"}`, `{"level":"error","msg":"not pino"}`, `{"level":50`},
			[]seen{{"down", 60, 1, `{"level":60,"msg":"down"}`}, {"no row", 50, 1, `{"level":50,"err":{"message":"no row"}}`}},
		},
		"digits only": {
			[]string{`{"level":50,"msg":"order 1 of 0xabc"}`, `{"level":50,"msg":"order 22 of 0xdef"}`, `{"level":60,"msg":"order 3 of 0x1"}`},
			[]seen{{"order 3 of 0x1", 60, 1, `{"level":60,"msg":"order 3 of 0x1"}`}, {"order 1 of 0xabc", 50, 2, `{"level":50,"msg":"order 22 of 0xdef"}`}},
		},
		"node": {
			[]string{"\x1b[31mTypeError: x is not a function\x1b[39m", "    at main (/app/a.js:1:2)", "    at b", "", "started again"},
			[]seen{{"TypeError: x is not a function", 50, 1, "TypeError: x is not a function\n    at main (/app/a.js:1:2)\n    at b"}},
		},
		"python": {
			[]string{"Traceback (most recent call last):", `  File "a.py", line 1, in <module>`, "ValueError: bad", "after", "Traceback (most recent call last):", "KeyError: 'k'"},
			[]seen{{"KeyError: 'k'", 50, 1, "Traceback (most recent call last):\nKeyError: 'k'"}, {"ValueError: bad", 50, 1, "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nValueError: bad"}},
		},
		"go": {
			[]string{"panic: boom", "", "goroutine 1 [running]:", "main.main()", "\t/app/main.go:3 +0x1", "exit status 2"},
			[]seen{{"panic: boom", 60, 1, "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:3 +0x1"}},
		},
		"others": {
			[]string{"Error: listen EADDRINUSE: address already in use :::3000", "Failed to compile", "Error: Cannot find module 'left-pad'"},
			[]seen{{"Error: Cannot find module 'left-pad'", 50, 1, "Error: Cannot find module 'left-pad'"}, {"Failed to compile", 50, 1, "Failed to compile"}, {"Error: listen EADDRINUSE: address already in use :::3000", 60, 1, "Error: listen EADDRINUSE: address already in use :::3000"}},
		},
		"not errors": {
			[]string{"0 errors", "No Error: all is well", "GET /error 200", "error handler registered", "  at noon", "Warning: careful"},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newErrorLog()
			for i, line := range test.lines {
				e.line(time.Unix(int64(i), 0), streamErr, line)
			}
			var got []seen
			for _, known := range e.list() {
				got = append(got, seen{known.Message, known.Level, known.Count, known.RawOutput})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("errors, newest first (-want +got):\n%s", diff)
			}
		})
	}
}

// Streams are apart: what stdout prints in between does not end a stack trace on stderr.
func TestErrorLogStreams(t *testing.T) {
	t.Parallel()
	e := newErrorLog()
	at := time.Unix(1, 0)
	e.line(at, streamErr, "Error: one")
	e.line(at, streamOut, "hello")
	e.line(at, streamErr, "    at two")
	if got := e.list(); len(got) != 1 || got[0].RawOutput != "Error: one\n    at two" {
		t.Errorf("%+v", got)
	}
}

func TestErrorLogLimits(t *testing.T) {
	t.Parallel()
	e := newErrorLog()
	for i := range 300 {
		e.line(time.Unix(int64(i), 0), streamErr, "Error: "+strings.Repeat("é", i+1))
	}
	e.line(time.Unix(400, 0), streamErr, "Error: deep")
	for range 10_000 {
		e.line(time.Unix(400, 0), streamErr, "    at frame")
	}
	got := e.list()
	if len(got) != sandbox.ControlErrorLimit || got[0].Message != "Error: deep" {
		t.Fatalf("%d errors, first %q", len(got), got[0].Message)
	}
	for _, known := range got {
		if len(known.Message) > messageLimit || len(known.RawOutput) > rawLimit {
			t.Errorf("message of %d and output of %d bytes", len(known.Message), len(known.RawOutput))
		}
		if !strings.HasSuffix(fmt.Sprintf("%q", known.Message), `"`) || strings.Contains(fmt.Sprintf("%q", known.Message), `\x`) {
			t.Errorf("message %q splits a character", known.Message)
		}
	}
}
