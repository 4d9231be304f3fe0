package gateway

import (
	"bytes"
	"net/http"
	"strconv"

	"vibesdk-gcp/platform/session/cfexport"
	"vibesdk-gcp/schemas/gen"
)

// exportSession answers a session in the form in which a Durable Object holds one: ?form=tables for that of older releases of
// the agents SDK, jobs for that of newer ones.
func (g *Gateway) exportSession(w http.ResponseWriter, r *http.Request) error {
	form := cfexport.Tables
	switch r.URL.Query().Get("form") {
	case "", "tables":
	case "jobs":
		form = cfexport.Jobs
	default:
		return invalid("form", "must be tables or jobs")
	}
	record, err := g.record(r)
	if err != nil {
		return err
	}
	// Written whole before it is sent: half an export with status 200 would be taken for one.
	var out bytes.Buffer
	if err := cfexport.Write(&out, record, form); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	w.Header().Set("ETag", etag(record.Version))
	w.Write(out.Bytes())
	return nil
}

// importSession makes a session of an export. One that is present is replaced only at the version that If-Match
// names.
func (g *Gateway) importSession(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	m, err := newMutation(r, id, gen.StateMutation_IMPORT)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, cfexport.MaxDump)
	if err != nil {
		return err
	}
	request, err := cfexport.Read(bytes.NewReader(body))
	if err != nil {
		return badRequest("the body is no export: " + err.Error())
	}
	m.payload = request.Payload()
	return g.mutate(w, r, m)
}
