// Package docker_test builds the container files and looks into what they make.
package docker_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"vibesdk-gcp/internal/testenv"
)

// root is the build's context: the module, seen from this folder.
const root = "../.."

// context is a copy of what the container files copy, with the programs built as `make images` does.
func buildContext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "infra", "docker", "rootfs"), os.DirFS("rootfs")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "disable_grpc_modules,grpcnotrace,timetzdata",
		"-o", filepath.Join(dir, "bin", "linux")+string(filepath.Separator), "./cmd/vibed", "./cmd/vibectl", "./cmd/sandboxd")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

func TestImages(t *testing.T) {
	images := testenv.NewImages(t)
	dir := buildContext(t)
	t.Run("platform", func(t *testing.T) { platform(t, images, dir) })
	t.Run("sandbox", func(t *testing.T) { sandbox(t, images, dir) })
}

// platform is the image of vibed.
func platform(t *testing.T, images *testenv.Images, dir string) {
	file, err := filepath.Abs("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	image := images.Build(file, dir, nil)
	if user := images.Inspect(image, "{{.OCIv1.Config.User}}"); user != "65532:65532" {
		t.Errorf("it runs as %q", user)
	}
	if out, err := images.Run(image, "/vibed", "--help"); err != nil || !strings.Contains(out, "Run the platform") {
		t.Errorf("vibed --help: %v\n%s", err, out)
	}
	if out, err := images.Run(image, "/vibectl", "--help"); err != nil || !strings.Contains(out, "Usage:") {
		t.Errorf("vibectl --help: %v\n%s", err, out)
	}
	// In a container it listens where others reach it, which it refuses without a key.
	if out, err := images.Run(image, "/vibed"); err == nil || !strings.Contains(out, "0.0.0.0:8080") || !strings.Contains(out, "API_KEY") {
		t.Errorf("vibed without a key: %v\n%s", err, out)
	}
	for _, shell := range []string{"/bin/sh", "/bin/busybox"} {
		if out, err := images.Run(image, shell, "-c", "true"); err == nil {
			t.Errorf("the image has %s: %s", shell, out)
		}
	}
}

// sandbox is the image that projects are built and served in.
func sandbox(t *testing.T, images *testenv.Images, dir string) {
	file, err := filepath.Abs("SandboxDockerfile")
	if err != nil {
		t.Fatal(err)
	}
	image := images.Build(file, dir, map[string]string{"BASE_IMAGE": images.NodeBase()})
	if user := images.Inspect(image, "{{.OCIv1.Config.User}}"); user != "sandbox" {
		t.Errorf("it runs as %q", user)
	}
	if entry := images.Inspect(image, "{{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.WorkingDir}}"); entry != "[/usr/local/bin/sandboxd] /workspace" {
		t.Errorf("it starts as %q", entry)
	}
	out, err := images.Run(image, "sh", "-c", `
		id -un; node --version; npm --version; bun --version; git --version
		touch /workspace/file && echo workspace is writable
		touch /usr/local/bin/file 2>/dev/null || echo the rest is not
		sandboxd build 2>&1 || echo without a task it ends with $?
		env`)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`(?m)^sandbox$`, `(?m)^v\d+\.\d+\.\d+$`, `(?m)^\d+\.\d+\.\d+$`, `(?m)^git version 2\.`, `workspace is writable`, `the rest is not`,
		`without a task it ends with 2`, `(?m)^HOME=/home/sandbox$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("nothing printed matches %s:\n%s", want, out)
		}
	}
	if leaked := regexp.MustCompile(`(?mi)^[A-Z_]*(TOKEN|SECRET|KEY|PASSWORD|CREDENTIALS)[A-Z_]*=.*$`).FindString(out); leaked != "" {
		t.Errorf("the environment has %q", leaked)
	}
}
