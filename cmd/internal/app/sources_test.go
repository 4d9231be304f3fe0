package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"gocloud.dev/blob/fileblob"

	"vibesdk-gcp/gateway"
)

func TestOldUploadsAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{Metadata: fileblob.MetadataDontWrite, NoTempDir: true})
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	now := time.Now()
	for key, age := range map[string]time.Duration{
		gateway.SourcePrefix + "old.tar.gz": 50 * time.Hour, gateway.SourcePrefix + "young.tar.gz": 47 * time.Hour, "other/old": 800 * time.Hour,
		gateway.MutationPrefix + "old.json": 33 * 24 * time.Hour, gateway.MutationPrefix + "young.json": 31 * 24 * time.Hour,
	} {
		if err := bucket.WriteAll(t.Context(), key, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, filepath.FromSlash(key)), now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := removeOld(t.Context(), bucket, now, 0, true); err != nil || n != 2 {
		t.Errorf("a dry run counted %d, %v; want two", n, err)
	}
	if n, err := removeOld(t.Context(), bucket, now, 60*24*time.Hour, false); err != nil || n != 0 {
		t.Errorf("removed %d that are younger than 60 days, %v", n, err)
	}
	if n, err := removeOld(t.Context(), bucket, now, time.Second, false); err != nil || n != 2 {
		t.Errorf("removed %d, %v; want two", n, err)
	}
	for key, want := range map[string]bool{gateway.SourcePrefix + "old.tar.gz": false, gateway.SourcePrefix + "young.tar.gz": true, "other/old": true,
		gateway.MutationPrefix + "old.json": false, gateway.MutationPrefix + "young.json": true} {
		if got, err := bucket.Exists(t.Context(), key); err != nil || got != want {
			t.Errorf("%s there = %v, %v; want %v", key, got, err, want)
		}
	}
}

// TestLifecycleRulesKeepAsLong holds the rules of the bucket on Cloud Storage against what is kept here.
func TestLifecycleRulesKeepAsLong(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../../../infra/gcp/modules/sandbox/variables.tf")
	if err != nil {
		t.Fatal(err)
	}
	days := map[string]time.Duration{}
	for _, rule := range regexp.MustCompile(`(?m)^    "([a-z]+/)" += ([0-9]+)$`).FindAllStringSubmatch(string(body), -1) {
		n, err := strconv.Atoi(rule[2])
		if err != nil {
			t.Fatal(err)
		}
		days[rule[1]] = time.Duration(n) * 24 * time.Hour
	}
	for prefix, keep := range map[string]time.Duration{gateway.SourcePrefix: sourcesKeep, gateway.MutationPrefix: payloadsKeep} {
		if got, ok := days[prefix]; !ok || got < keep || got > keep+25*time.Hour {
			t.Errorf("%s is kept for %s on Cloud Storage, and for %s elsewhere", prefix, got, keep)
		}
	}
}
