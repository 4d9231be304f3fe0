package filelock_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"vibesdk-gcp/internal/filelock"
)

var hold = flag.String("hold", "", "lock this file and wait to be killed")

func TestMain(m *testing.M) {
	flag.Parse()
	if *hold != "" {
		if _, err := filelock.Try(*hold); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent ends
		return
	}
	os.Exit(m.Run())
}

func held(t *testing.T, path string) bool {
	t.Helper()
	got, err := filelock.Held(path)
	if err != nil {
		t.Fatalf("Held: %v", err)
	}
	return got
}

func TestLockIsExclusive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "folder", "lock")
	if held(t, path) {
		t.Error("a missing file is held")
	}
	lock, err := filelock.Try(path)
	if err != nil {
		t.Fatalf("Try: %v", err)
	}
	if _, err := filelock.Try(path); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("second Try: got %v, want ErrHeld", err)
	}
	if !held(t, path) {
		t.Error("Held does not see the lock")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := filelock.Wait(ctx, path); !errors.Is(err, filelock.ErrHeld) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait: got %v, want ErrHeld and DeadlineExceeded", err)
	}

	got := make(chan error, 1)
	go func() {
		lock, err := filelock.Wait(context.Background(), path)
		if err == nil {
			err = lock.Remove()
		}
		got <- err
	}()
	if err := lock.Release(); err != nil {
		t.Errorf("Release: %v", err)
	}
	if err := <-got; err != nil {
		t.Errorf("waiting for the lock: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the removed lock's file: %v", err)
	}
}

func TestLockEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	cmd := exec.Command(os.Args[0], "-hold", path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	if !held(t, path) {
		t.Error("the child's lock is not seen")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if held(t, path) {
		t.Error("the lock outlives its process")
	}
}
