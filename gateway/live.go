package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// maxCommands bounds the body of a commands call.
const maxCommands = sandbox.ControlCommands*sandbox.ControlCommandLimit + 64<<10

// live connects to the guest of a sandbox that is ready.
func (g *Gateway) live(r *http.Request) (*sandbox.Control, error) {
	record, err := g.Records.Load(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if record.State != sandbox.Ready {
		return nil, &httpError{http.StatusConflict, "not-ready", fmt.Sprintf("sandbox %s is %s; this works while it is ready", record.ID, record.State)}
	}
	return sandbox.NewControl(record.Endpoint, record.ControlToken, g.Client), nil
}

func (g *Gateway) listFiles(w http.ResponseWriter, r *http.Request) error {
	control, err := g.live(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	all, err := flag(query.Get("all"))
	if err != nil {
		return badRequest("all must be 1 or 0")
	}
	list, err := control.ListFiles(r.Context(), sandbox.FileQuery{Path: query.Get("path"), Glob: query.Get("glob"), All: all})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

func (g *Gateway) readFile(w http.ResponseWriter, r *http.Request) error {
	control, err := g.live(r)
	if err != nil {
		return err
	}
	data, err := control.ReadFile(r.Context(), r.PathValue("path"))
	if err != nil {
		return err
	}
	// Never a type that a browser would show: the file is a stranger's, the origin is ours.
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.Header().Set("Cache-Control", "no-store")
	w.Write(data) //nolint:gosec // no browser shows it: octet-stream, nosniff and a policy that forbids all
	return nil
}

func (g *Gateway) writeFile(w http.ResponseWriter, r *http.Request) error {
	control, err := g.live(r)
	if err != nil {
		return err
	}
	executable, err := flag(r.URL.Query().Get("executable"))
	if err != nil {
		return badRequest("executable must be 1 or 0")
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, sandbox.ControlFileLimit))
	if err != nil {
		return readError(err)
	}
	if err := control.WriteFile(r.Context(), sandbox.File{Path: r.PathValue("path"), Data: data, Executable: executable}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) deleteFile(w http.ResponseWriter, r *http.Request) error {
	control, err := g.live(r)
	if err != nil {
		return err
	}
	recursive, err := flag(r.URL.Query().Get("recursive"))
	if err != nil {
		return badRequest("recursive must be 1 or 0")
	}
	if err := control.DeleteFile(r.Context(), r.PathValue("path"), recursive); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) runCommands(w http.ResponseWriter, r *http.Request) error {
	control, err := g.live(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCommands))
	if err != nil {
		return readError(err)
	}
	var batch sandbox.CommandBatch
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&batch); err != nil {
		return badRequest("the body must be like {\"commands\":[\"ls\"],\"timeoutSeconds\":10}")
	}
	most := sandbox.ControlTimeoutLimit.Seconds()
	if len(batch.Commands) == 0 || batch.TimeoutSeconds < 0 || batch.TimeoutSeconds > most {
		return badRequest(fmt.Sprintf("commands must not be empty, and timeoutSeconds be from 0 to %g", most))
	}
	results, err := control.Run(r.Context(), batch.Commands, time.Duration(batch.TimeoutSeconds*float64(time.Second)))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, sandbox.CommandResults{Results: results})
	return nil
}

func (g *Gateway) listErrors(w http.ResponseWriter, r *http.Request) error {
	control, err := g.live(r)
	if err != nil {
		return err
	}
	list, err := control.Errors(r.Context())
	if err != nil {
		return err
	}
	if list == nil {
		list = []sandbox.LoggedError{}
	}
	writeJSON(w, http.StatusOK, sandbox.LoggedErrors{Errors: list})
	return nil
}

func (g *Gateway) clearErrors(w http.ResponseWriter, r *http.Request) error {
	control, err := g.live(r)
	if err != nil {
		return err
	}
	if err := control.ClearErrors(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// flag reads a yes or no of a query; absent is no.
func flag(value string) (bool, error) {
	if value == "" {
		return false, nil
	}
	return strconv.ParseBool(value)
}
