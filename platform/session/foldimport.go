package session

import (
	"fmt"
	"maps"
	"slices"

	"vibesdk-gcp/internal/jsondoc"
)

// Payload writes the request as the payload of Import, each part byte for byte. The JSON encoder would take out their white
// space.
func (r ImportRequest) Payload() []byte {
	out := fmt.Appendf(nil, `{"initialized":%t,"parts":{`, r.Initialized)
	for i, name := range slices.Sorted(maps.Keys(r.Parts)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, jsondoc.Quote(string(name))...), ':'), r.Parts[name]...)
	}
	return append(out, "}}"...)
}

// load is Import.
func (f *folding) load(m Mutation) error {
	if f.head.Present && m.Expected == nil {
		return fmt.Errorf("%w: an import over a session that is present needs an expected version", ErrConflict)
	}
	var request ImportRequest
	if err := decodeRequest(m.Payload, &request); err != nil {
		return err
	}
	clear(f.parts)
	// In order, so that of several faults the same one is reported each time.
	for _, name := range slices.Sorted(maps.Keys(request.Parts)) {
		data := request.Parts[name]
		rule, ok := partRules[name]
		if !ok {
			return fmt.Errorf("%w: parts: %q is none", ErrInvalid, shorten(string(name), 40))
		}
		if err := rule.check(name, data[0]); err != nil {
			return err
		}
		if name != PartJobs {
			f.put(name, data)
			continue
		}
		jobs, err := importJobs(data)
		if err != nil {
			return err
		}
		if len(jobs.entries) > 0 {
			f.parts[name] = &part{doc: jobs}
		}
	}
	f.appear()
	f.head.Initialized = request.Initialized
	return nil
}
