package app

import (
	"os"
	"path/filepath"
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
	if n, err := removeOld(t.Context(), bucket, now); err != nil || n != 2 {
		t.Errorf("removed %d, %v; want two", n, err)
	}
	for key, want := range map[string]bool{gateway.SourcePrefix + "old.tar.gz": false, gateway.SourcePrefix + "young.tar.gz": true, "other/old": true,
		gateway.MutationPrefix + "old.json": false, gateway.MutationPrefix + "young.json": true} {
		if got, err := bucket.Exists(t.Context(), key); err != nil || got != want {
			t.Errorf("%s there = %v, %v; want %v", key, got, err, want)
		}
	}
}
