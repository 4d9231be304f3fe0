package sandboxrunner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas"
)

// refuse answers a request that cannot be carried out as it is. The message is parked, which its publisher may
// never see; so, if it asked for a new sandbox, a failed record with the reason joins the list of sandboxes.
func (r *Runner) refuse(ctx context.Context, m events.Message, why error) error {
	run, projectName := runs(m.Data)
	if !run {
		return events.Permanent(why)
	}
	id := schemas.PeekRequestID(m.Data)
	if id == "" {
		id = m.ID
	}
	sum := sha256.Sum256(m.Data)
	now := r.o.Now()
	err := r.o.Records.Create(ctx, sandbox.Record{
		ID:          sandbox.IDFor(id),
		RequestID:   id,
		Fingerprint: hex.EncodeToString(sum[:]),
		ProjectName: projectName,
		State:       sandbox.Failed,
		Reason:      why.Error(),
		Fence:       1,
		CreatedAt:   now,
		ExpiresAt:   now,
	}, sandbox.Spec{})
	switch {
	case err == nil, errors.Is(err, sandbox.ErrExists), errors.Is(err, sandbox.ErrInvalid):
		return events.Permanent(why)
	default:
		return errors.Join(why, err) // parked once it is on record
	}
}

// runs tells whether a payload that is not a valid request was meant to start a sandbox, and the project's name if
// it has one.
func runs(data []byte) (run bool, projectName string) {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(data, &fields) // what is not JSON is a request without fields
	for _, spelling := range []string{"projectName", "project_name"} {
		var name string
		if json.Unmarshal(fields[spelling], &name) == nil && name != "" && len(name) <= schemas.MaxProjectName {
			projectName = name
		}
	}
	switch string(fields["action"]) {
	case "", "null", `"UNSPECIFIED"`, `"RUN"`, "0", "1":
		return true, projectName
	default:
		return false, projectName
	}
}
