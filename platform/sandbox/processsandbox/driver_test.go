package processsandbox_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/processsandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
)

// TestCommandsSeeNothingElse holds the whole environment of a project's command against what it may see.
func TestCommandsSeeNothingElse(t *testing.T) {
	t.Setenv("PLATFORM_PASSWORD", "do not pass on")
	dir, caches := t.TempDir(), t.TempDir()
	o := options(dir, sandboxd(t))
	o.CacheDir = caches
	o.BaseEnv["npm_config_cache"] = "/chosen"
	d := newDriver(t, o)
	// env -i would not do: what sh itself adds is seen too.
	task := sandboxtest.NewTask("environment", 1, `exec env -0 > "$TMPDIR/env"`)
	task.Spec.Env = map[string]string{"MINE": "a\nb", "LANG": "de_DE.UTF-8"}
	must(t, d.Build(t.Context(), task))
	sandboxtest.Until(t, d, task.Ref, "at an end", func(st sandbox.Status) bool { return st.Build != sandbox.Running })
	body, err := os.ReadFile(filepath.Join(folder(dir, task), "tmp", "env"))
	must(t, err)
	got := strings.Split(strings.TrimSuffix(string(body), "\x00"), "\x00")
	slices.Sort(got)
	home := folder(dir, task)
	want := []string{
		"PATH=" + os.Getenv("PATH"), "LANG=de_DE.UTF-8", "MINE=a\nb", "CI=true", "HOME=" + home + "/home", "TMPDIR=" + home + "/tmp",
		"PWD=" + home + "/app", "SANDBOX_DIR=" + home, "SANDBOX_PROJECT=environment", "SANDBOX_REF=" + task.Ref.String(),
		"BUN_INSTALL_CACHE_DIR=" + caches + "/bun", "GOCACHE=" + caches + "/go-build", "GOMODCACHE=" + caches + "/go-mod",
		"PIP_CACHE_DIR=" + caches + "/pip", "XDG_CACHE_HOME=" + caches + "/xdg", "YARN_CACHE_FOLDER=" + caches + "/yarn", "npm_config_cache=/chosen",
	}
	slices.Sort(want)
	// Shells add variables of their own about themselves.
	got = slices.DeleteFunc(got, func(entry string) bool {
		return strings.HasPrefix(entry, "_=") || strings.HasPrefix(entry, "SHLVL=") || strings.HasPrefix(entry, "OLDPWD=")
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "sandboxes")
	d := newDriver(t, options(dir, sandboxd(t)))
	task := sandboxtest.NewTask("modes", 1, sandboxtest.Page)
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	for path, want := range map[string]os.FileMode{dir: 0o700, folder(dir, task): 0o700, filepath.Join(folder(dir, task), "build.task.json"): 0o600, filepath.Join(folder(dir, task), "build.log"): 0o600} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

func TestBuildsWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir(), sandboxd(t))
	o.Builds = 1
	d := newDriver(t, o)
	first := sandboxtest.NewTask("turn-1", 1, "echo begun; sleep 1000")
	second := sandboxtest.NewTask("turn-2", 1, "echo begun; "+sandboxtest.Page)
	third := sandboxtest.NewTask("turn-3", 1, "echo begun")
	must(t, d.Build(t.Context(), first))
	sandboxtest.Printed(t, d, first.Ref, sandbox.PhaseBuild, `\] begun\n`)
	for _, task := range []sandbox.Task{second, third} {
		must(t, d.Build(t.Context(), task))
		sandboxtest.Printed(t, d, task.Ref, sandbox.PhaseBuild, `\[system\] waiting for a free build slot\n`)
		if st, _ := d.Inspect(t.Context(), task.Ref); st.Build != sandbox.Running {
			t.Errorf("a waiting build is %+v", st)
		}
	}
	must(t, d.Delete(t.Context(), third.Ref)) // while it waits
	if text := sandboxtest.Log(t, d, second.Ref, sandbox.PhaseBuild, 0); strings.Contains(text, "begun") {
		t.Errorf("two builds run at once:\n%s", text)
	}
	must(t, d.Delete(t.Context(), first.Ref))
	sandboxtest.Built(t, d, second.Ref)
}

func TestWaitingBuildTimesOut(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir(), sandboxd(t))
	o.Builds = 1
	d := newDriver(t, o)
	first := sandboxtest.NewTask("ahead", 1, "echo begun; sleep 1000")
	must(t, d.Build(t.Context(), first))
	sandboxtest.Printed(t, d, first.Ref, sandbox.PhaseBuild, `\] begun\n`)
	late := sandboxtest.NewTask("late", 1, "true")
	late.Deadline = first.Deadline.AddDate(0, 0, -1)
	must(t, d.Build(t.Context(), late))
	st := sandboxtest.Until(t, d, late.Ref, "at an end", func(st sandbox.Status) bool { return st.Build != sandbox.Running })
	if st.Interrupted || st.Reason != "build timed out while waiting for a free build slot" {
		t.Errorf("status = %+v", st)
	}
}

func TestDeleteStaysInside(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "precious"), []byte("x"), 0o600))
	d := newDriver(t, options(t.TempDir(), sandboxd(t)))
	task := sandboxtest.NewTask("links", 1, "ln -s '"+outside+"' out; mkdir -p ro/deep; touch ro/deep/file; chmod -R a-w ro; "+sandboxtest.Page)
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	must(t, d.Delete(t.Context(), task.Ref))
	if _, err := os.Stat(filepath.Join(outside, "precious")); err != nil {
		t.Errorf("delete followed a link out: %v", err)
	}
}

// TestDeleteReadOnlyFolders runs the removal as a user whom modes stop.
func TestDeleteReadOnlyFolders(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		must(t, removeReadOnly(t.TempDir()))
		return
	}
	dir, err := os.MkdirTemp("", "readonly-") //nolint:usetesting // no other user can enter t.TempDir
	must(t, err)
	defer os.RemoveAll(dir)
	must(t, os.Chmod(dir, 0o777))
	name, err := os.Executable()
	must(t, err)
	self, err := os.ReadFile(name)
	must(t, err)
	program := filepath.Join(dir, "remover") // where another user may run it
	must(t, os.WriteFile(program, self, 0o755))
	cmd := exec.Command(program, dir)
	cmd.Env = []string{roleVar + "=remover"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func playRemover(dir string) int {
	if err := removeReadOnly(dir); err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	return 0
}

func removeReadOnly(dir string) error {
	top := filepath.Join(dir, "mod", "cache", "pkg@v1")
	if err := os.MkdirAll(top, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(top, "go.mod"), nil, 0o400); err != nil {
		return err
	}
	for path := top; path != dir; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o500); err != nil {
			return err
		}
	}
	if err := os.Chmod(top, 0o000); err != nil {
		return err
	}
	return processsandbox.RemoveFolder(filepath.Join(dir, "mod"))
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	program := sandboxd(t)
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for want, o := range map[string]processsandbox.Options{
		"folder is not named":  {Sandboxd: program},
		"no such file":         {Dir: t.TempDir(), Sandboxd: filepath.Join(t.TempDir(), "missing")},
		"is not a program":     {Dir: t.TempDir(), Sandboxd: file},
		"not a directory":      {Dir: filepath.Join(file, "x"), Sandboxd: program},
		"must not be negative": {Dir: t.TempDir(), Sandboxd: program, Builds: -1},
	} {
		if _, err := processsandbox.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}

func TestGuestThatCannotStart(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "sandboxd")
	must(t, os.WriteFile(program, []byte("not a program"), 0o700))
	d := newDriver(t, options(t.TempDir(), program))
	task := sandboxtest.NewTask("cannot-start", 1, sandboxtest.Page)
	must(t, d.Build(t.Context(), task))
	st := sandboxtest.Until(t, d, task.Ref, "broken", func(st sandbox.Status) bool { return st.Build == sandbox.Broken })
	if !st.Interrupted || !strings.Contains(st.Reason, "sandboxd could not be started") {
		t.Errorf("status = %+v", st)
	}
	must(t, d.Delete(t.Context(), task.Ref))
}
