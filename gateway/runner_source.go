package gateway

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"vibesdk-gcp/schemas/gen"
)

// maxInlineInstance is how much source travels in the message itself, in bytes; more goes by way of the bucket.
const maxInlineInstance = 1 << 20

var templateName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// readInstanceBody decodes a body. Fields that are not known are left alone: callers of other versions send them.
func readInstanceBody(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxInstance))
	if err != nil {
		return readError(err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return badRequest("the body is not the JSON object that this call takes: " + jsonFault(err))
	}
	return nil
}

// jsonFault is the text of a decoding error without the names of our types.
func jsonFault(err error) string {
	if wrong, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // json returns it as it is
		return fmt.Sprintf("field %q must not be a %s", wrong.Field, wrong.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func (g *Gateway) instanceSource(ctx context.Context, asked instanceRequest) (*gen.SandboxRequest_Source, error) {
	switch {
	case len(asked.Files) > 0:
		return g.fileSource(ctx, asked.Files)
	case asked.TemplateName == "":
		return nil, badRequest("files or templateName is required")
	case g.Runner.TemplatesURL == "":
		return nil, badRequest("templateName needs a folder of templates: set RUNNER_TEMPLATES_URL, or send files")
	case !templateName.MatchString(asked.TemplateName):
		return nil, badRequest("templateName must match " + templateName.String())
	}
	return &gen.SandboxRequest_Source{ArchiveUri: g.Runner.TemplatesURL + "/" + asked.TemplateName + ".zip"}, nil
}

// fileSource takes the last of two files with one path, as writing them one after the other would.
func (g *Gateway) fileSource(ctx context.Context, files []instanceFile) (*gen.SandboxRequest_Source, error) {
	contents, total := map[string]string{}, 0
	for _, f := range files {
		name, err := instancePath(f.FilePath)
		if err != nil {
			return nil, err
		}
		contents[name] = f.FileContents
	}
	for _, content := range contents {
		total += len(content)
	}
	if total > maxInlineInstance {
		address, err := g.storeArchive(ctx, SourcePrefix, contents)
		return &gen.SandboxRequest_Source{ArchiveUri: address}, err
	}
	source := &gen.SandboxRequest_Source{}
	for _, name := range sortedKeys(contents) {
		source.Files = append(source.Files, &gen.SandboxRequest_File{Path: name, Content: contents[name]})
	}
	return source, nil
}

// instancePath is the path of a file as sandboxes take it. Callers begin some with a slash or a dot.
func instancePath(name string) (string, error) {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if name == "" || clean == "." || !fs.ValidPath(clean) || strings.ContainsAny(clean, "\x00\\") || !utf8.ValidString(clean) {
		return "", badRequest(fmt.Sprintf("filePath %.100q is not the path of a file in the project", name))
	}
	return clean, nil
}

// storeArchive packs files and puts them into the bucket below prefix, and returns the address that workers know.
func (g *Gateway) storeArchive(ctx context.Context, prefix string, files map[string]string) (string, error) {
	packed, err := pack(files)
	if err != nil {
		return "", err
	}
	if len(packed) > MaxSource {
		return "", &http.MaxBytesError{Limit: MaxSource}
	}
	sum := sha256.Sum256(packed)
	key := prefix + hex.EncodeToString(sum[:]) + ".tar.gz"
	if err := g.store(ctx, key, bytes.NewReader(packed)); err != nil {
		return "", fmt.Errorf("store the files: %w", err)
	}
	return g.SourcesURL + "/" + key, nil
}

// pack writes the same bytes for the same files.
func pack(files map[string]string) ([]byte, error) {
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	archive := tar.NewWriter(zipped)
	for _, name := range sortedKeys(files) {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
		if _, err := io.WriteString(archive, files[name]); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if err := zipped.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return b.Bytes(), nil
}

// dotenvQuote returns a quote, as the shell writes it in double quotes, that a value can stand in; empty when the value
// has all of them.
func dotenvQuote(value string) string {
	for _, quote := range []string{`'`, `\"`, "\\`"} {
		if !strings.Contains(value, strings.TrimPrefix(quote, `\`)) {
			return quote
		}
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
