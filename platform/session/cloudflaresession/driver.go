package cloudflaresession

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/platform/session"
)

const (
	pathList   = "/v1/sessions"
	pathRecord = "/v1/sessions/record"
	pathWatch  = "/v1/sessions/watch"
)

// Driver is a [session.Driver]. It is safe for concurrent use, in any number of processes.
type Driver struct {
	client *cfclient.Client
	feeds  feeds
}

var _ session.Driver = (*Driver)(nil)

// New returns the driver. Closing the client stays with the caller.
func New(client *cfclient.Client) *Driver { return &Driver{client: client} }

// Load implements [session.Driver].
func (d *Driver) Load(ctx context.Context, id string, known *session.Record) (*session.Record, error) {
	k := newKnowledge(known)
	response, err := d.client.Do(ctx, cfclient.Request{
		Method: http.MethodGet, Path: pathRecord, Query: url.Values{"id": {id}}, Header: k.header(), Safe: true,
	})
	if err != nil {
		return nil, wrap("load", id, err)
	}
	if response.Status == http.StatusNotModified {
		return known, nil
	}
	r, err := k.decode(id, response.Body)
	if err != nil {
		return nil, wrap("load", id, fmt.Errorf("%w: %w", errDamaged, err))
	}
	return r, nil
}

// Commit implements [session.Driver].
func (d *Driver) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	stored, body, err := encode(next)
	if err != nil {
		return nil, wrap("commit", next.ID, err)
	}
	_, err = d.client.Do(ctx, cfclient.Request{
		Method: http.MethodPut, Path: pathRecord, Query: url.Values{"id": {next.ID}},
		Header: http.Header{"Content-Type": {cfclient.FrameType}}, Body: body,
	})
	if err != nil {
		return nil, wrap("commit", next.ID, err)
	}
	return stored, nil
}

// List implements [session.Driver].
func (d *Driver) List(ctx context.Context, q session.Query) ([]session.Head, error) {
	query := url.Values{"limit": {strconv.Itoa(q.Limit)}, "after": {q.After}}
	for name, at := range map[string]time.Time{"afterTime": q.AfterTime, "dueBy": q.DueBy, "expiredBy": q.ExpiredBy} {
		if !at.IsZero() {
			query.Set(name, sortKey(at))
		}
	}
	var listed struct{ Heads []headJSON }
	if err := d.client.JSON(ctx, cfclient.Request{Method: http.MethodGet, Path: pathList, Query: query, Safe: true}, &listed); err != nil {
		return nil, wrap("list", "", err)
	}
	var heads []session.Head
	for _, h := range listed.Heads {
		heads = append(heads, h.head())
	}
	return heads, nil
}

// Remove implements [session.Driver]. It is not tried again: the record could have been begun again in between, up to the
// same commit.
func (d *Driver) Remove(ctx context.Context, id string, commit int64) error {
	_, err := d.client.Do(ctx, cfclient.Request{
		Method: http.MethodDelete, Path: pathRecord, Query: url.Values{"id": {id}, "commit": {strconv.FormatInt(commit, 10)}},
	})
	return wrap("remove", id, err)
}
