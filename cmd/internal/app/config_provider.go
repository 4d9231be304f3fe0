package app

import (
	"net/url"
	"path/filepath"
	"strings"
)

// backends are what a provider means for each port that has a choice. Each can be overridden by the variable of its own.
type backends struct{ bus, session, limit, sandbox string }

// providers by the value of RUNTIME_PROVIDER.
var providers = map[string]backends{
	"local": {bus: "sql", session: "sql", limit: "sql", sandbox: "process"},
	"gcp":   {bus: "pubsub", session: "firestore", limit: "redis", sandbox: "cloudrun"},
	// State, limits and apps stay where they are; what builds and serves previews of this platform is on Google Cloud.
	"cloudflare": {bus: "pubsub", session: "cloudflare", limit: "cloudflare", sandbox: "cloudrun"},
}

// provider reads which one it is; the unknown are reported and count as local.
func (r *reader) provider() (string, backends) {
	name := r.oneOf("RUNTIME_PROVIDER", "local", "gcp", "cloudflare")
	if b, ok := providers[name]; ok {
		return name, b
	}
	return name, providers["local"]
}

// checkProvider asks for what has no default beyond one machine.
func (r *reader) checkProvider(c Config) {
	if c.Provider != "local" {
		if c.DatabaseURL == "" {
			r.fault("DATABASE_URL", "is required with RUNTIME_PROVIDER=%s: postgres://…, or sqlite:… when one process has all roles", c.Provider)
		}
		if c.SourcesURL == "" && !c.fakeCloudRun() {
			r.fault("SOURCES_URL", "is required with RUNTIME_PROVIDER=%s: gs://bucket", c.Provider)
		}
	}
	r.blobAddress("SOURCES_URL", c.SourcesURL, false)
}

// blobAddress checks the address of files: a folder of this machine, a bucket, or with below a folder in one. None is the default.
func (r *reader) blobAddress(name, address string, below bool) {
	u, err := url.Parse(address)
	switch {
	case address == "":
	case err != nil, u.User != nil, u.RawQuery != "", u.Fragment != "",
		u.Scheme == "file" && (u.Host != "" || !filepath.IsAbs(filepath.FromSlash(u.Path))),
		u.Scheme == "gs" && (u.Host == "" || u.Path != "" && !below),
		u.Scheme != "file" && u.Scheme != "gs":
		like := "gs://bucket"
		if below {
			like += "/folder"
		}
		r.fault(name, "must be like %s or file:///folder", like) // not repeated: it may hold what it should not
	}
}

// sourcesURL is SourcesURL with its default.
func (c Config) sourcesURL() (string, error) {
	if c.SourcesURL != "" {
		return c.SourcesURL, nil
	}
	dir, err := filepath.Abs(filepath.Join(c.DataDir, "blobs"))
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}).String(), nil
}

// folderOf is the folder that a file:// address names.
func folderOf(address string) (dir string, ok bool) {
	if !strings.HasPrefix(address, "file://") {
		return "", false
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", false
	}
	return filepath.FromSlash(u.Path), true
}
