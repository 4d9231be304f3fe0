package guest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tarOf packs headers; a regular file holds its own name.
func tarOf(tb testing.TB, headers ...tar.Header) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		var body []byte
		if h.Typeflag == 0 || h.Typeflag == tar.TypeReg {
			body = []byte(h.Name)
			h.Size = int64(len(body))
		}
		if h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// unpackInto unpacks below <dir>/app and returns what lies in dir beside it: that must be nothing.
func unpackInto(tb testing.TB, dir string, kind archiveKind, body []byte, limits unpackLimits) error {
	tb.Helper()
	app := filepath.Join(dir, "app")
	if err := os.Mkdir(app, 0o750); err != nil {
		tb.Fatal(err)
	}
	root, err := os.OpenRoot(app)
	if err != nil {
		tb.Fatal(err)
	}
	defer root.Close()
	err = unpackArchive(context.Background(), kind, bytes.NewReader(body), root, tb.TempDir(), limits)
	beside, readErr := os.ReadDir(dir)
	if readErr != nil || len(beside) != 1 {
		tb.Fatalf("unpacking wrote beside the folder: %v, %v", beside, readErr)
	}
	return err
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	small := unpackLimits{entries: 3, bytes: 40}
	for name, test := range map[string]struct {
		headers []tar.Header
		want    string
	}{
		"absolute":        {[]tar.Header{{Name: "/etc/x"}}, `entry "/etc/x": absolute paths are not allowed`},
		"up":              {[]tar.Header{{Name: "a/../../x"}}, `entry "a/../../x": the path leads outside the project`},
		"backslash":       {[]tar.Header{{Name: `..\x`}}, "backslash"},
		"link absolute":   {[]tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}}, `entry "l": the symbolic link to "/etc" leads outside the project`},
		"link up":         {[]tar.Header{{Name: "a/l", Typeflag: tar.TypeSymlink, Linkname: "../../x"}}, "leads outside"},
		"hard link up":    {[]tar.Header{{Name: "l", Typeflag: tar.TypeLink, Linkname: "../x"}}, "leads outside"},
		"hard link gone":  {[]tar.Header{{Name: "l", Typeflag: tar.TypeLink, Linkname: "x"}}, "not a file unpacked before"},
		"device":          {[]tar.Header{{Name: "d", Typeflag: tar.TypeChar}}, `entry "d": devices, pipes and sockets are not allowed`},
		"pipe":            {[]tar.Header{{Name: "p", Typeflag: tar.TypeFifo}}, "devices, pipes"},
		"too many":        {[]tar.Header{{Name: "1"}, {Name: "2"}, {Name: "3"}, {Name: "4"}}, "more than 3 entries"},
		"too large":       {[]tar.Header{{Name: strings.Repeat("x", 30)}, {Name: strings.Repeat("y", 30)}}, "unpacks to more than"},
		"file is root":    {[]tar.Header{{Name: "a/.."}}, "only a folder"},
		"nothing":         {nil, "the archive is empty"},
		"file over tree":  {[]tar.Header{{Name: "d/f"}, {Name: "d"}}, `entry "d"`},
		"file below file": {[]tar.Header{{Name: "f"}, {Name: "f/g"}}, `entry "f/g"`},
		"chain of links that leaves": {[]tar.Header{
			{Name: "d/e/s", Typeflag: tar.TypeSymlink, Linkname: "../../top"},
			{Name: "top/", Typeflag: tar.TypeDir, Mode: 0o755},
			{Name: "z", Typeflag: tar.TypeSymlink, Linkname: "d/e/s/../../x"},
		}, `entry "z": the symbolic link leads outside the project`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := unpackInto(t, t.TempDir(), kindTar, tarOf(t, test.headers...), small)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	for kind, body := range map[archiveKind]string{kindTar: "no tar, but long enough" + strings.Repeat("!", 600), kindTarGzip: "no gzip", kindZip: "no zip"} {
		if err := unpackInto(t, t.TempDir(), kind, []byte(body), small); err == nil || !strings.Contains(err.Error(), "not a ") {
			t.Errorf("kind %d: %v", kind, err)
		}
	}
}

func TestUnpackKeeps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	when := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	err := unpackInto(t, dir, kindTar, tarOf(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "of git archive"}},
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "locked/", Typeflag: tar.TypeDir, Mode: 0o555},
		tar.Header{Name: "./locked/tool", Mode: 0o4755, ModTime: when},
		tar.Header{Name: "same", Typeflag: tar.TypeLink, Linkname: "locked/tool"},
		tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "locked/tool"},
		tar.Header{Name: "dangling", Typeflag: tar.TypeSymlink, Linkname: "not/there"},
		tar.Header{Name: "twice", Typeflag: tar.TypeSymlink, Linkname: "locked/tool"},
		tar.Header{Name: "twice"},
		tar.Header{Name: "unreadable", Mode: 0o001},
	), sourceLimits)
	if err != nil {
		t.Fatal(err)
	}
	app := filepath.Join(dir, "app")
	info, err := os.Stat(filepath.Join(app, "link"))
	if err != nil || info.Mode() != 0o755 || !info.ModTime().Equal(when) {
		t.Errorf("tool: %v %v, %v; want -rwxr-xr-x of %v, without the set-user-id bit", info.Mode(), info.ModTime(), err, when)
	}
	if info, err := os.Stat(filepath.Join(app, "locked")); err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("a read-only folder: %v, %v", info, err)
	}
	// The second entry of a name replaces the first and does not write through it.
	if body, err := os.ReadFile(filepath.Join(app, "locked/tool")); err != nil || string(body) != "./locked/tool" {
		t.Errorf("tool holds %q, %v", body, err)
	}
	if body, err := os.ReadFile(filepath.Join(app, "twice")); err != nil || string(body) != "twice" {
		t.Errorf("twice holds %q, %v", body, err)
	}
	if body, err := os.ReadFile(filepath.Join(app, "unreadable")); err != nil || string(body) != "unreadable" {
		t.Errorf("its owner can read every file: %q, %v", body, err)
	}
}

func TestUnpackZipRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode fs.FileMode
		body string
		want string
	}{
		"../slip": {0o644, "x", "leads outside"},
		"/abs":    {0o644, "x", "absolute paths"},
		"link":    {0o777 | fs.ModeSymlink, "../../etc", "leads outside"},
		"pipe":    {0o644 | fs.ModeNamedPipe, "", "devices, pipes"},
	} {
		var buf bytes.Buffer
		z := zip.NewWriter(&buf)
		h := &zip.FileHeader{Name: name}
		h.SetMode(test.mode)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write([]byte(test.body))
		}
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		if err := unpackInto(t, t.TempDir(), kindZip, buf.Bytes(), sourceLimits); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	t.Parallel()
	from, bucket, to := t.TempDir(), t.TempDir(), t.TempDir()
	when := time.Date(2025, 1, 2, 3, 4, 5, 6_000, time.UTC)
	for name, mode := range map[string]fs.FileMode{"a.txt": 0o644, "bin/tool": 0o755} {
		path := filepath.Join(from, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(name), mode), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("/usr/bin/env", filepath.Join(from, "abs")), os.Mkdir(filepath.Join(from, "empty"), 0o750)); err != nil {
		t.Fatal(err)
	}
	address := "file://" + bucket + "/snapshot"
	digest, err := uploadSnapshot(t.Context(), address, from)
	if err != nil {
		t.Fatal(err)
	}
	if err := restoreSnapshot(t.Context(), address, digest, to); err != nil {
		t.Fatal(err)
	}
	if err := restoreSnapshot(t.Context(), address, "sha256:00", t.TempDir()); err == nil || !strings.Contains(err.Error(), digest) {
		t.Errorf("restore of another snapshot than was built: %v", err)
	}
	if info, err := os.Stat(filepath.Join(to, "bin/tool")); err != nil || info.Mode() != 0o755 || !info.ModTime().Equal(when.Truncate(time.Second)) {
		t.Errorf("tool: %v, %v", info, err)
	}
	if target, err := os.Readlink(filepath.Join(to, "abs")); err != nil || target != "/usr/bin/env" {
		t.Errorf("a link of the app's own making: %q, %v", target, err)
	}
	if info, err := os.Stat(filepath.Join(to, "empty")); err != nil || !info.IsDir() {
		t.Errorf("an empty folder: %v, %v", info, err)
	}
	// An upload that fails leaves no object, and a restore of none says so.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := uploadSnapshot(ctx, address+"-2", from); err == nil {
		t.Error("an upload whose context ended succeeded")
	}
	if err := restoreSnapshot(t.Context(), address+"-2", "", t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("restore of a snapshot that is not there: %v", err)
	}
}

// Whatever the names in an archive are, nothing is written outside, and what is accepted can be read back.
func FuzzUnpackPaths(f *testing.F) {
	for _, seed := range []string{"a/b", "../x", "/x", "a/../../x", `a\..\..\x`, "./.", "a//b", "\x00", strings.Repeat("a/", 3000), "…/é"} {
		f.Add(seed, "l", "../x")
		f.Add("a/b", seed, "a")
		f.Add("a/b", "l", seed)
	}
	f.Fuzz(func(t *testing.T, name, link, target string) {
		dir := t.TempDir()
		app := filepath.Join(dir, "app")
		if err := os.Mkdir(app, 0o750); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(app)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		u := newUnpacker(root, sourceLimits)
		made, err := u.accept(link)
		if err == nil {
			err = u.symlink(made, target)
		}
		linked := err == nil
		if clean, err := u.accept(name); err == nil {
			if u.file(t.Context(), clean, 0o644, time.Time{}, strings.NewReader("body")) == nil {
				if body, err := root.ReadFile(clean); err != nil || string(body) != "body" {
					t.Errorf("%q was accepted as %q and is %q, %v", name, clean, body, err)
				}
			}
		}
		if u.finish() == nil && linked {
			if info, err := root.Stat(made); leavesRoot(err) {
				t.Errorf("the link %q to %q leaves: %v, %v", link, target, info, err)
			}
		}
		if beside, err := os.ReadDir(dir); err != nil || len(beside) != 1 {
			t.Errorf("%q, %q, %q wrote beside the folder: %v, %v", name, link, target, beside, err)
		}
	})
}
