package guest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/sandbox"
)

func testTask(id string) sandbox.GuestTask {
	return sandbox.GuestTask{Task: sandbox.Task{Ref: sandbox.Ref{ID: id, Fence: 1}}}
}

// printed writes chunks to a stream and returns the texts of the log lines.
func printed(tb testing.TB, env map[string]string, chunks ...string) []string {
	tb.Helper()
	var out bytes.Buffer
	task := testTask("sbx-log")
	task.Spec.Env = env
	log := newPhaseLog(&out, task, 1<<20)
	w := log.stream(streamOut, nil)
	for _, c := range chunks {
		if n, err := w.Write([]byte(c)); n != len(c) || err != nil {
			tb.Fatalf("wrote %d of %d: %v", n, len(c), err)
		}
	}
	w.Close()
	return texts(tb, out.String())
}

func texts(tb testing.TB, log string) []string {
	tb.Helper()
	var got []string
	for line := range strings.Lines(log) {
		_, text, found := strings.Cut(line, "] [stdout] ")
		if !found {
			tb.Fatalf("line %q has no stream", line)
		}
		got = append(got, strings.TrimSuffix(text, "\n"))
	}
	return got
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{"A": "secret", "B": "secret-longer", "C": "tiny", "D": "first line\r\n\nsecond line\n"}
	long := strings.Repeat("x", lineLimit)
	for name, test := range map[string]struct{ chunks, want []string }{
		"plain":          {[]string{"one\ntwo\n"}, []string{"one", "two"}},
		"split":          {[]string{"o", "ne\nt", "wo"}, []string{"one", "two"}},
		"empty lines":    {[]string{"\n\n"}, []string{"", ""}},
		"nothing":        {[]string{""}, nil},
		"windows":        {[]string{"a\r", "\nb\r\n"}, []string{"a", "b"}},
		"progress":       {[]string{"10%\r50%\r100%\n"}, []string{"100%"}},
		"nul":            {[]string{"a\x00b\n"}, []string{"ab"}},
		"masked":         {[]string{"x secret y\n"}, []string{"x *** y"}},
		"longest first":  {[]string{"secret-longer\n"}, []string{"***"}},
		"short is shown": {[]string{"tiny\n"}, []string{"tiny"}},
		"line by line":   {[]string{"first line\nsecond line\n"}, []string{"***", "***"}},
		"split secret":   {[]string{"sec", "ret\n"}, []string{"***"}},
		"long":           {[]string{long + "tail\n"}, []string{long, "tail"}},
		"exactly long":   {[]string{long + "\n"}, []string{long}},
		"no line break":  {[]string{long, long, "end"}, []string{long, long, "end"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, printed(t, secrets, test.chunks...)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

// A secret that lies across the place where an endless line is cut is not shown in halves.
func TestLogMasksAcrossCuts(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef"
	for shift := range len(secret) + 2 {
		got := printed(t, map[string]string{"S": secret}, strings.Repeat(".", lineLimit-shift)+secret[:5], secret[5:]+strings.Repeat(".", lineLimit))
		all := strings.Join(got, "")
		if strings.Count(all, "***") != 1 || strings.ContainsAny(all, secret) {
			t.Errorf("shift %d: %q", shift, strings.Trim(all, "."))
		}
	}
}

func TestLogStoredLimit(t *testing.T) {
	t.Parallel()
	var out countingWriter
	log := newPhaseLog(&out, testTask("sbx-log"), 1<<10)
	log.limit = 4 << 20
	w := log.stream(streamOut, nil)
	chunk := []byte(strings.Repeat(strings.Repeat("y", 1023)+"\n", 1024))
	for range 8 {
		_, _ = w.Write(chunk)
	}
	if out.n > 6<<20 {
		t.Errorf("%d bytes were stored, the limit is %d", out.n, log.limit)
	}
	if !strings.Contains(out.last, "the log is larger than 4 MiB") {
		t.Errorf("the last line does not say why: %q", out.last[max(0, len(out.last)-200):])
	}
	log.system("still kept")
	if !strings.Contains(log.tail(), "still kept") {
		t.Error("the live end stopped too")
	}
}

type countingWriter struct {
	n    int
	last string
}

func (c *countingWriter) Write(p []byte) (int, error) {
	c.n += len(p)
	c.last = string(p[max(0, len(p)-512):])
	return len(p), nil
}

// However output is cut into writes, the log is the same, no line is too long and no secret is in it.
func FuzzLogLines(f *testing.F) {
	f.Add([]byte("one\ntwo secret\r\nthree"), 3)
	f.Add([]byte(strings.Repeat("z", lineLimit+100)), 1000)
	f.Add([]byte("\r\r\n\x00\xff\xfe secre\nt"), 1)
	f.Fuzz(func(t *testing.T, output []byte, size int) {
		env := map[string]string{"S": "secret"}
		size = max(size%4096, 1+len(output)/256)
		var chunks []string
		for rest := output; len(rest) > 0; {
			n := min(size, len(rest))
			chunks = append(chunks, string(rest[:n]))
			rest = rest[n:]
		}
		got := printed(t, env, chunks...)
		for _, line := range got {
			if len(line) > lineLimit || strings.Contains(line, "\n") || strings.Contains(line, "\x00") {
				t.Errorf("line of %d bytes", len(line))
			}
			if strings.Contains(line, "secret") {
				t.Errorf("line %.100q holds the secret", line)
			}
		}
		if len(output) < lineLimit { // beyond, the cut depends on when the bytes came
			if diff := cmp.Diff(printed(t, env, string(output)), got); diff != "" {
				t.Errorf("depends on the writes:\n%s", diff)
			}
		}
	})
}

func TestRing(t *testing.T) {
	t.Parallel()
	r := newRing(10)
	for i := range 100 {
		fmt.Fprintf(r, "%d\n", i)
	}
	if got := r.tail(6); got != "98\n99\n" {
		t.Errorf("tail %q", got)
	}
	if got := r.tail(7); got != "98\n99\n" {
		t.Errorf("tail begins within a line: %q", got)
	}
	end := int64(290)
	if body, err := io.ReadAll(r.reader(t.Context(), end-3, false)); err != nil || string(body) != "99\n" {
		t.Errorf("from an offset: %q, %v", body, err)
	}
	if body, err := io.ReadAll(r.reader(t.Context(), 0, false)); err != nil || len(body) < 10 || len(body) > 20 || !strings.HasSuffix(string(body), "\n97\n98\n99\n") {
		t.Errorf("from an offset long gone: %q, %v", body, err)
	}
	if body, err := io.ReadAll(r.reader(t.Context(), 1<<40, false)); err != nil || len(body) != 0 {
		t.Errorf("from beyond the end: %q, %v", body, err)
	}

	follower := r.reader(t.Context(), end, true)
	got := make(chan string)
	go func() {
		body, err := io.ReadAll(follower)
		got <- fmt.Sprint(string(body), err)
	}()
	fmt.Fprint(r, "more\n")
	r.Close()
	if s := <-got; s != "more\n<nil>" {
		t.Errorf("a follower read %q", s)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newRing(10).reader(ctx, 0, true).Read(make([]byte, 1)); err != context.Canceled { //nolint:errorlint // exactly this
		t.Errorf("a follower whose context ended: %v", err)
	}
}
