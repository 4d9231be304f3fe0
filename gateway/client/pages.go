package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Page is one page of a list, for callers that show a list bit by bit: List reads all of it.
type Page[T any] struct {
	Items []T
	// Next is what the page that follows goes on after; empty on the last one.
	Next string
}

func pageQuery(query url.Values, after string, limit int) url.Values {
	if after != "" {
		query.Set("after", after)
	}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	return query
}

// Page returns up to limit sandboxes in the given states, or in any, ordered by id; limit is 1 to 1000, and 0 is 100.
func (s *Sandboxes) Page(ctx context.Context, after string, limit int, states ...State) (Page[Sandbox], error) {
	query := url.Values{}
	for _, state := range states {
		query.Add("state", string(state))
	}
	var page struct {
		Sandboxes []Sandbox `json:"sandboxes"`
		Next      string    `json:"next"`
	}
	err := s.c.json(ctx, call{method: http.MethodGet, path: []string{"v1", "sandboxes"}, query: pageQuery(query, after, limit)}, &page)
	return Page[Sandbox]{page.Sandboxes, page.Next}, err
}

// Page returns up to limit heads of sessions in the order of their ids; limit is 1 to 1000, and 0 is 100.
func (s *Sessions) Page(ctx context.Context, after string, limit int) (Page[Session], error) {
	var page struct {
		Sessions []Session `json:"sessions"`
		Next     string    `json:"next"`
	}
	err := s.get(ctx, pageQuery(url.Values{}, after, limit), &page)
	return Page[Session]{page.Sessions, page.Next}, err
}

// Page returns up to limit letters of a query; limit is 1 to 1000, and 0 is 100.
func (d *DeadLetters) Page(ctx context.Context, q DeadLetterQuery, after string, limit int) (Page[DeadLetter], error) {
	var page struct {
		DeadLetters []DeadLetter `json:"deadLetters"`
		Next        string       `json:"next"`
	}
	err := d.c.json(ctx, call{method: http.MethodGet, path: []string{"v1", "dead-letters"}, query: pageQuery(q.values(), after, limit)}, &page)
	return Page[DeadLetter]{page.DeadLetters, page.Next}, err
}
