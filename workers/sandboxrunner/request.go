package sandboxrunner

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas/gen"
)

// specOf is what a RUN request asks for, in the sandbox port's words. Files are sorted, so that the same request
// written in another order is the same spec.
func specOf(req *gen.SandboxRequest) sandbox.Spec {
	spec := sandbox.Spec{
		ProjectName: req.GetProjectName(),
		Install:     req.GetInstallCommand(),
		Build:       req.GetBuildCommand(),
		Dev:         req.GetDevCommand(),
		StaticDir:   req.GetStaticDir(),
		Env:         req.GetEnv(),
		Source:      sandbox.Source{ArchiveURI: req.GetSource().GetArchiveUri()},
	}
	for _, f := range req.GetSource().GetFiles() {
		data := f.GetData()
		if len(data) == 0 {
			data = []byte(f.GetContent())
		}
		spec.Source.Files = append(spec.Source.Files, sandbox.File{Path: f.GetPath(), Data: data, Executable: f.GetExecutable()})
	}
	slices.SortFunc(spec.Source.Files, func(a, b sandbox.File) int { return cmp.Compare(a.Path, b.Path) })
	return spec
}

// fingerprint is a digest of all that a RUN request asks for. It does not depend on how the JSON was written nor
// on the platform's defaults, and must stay the same from release to release: a redelivered message is held
// against the digest stored when it was first accepted.
func fingerprint(req *gen.SandboxRequest, spec sandbox.Spec) (string, error) {
	text, err := json.Marshal(struct {
		Spec                    sandbox.Spec
		TTLSeconds, IdleSeconds int32
		AppName                 string `json:",omitempty"`
	}{spec, req.GetTtlSeconds(), req.GetIdleSeconds(), req.GetAppName()})
	if err != nil {
		return "", fmt.Errorf("fingerprint of request %q: %w", req.GetRequestId(), err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// newRecord is the record with which a RUN request is accepted: the intent, before any effect.
func (d Defaults) newRecord(req *gen.SandboxRequest, fingerprint string, now time.Time) sandbox.Record {
	ttl, idle := min(orDefault(req.GetTtlSeconds(), d.TTL), d.MaxTTL), min(orDefault(req.GetIdleSeconds(), d.Idle), d.MaxTTL)
	if req.GetAppName() != "" {
		ttl, idle = deploymentTTL, 0
	}
	return sandbox.Record{
		ID:            sandbox.IDFor(req.GetRequestId()),
		RequestID:     req.GetRequestId(),
		Fingerprint:   fingerprint,
		ProjectName:   req.GetProjectName(),
		AppName:       req.GetAppName(),
		State:         sandbox.Requested,
		Fence:         1,
		Token:         sandbox.NewToken(),
		ControlToken:  sandbox.NewControlToken(),
		TTL:           ttl,
		Idle:          idle,
		CreatedAt:     now,
		ExpiresAt:     now.Add(ttl),
		PhaseDeadline: now.Add(d.BuildTimeout),
	}
}

func orDefault(seconds int32, otherwise time.Duration) time.Duration {
	if seconds == 0 {
		return otherwise
	}
	return time.Duration(seconds) * time.Second
}
