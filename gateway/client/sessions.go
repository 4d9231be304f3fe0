package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sessions are the calls about agent sessions. Writes carry an id that makes them one write however often they
// arrive, so all calls are repeated while the server cannot be reached or is busy.
type Sessions struct{ c *Client }

// path is that of a session or of something below it.
func (s *Sessions) path(segments ...string) []string {
	return append([]string{"v1", "sessions"}, segments...)
}

// do refuses an empty id, which would make the path that of something else.
func (s *Sessions) do(ctx context.Context, in call) (*http.Response, error) {
	if slices.Contains(in.path, "") {
		return nil, fmt.Errorf("%w: an id is empty", ErrInvalid)
	}
	return s.c.do(ctx, in)
}

func (s *Sessions) get(ctx context.Context, query url.Values, out any, segments ...string) error {
	path := s.path(segments...)
	if slices.Contains(path, "") {
		return fmt.Errorf("%w: an id is empty", ErrInvalid)
	}
	return s.c.json(ctx, call{method: http.MethodGet, path: path, query: query}, out)
}

// List yields the heads of all sessions in the order of their ids, read page by page.
func (s *Sessions) List(ctx context.Context) iter.Seq2[Session, error] {
	return s.list(ctx, time.Time{})
}

// ListDue yields the heads of sessions with a job due by a time, in the order of their alarms.
func (s *Sessions) ListDue(ctx context.Context, by time.Time) iter.Seq2[Session, error] {
	return s.list(ctx, by)
}

func (s *Sessions) list(ctx context.Context, due time.Time) iter.Seq2[Session, error] {
	return func(yield func(Session, error) bool) {
		query := url.Values{"limit": {"1000"}}
		if !due.IsZero() {
			query.Set("due", due.Format(time.RFC3339Nano))
		}
		for {
			var page struct {
				Sessions []Session `json:"sessions"`
				Next     string    `json:"next"`
				NextTime time.Time `json:"nextTime"`
			}
			if err := s.get(ctx, query, &page); err != nil {
				yield(Session{}, err)
				return
			}
			for _, head := range page.Sessions {
				if !yield(head, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			query.Set("after", page.Next)
			if !page.NextTime.IsZero() {
				query.Set("afterTime", page.NextTime.Format(time.RFC3339Nano))
			}
		}
	}
}

// Get returns a session's head and what it consists of.
func (s *Sessions) Get(ctx context.Context, id string) (SessionDetail, error) {
	var out SessionDetail
	err := s.get(ctx, nil, &out, id)
	return out, err
}

// Read returns a part byte for byte. [ErrNotFound] when there is no such session, or it does not have the part.
func (s *Sessions) Read(ctx context.Context, id, part string) (Snapshot, error) {
	snapshot, _, err := s.read(ctx, id, part, nil)
	return snapshot, err
}

// ReadNewer is Read for somebody who has a part as it was at a version; false says that he has what is there.
func (s *Sessions) ReadNewer(ctx context.Context, id, part string, version int64) (Snapshot, bool, error) {
	return s.read(ctx, id, part, http.Header{"If-None-Match": {etag(version)}})
}

func (s *Sessions) read(ctx context.Context, id, part string, header http.Header) (Snapshot, bool, error) {
	resp, err := s.do(ctx, call{method: http.MethodGet, path: s.partPath(id, part), header: header})
	if answer, ok := asError(err); ok && answer.Status == http.StatusNotModified {
		return Snapshot{}, false, nil
	}
	if err != nil {
		return Snapshot{}, false, err
	}
	defer resp.Body.Close()
	version, err := strconv.ParseInt(strings.Trim(resp.Header.Get("ETag"), `"`), 10, 64)
	if err != nil {
		return Snapshot{}, false, fmt.Errorf("%s: the answer has no version", s.c.base)
	}
	data, err := io.ReadAll(resp.Body)
	return Snapshot{Data: data, Version: version}, err == nil, err
}

func (s *Sessions) partPath(id, part string) []string {
	if part == PartState {
		return s.path(id, "state")
	}
	return s.path(id, "parts", part)
}

// History returns what a session remembers of its mutations, newest first, at most limit entries. It also answers for a
// session that was destroyed.
func (s *Sessions) History(ctx context.Context, id string, limit int) ([]HistoryEntry, error) {
	var out struct {
		Entries []HistoryEntry `json:"entries"`
	}
	err := s.get(ctx, url.Values{"limit": {strconv.Itoa(limit)}}, &out, id, "history")
	return out.Entries, err
}

// Outcome returns how a mutation ended; a rejected one is no error here. [ErrNotFound] when the session does not remember
// it: it is not decided yet, or long ago.
func (s *Sessions) Outcome(ctx context.Context, id, mutationID string) (MutationResult, error) {
	var out MutationResult
	err := s.get(ctx, nil, &out, id, "mutations", mutationID)
	return out, err
}

// Export returns a session in the form in which a Durable Object holds one: "tables" or "jobs", for older and newer
// releases of the agents SDK.
func (s *Sessions) Export(ctx context.Context, id, form string) ([]byte, error) {
	resp, err := s.do(ctx, call{method: http.MethodGet, path: s.path(id, "export"), query: url.Values{"form": {form}}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// Import makes a session of an export. One that is there is replaced only with IfVersion.
func (s *Sessions) Import(ctx context.Context, id string, export []byte, o WriteOptions) (MutationResult, error) {
	return s.write(ctx, id, o, call{method: http.MethodPost, path: s.path(id, "import"), body: rawBody(export)})
}

func rawBody(data []byte) func() (io.Reader, error) {
	return func() (io.Reader, error) { return bytes.NewReader(data), nil }
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }
