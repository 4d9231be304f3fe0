package sandboxrunner

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

const request = `{"requestId":"r1","projectName":"shop","source":{"files":[
	{"path":"b.sh","data":"AAEC","executable":true},{"path":"a.txt","content":"hä"}]},
	"installCommand":"i","buildCommand":"b","staticDir":"dist","env":{"B":"2","A":"1"},"ttlSeconds":60}`

func decode(t *testing.T, text string) *gen.SandboxRequest {
	t.Helper()
	req, err := schemas.DecodeSandboxRequest([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func digest(t *testing.T, text string) string {
	t.Helper()
	req := decode(t, text)
	sum, err := fingerprint(req, specOf(req))
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestSpecOf(t *testing.T) {
	t.Parallel()
	want := sandbox.Spec{
		ProjectName: "shop", Install: "i", Build: "b", StaticDir: "dist", Env: map[string]string{"A": "1", "B": "2"},
		Source: sandbox.Source{Files: []sandbox.File{{Path: "a.txt", Data: []byte("hä")}, {Path: "b.sh", Data: []byte{0, 1, 2}, Executable: true}}},
	}
	if diff := cmp.Diff(want, specOf(decode(t, request))); diff != "" {
		t.Error(diff)
	}
}

// TestFingerprintIsStable pins the digest: records of earlier releases hold it, and their messages may come again.
func TestFingerprintIsStable(t *testing.T) {
	t.Parallel()
	const want = "733d56bef958bdabf4eb2950c82b1ebe12e5c243b818f9e72dbce7291a8ce5ce"
	if got := digest(t, request); got != want {
		t.Errorf("fingerprint is %s, was %s in earlier releases", got, want)
	}
}

func TestFingerprintIsOfTheContent(t *testing.T) {
	t.Parallel()
	base := digest(t, request)
	for name, same := range map[string]string{
		"other spelling":  strings.NewReplacer("requestId", "request_id", "staticDir", "static_dir").Replace(request),
		"action said":     strings.Replace(request, `{`, `{"action":"RUN",`, 1),
		"files reordered": strings.Replace(strings.Replace(request, `{"path":"b.sh","data":"AAEC","executable":true},`, "", 1), `"hä"}`, `"hä"},{"path":"b.sh","data":"AAEC","executable":true}`, 1),
		"unknown field":   strings.Replace(request, `{`, `{"colour":"red",`, 1),
		"text as data":    strings.Replace(request, `"content":"hä"`, `"data":"aMOk"`, 1),
	} {
		if got := digest(t, same); got != base {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	for name, other := range map[string]string{
		"content": strings.Replace(request, "hä", "ha", 1),
		"command": strings.Replace(request, `"b"`, `"c"`, 1),
		"env":     strings.Replace(request, `"A":"1"`, `"A":"2"`, 1),
		"ttl":     strings.Replace(request, `60`, `61`, 1),
		"mode":    strings.Replace(request, `,"executable":true`, ``, 1),
	} {
		if got := digest(t, other); got == base {
			t.Errorf("another %s has the same fingerprint", name)
		}
	}
}

func TestNewRecord(t *testing.T) {
	t.Parallel()
	d := New(Options{Defaults: Defaults{MaxTTL: time.Hour}}).o.Defaults
	for _, tt := range []struct {
		name, text string
		ttl, idle  time.Duration
	}{
		{"asked", `{"requestId":"r","source":{"files":[{"path":"a"}]},"staticDir":".","ttlSeconds":60,"idleSeconds":20}`, time.Minute, 20 * time.Second},
		{"defaults", `{"requestId":"r","source":{"files":[{"path":"a"}]},"staticDir":"."}`, 30 * time.Minute, 10 * time.Minute},
		{"capped", `{"requestId":"r","source":{"files":[{"path":"a"}]},"staticDir":".","ttlSeconds":86400,"idleSeconds":86400}`, time.Hour, time.Hour},
	} {
		rec := d.newRecord(decode(t, tt.text), "f", t0)
		if rec.TTL != tt.ttl || rec.Idle != tt.idle || !rec.ExpiresAt.Equal(t0.Add(tt.ttl)) {
			t.Errorf("%s: ttl %s, idle %s, expires %s", tt.name, rec.TTL, rec.Idle, rec.ExpiresAt)
		}
		if rec.State != sandbox.Requested || rec.Fence != 1 || rec.ID != sandbox.IDFor("r") || rec.Token == "" || rec.ControlToken == "" {
			t.Errorf("%s: %+v", tt.name, rec)
		}
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	var end tail
	for range 5 {
		if _, err := end.Write([]byte(strings.Repeat("x", sandbox.MaxLogTail/2))); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = end.Write([]byte("end"))
	if got := end.String(); len(got) != sandbox.MaxLogTail || !strings.HasSuffix(got, "xend") {
		t.Errorf("kept %d bytes ending in %q", len(got), got[len(got)-10:])
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	for waited, want := range map[time.Duration]time.Duration{
		-time.Second: minPause, 0: minPause, 10 * time.Second: 200 * time.Millisecond, time.Hour: maxPause,
	} {
		if got := pause(waited); got != want {
			t.Errorf("pause(%s) = %s, want %s", waited, got, want)
		}
	}
}
