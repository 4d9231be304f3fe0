package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gocloud.dev/blob/fileblob"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/workers/statewriter"
)

func TestPayloadsAreReadFromOneFolderOnly(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "blobs")
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{CreateDir: true, Metadata: fileblob.MetadataDontWrite, NoTempDir: true})
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	for key, text := range map[string]string{gateway.MutationPrefix + "a b.json": `{"a":1}`, gateway.SourcePrefix + "x.json": `"source"`} {
		if err := bucket.WriteAll(t.Context(), key, []byte(text), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(parent, "secret.json"), []byte(`"secret"`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := payloads{bucket: bucket, address: "file://" + dir}
	below := p.address + "/mutations/"
	if data, err := p.Read(t.Context(), below+"a%20b.json", 7); err != nil || string(data) != `{"a":1}` {
		t.Errorf("read %q, %v", data, err)
	}
	if _, err := p.Read(t.Context(), below+"a%20b.json", 6); !errors.Is(err, statewriter.ErrPayloadTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := p.Read(t.Context(), below+"other.json", 100); !errors.Is(err, statewriter.ErrPayloadNotFound) {
		t.Errorf("missing: %v", err)
	}
	for _, address := range []string{
		"", "file:///etc/passwd", "gs://other/mutations/a.json", p.address + "/sources/x.json", p.address + "/mutations", below,
		below + "../sources/x.json", below + "%2e%2e/sources/x.json", below + "..%2Fsources%2Fx.json", below + "../../secret.json",
		below + "/a.json", below + "a//b", below + "a/", below + "%zz", below + "..%5Csources", below + "a%00b",
		strings.Replace(below, "file://", "file://host", 1) + "a%20b.json", "http://127.0.0.1/mutations/a.json",
	} {
		if data, err := p.Read(t.Context(), address, 100); !errors.Is(err, statewriter.ErrPayloadRefused) {
			t.Errorf("%s: read %q, %v; want it refused", address, data, err)
		}
	}
}
