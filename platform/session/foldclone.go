package session

import (
	"errors"
	"fmt"

	"vibesdk-gcp/internal/jsondoc"
)

// cloneReset is what a field of a VibeSDK state becomes in a clone. Fields that the source does not have
// are not added.
var cloneReset = map[string]string{
	"pendingUserInputs":    "[]",
	"shouldBeGenerating":   "false",
	"currentDevState":      "0",
	"clientReportedErrors": "[]",
}

// cloneResetNewer are the fields that the newer shape resets as well.
var cloneResetNewer = map[string]string{
	"projectUpdatesAccumulator": "[]",
	"reviewingInitiated":        "false",
	"mvpGenerated":              "false",
	"generatedPhases":           "[]",
}

// cloneDropped belongs to the source alone: its sandbox, the secret that serves its files, its account's token, the address of
// its socket and of its deployment. The original copies all but the first, which lets whoever may read a clone act for the source.
var cloneDropped = []string{"sandboxInstanceId", "generationPromise", "fileServingToken", "cloudflareToken", "wsOrigin", "cloudflareDeploymentUrl"}

// cloneDroppedIdentity is the same below metadata and inferenceContext: the newer original keeps the credentials there that
// its user brought.
var cloneDroppedIdentity = []string{"userApiToken", "userGateway"}

// clone copies the state of source. A state that is not VibeSDK's is copied as it is.
func (f *folding) clone(m Mutation, source *Record) error {
	if m.CloneOf == "" || len(m.CloneOf) > MaxID {
		return fmt.Errorf("%w: cloneOf must be 1 to %d bytes", ErrInvalid, MaxID)
	}
	if f.head.Present {
		return fmt.Errorf("%w: a clone must not be present yet", ErrConflict)
	}
	if source == nil || !source.Present || !source.Initialized {
		return fmt.Errorf("%w: agent %s not found", ErrNotFound, m.CloneOf)
	}
	clear(f.parts)
	f.appear()
	f.head.Initialized = true
	state, ok := source.State()
	if !ok {
		return nil
	}
	f.put(PartState, state)
	doc, err := f.parts[PartState].json(PartState)
	if err != nil {
		return err
	}
	if err := resetClone(doc, f.head.ID); err != nil {
		return rejected("state of cloneOf", err)
	}
	return nil
}

func resetClone(doc *jsondoc.Doc, id string) error {
	if doc.Kind() != '{' {
		return nil
	}
	has := func(path string) bool {
		_, err := doc.Get(path)
		return err == nil
	}
	newer, older := has("/metadata") || has("/behaviorType"), has("/inferenceContext")
	if !newer && !older {
		return nil
	}
	set := func(path, key, value string) error {
		if !has(path + "/" + key) {
			return nil
		}
		return doc.Set(path, key, []byte(value))
	}
	quoted := string(jsondoc.Quote(id))
	errs := []error{set("", "sessionId", quoted)}
	// The original leaves these ids, so that its clones report themselves as the source and write the source's rows.
	for _, path := range []string{"/metadata", "/inferenceContext"} {
		if value, err := doc.Get(path); err == nil && value[0] == '{' {
			errs = append(errs, set(path, "agentId", quoted))
			for _, key := range cloneDroppedIdentity {
				errs = append(errs, doc.Delete(path, key))
			}
		}
	}
	for key, value := range cloneReset {
		errs = append(errs, set("", key, value))
	}
	for _, key := range cloneDropped {
		errs = append(errs, doc.Delete("", key))
	}
	if newer {
		for key, value := range cloneResetNewer {
			errs = append(errs, set("", key, value))
		}
		// The name of the deployment: a clone that kept it would deploy over the source.
		errs = append(errs, doc.Delete("", "projectName"))
	}
	return errors.Join(errs...)
}
