package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

const (
	// MaxSource is the largest archive that may be uploaded, in bytes.
	MaxSource = 100 << 20
	// SourcePrefix is where uploads go in the bucket.
	SourcePrefix = "sources/"
	// sourceFresh is how young a stored upload must be to be used again: those that clean the bucket go by age,
	// and a sandbox may build again as long as it lives, at most a day.
	sourceFresh = 24 * time.Hour
)

// Source answers an upload.
type Source struct {
	// ArchiveURI is what to name in a request's source.archiveUri.
	ArchiveURI string `json:"archiveUri"`
	SHA256     string `json:"sha256"`
	Size       int64  `json:"size"`
}

// upload stores a gzipped tar archive under the digest of its content: the same archive twice is stored once.
func (g *Gateway) upload(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength > MaxSource {
		return &http.MaxBytesError{Limit: MaxSource}
	}
	spool, err := os.CreateTemp("", "vibesdk-source-*.tar.gz")
	if err != nil {
		return fmt.Errorf("spool the upload: %w", err)
	}
	defer func() { _ = os.Remove(spool.Name()) }() // a spool that stays is the system's to clean
	defer spool.Close()

	body := bufio.NewReader(http.MaxBytesReader(w, r.Body, MaxSource))
	magic, err := body.Peek(2)
	if errors.Is(err, errTooSlow) {
		return err
	}
	if err != nil || !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return badRequest("the body must be a gzipped tar archive")
	}
	digest := sha256.New()
	size, err := io.Copy(io.MultiWriter(spool, digest), body)
	if err != nil {
		return readError(err)
	}
	sum := hex.EncodeToString(digest.Sum(nil))
	key := SourcePrefix + sum + ".tar.gz"
	if err := g.store(r.Context(), key, spool); err != nil {
		return fmt.Errorf("store the upload: %w", err)
	}
	writeJSON(w, http.StatusCreated, Source{ArchiveURI: g.SourcesURL + "/" + key, SHA256: sum, Size: size})
	return nil
}

func (g *Gateway) store(ctx context.Context, key string, spool io.ReadSeeker) error {
	attrs, err := g.Sources.Attributes(ctx, key)
	if err == nil && time.Since(attrs.ModTime) < sourceFresh {
		return nil
	}
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	// Upload drops what it wrote when it fails: a half archive never gets the name.
	return g.Sources.Upload(ctx, key, spool, &blob.WriterOptions{ContentType: "application/gzip"})
}
