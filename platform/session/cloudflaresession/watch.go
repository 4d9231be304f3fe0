package cloudflaresession

import (
	"context"
	"strconv"

	"vibesdk-gcp/platform/session"
)

// Watch implements [session.Driver]. Watches of one session share a socket and what is loaded.
func (d *Driver) Watch(ctx context.Context, id string, known *session.Record, fn func(*session.Record) error) error {
	f, from := d.feeds.join(d, id)
	defer d.feeds.leave(f)
	seen := newSight(known)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		now := f.look()
		if now.err != nil {
			return now.err
		}
		if now.round >= from && seen.news(now.record) {
			if err := fn(now.record); err != nil {
				return err
			}
			continue // time has passed
		}
		select {
		case <-ctx.Done():
		case <-now.changed:
		}
	}
}

// sight is what a watch has seen last.
type sight struct {
	tag    string
	commit string // while the tag is unknown
}

func newSight(known *session.Record) sight {
	switch {
	case known == nil:
		return sight{}
	case known.Tag != "":
		return sight{tag: known.Tag}
	default:
		return sight{commit: strconv.FormatInt(known.Commit, 10)}
	}
}

// news notes what is stored, nil for nothing, and reports whether the watch must be told.
func (s *sight) news(r *session.Record) bool {
	if r == nil {
		*s = sight{}
		return false
	}
	was := *s
	*s = sight{tag: r.Tag}
	return r.Tag != was.tag && strconv.FormatInt(r.Commit, 10) != was.commit
}
