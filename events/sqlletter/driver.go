package sqlletter

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/sqldb"
)

// Driver implements [events.LetterDriver]. The database stays the caller's to close. It is safe for concurrent use.
type Driver struct {
	db  *sqldb.DB
	sql statements
}

var _ events.LetterDriver = (*Driver)(nil)

// New returns a Driver on a migrated database.
func New(db *sqldb.DB) *Driver { return &Driver{db: db, sql: statementsFor(db.Dialect)} }

// File implements [events.LetterDriver].
func (d *Driver) File(ctx context.Context, letters []events.Letter) error {
	return d.write(ctx, func(tx *sql.Tx) error {
		for _, l := range letters {
			if err := d.file(ctx, tx, l); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *Driver) file(ctx context.Context, tx *sql.Tx, l events.Letter) error {
	args, err := arguments(l)
	if err != nil {
		return err
	}
	if n, err := affected(tx.ExecContext(ctx, d.sql.insert, args...)); err != nil || n > 0 {
		return err
	}
	filed, err := scan(tx.QueryRowContext(ctx, d.sql.lock, l.ID))
	if errors.Is(err, sql.ErrNoRows) {
		return errPurged
	}
	if err != nil {
		return err
	}
	next, changed := events.Refile(filed, l)
	if !changed {
		return nil
	}
	if args, err = arguments(next); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, d.sql.replace, args...)
	return err
}

// errPurged is a row that went between being in the way and being locked.
var errPurged = errors.New("purged meanwhile")

// writeTries is how often a transaction is tried that left nothing behind.
const writeTries = 5

func (d *Driver) write(ctx context.Context, fn func(*sql.Tx) error) error {
	for try := 1; ; try++ {
		err := d.db.Tx(ctx, fn)
		if err == nil || try == writeTries || ctx.Err() != nil || !sqldb.IsTransient(err) && !errors.Is(err, errPurged) {
			return err
		}
	}
}

// Letter implements [events.LetterDriver].
func (d *Driver) Letter(ctx context.Context, id string) (events.Letter, error) {
	l, err := scan(d.db.R.QueryRowContext(ctx, d.sql.get, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = events.ErrNotFound
	}
	return l, err
}

// Letters implements [events.LetterDriver].
func (d *Driver) Letters(ctx context.Context, q events.LetterQuery) (page []events.Letter, more bool, err error) {
	c, err := conditions(d.db.Dialect, q)
	if err != nil {
		return nil, false, err
	}
	direction, beyond := "", ">"
	if q.Newest {
		direction, beyond = " DESC", "<"
	}
	if q.After != "" {
		at, seq, err := q.Position()
		if err != nil {
			return nil, false, err
		}
		c.add("(first_parked_at, seq) "+beyond+" (%s, %s)", sqldb.Micros(at), seq)
	}
	query := fmt.Sprintf("SELECT %s FROM dead_letters%s ORDER BY first_parked_at%s, seq%s LIMIT %s",
		selected, c.where(), direction, direction, c.value(q.Limit+1))
	size := 0
	err = d.rows(ctx, query, c.args, func(rows *sql.Rows) (bool, error) {
		l, err := scan(rows)
		if size += len(l.Message.Data); err != nil || len(page) == q.Limit || len(page) > 0 && size > events.MaxLetterBytes {
			more = err == nil
			return false, err
		}
		page = append(page, l)
		return true, nil
	})
	return page, more, err
}

// Save implements [events.LetterDriver].
func (d *Driver) Save(ctx context.Context, l events.Letter) error {
	args, err := arguments(l)
	if err != nil {
		return err
	}
	n, err := affected(d.db.W.ExecContext(ctx, d.sql.save, args...))
	if err == nil && n == 0 {
		err = events.ErrConflict
	}
	return err
}

// MarkReplayed implements [events.LetterDriver].
func (d *Driver) MarkReplayed(ctx context.Context, letters []events.Letter, at time.Time) (noted []string, err error) {
	ids, versions := make([]string, len(letters)), make([]string, len(letters))
	for i, l := range letters {
		ids[i], versions[i] = l.ID, fmt.Sprintf("%s %d", l.ID, l.Version)
	}
	anyID, err := sqldb.Values(d.db.Dialect, ids)
	if err != nil {
		return nil, err
	}
	anyVersion, err := sqldb.Values(d.db.Dialect, versions)
	if err != nil {
		return nil, err
	}
	err = d.write(ctx, func(tx *sql.Tx) error {
		noted = nil
		rows, err := tx.QueryContext(ctx, d.sql.markReplayed, sqldb.Micros(at), anyID, anyVersion)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err tells what there is to tell
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			noted = append(noted, id)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return noted, nil
}

// Purge implements [events.LetterDriver].
func (d *Driver) Purge(ctx context.Context, q events.LetterQuery) (int, error) {
	c, err := conditions(d.db.Dialect, q)
	if err != nil {
		return 0, err
	}
	query := fmt.Sprintf("DELETE FROM dead_letters WHERE seq IN (SELECT seq FROM dead_letters%s ORDER BY seq LIMIT %s)", c.where(), c.value(q.Limit))
	n, err := affected(d.db.W.ExecContext(ctx, d.db.Dialect.SQL(query), c.args...))
	return int(n), err
}

// Count implements [events.LetterDriver].
func (d *Driver) Count(ctx context.Context, q events.LetterQuery) (counts []events.LetterCount, err error) {
	c, err := conditions(d.db.Dialect, q)
	if err != nil {
		return nil, err
	}
	query := "SELECT topic, subscription, state, COUNT(*), MIN(parked_at) FROM dead_letters" + c.where() +
		" GROUP BY topic, subscription, state ORDER BY topic, subscription, state"
	err = d.rows(ctx, query, c.args, func(rows *sql.Rows) (bool, error) {
		var count events.LetterCount
		var oldest int64
		err := rows.Scan(&count.Topic, &count.Subscription, &count.State, &count.Count, &oldest)
		count.Oldest = sqldb.Time(oldest)
		counts = append(counts, count)
		return true, err
	})
	return counts, err
}

// rows calls each with the rows of a query until it returns false.
func (d *Driver) rows(ctx context.Context, query string, args []any, each func(*sql.Rows) (bool, error)) error {
	rows, err := d.db.R.QueryContext(ctx, d.db.Dialect.SQL(query), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells what there is to tell
	for rows.Next() {
		if on, err := each(rows); err != nil || !on {
			return err
		}
	}
	return rows.Err()
}

func affected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// condition is a WHERE clause in the making.
type condition struct {
	terms []string
	args  []any
}

// value adds an argument and gives its placeholder.
func (c *condition) value(v any) string {
	c.args = append(c.args, v)
	return fmt.Sprintf("$%d", len(c.args))
}

func (c *condition) add(format string, values ...any) {
	holders := make([]any, len(values))
	for i, v := range values {
		holders[i] = c.value(v)
	}
	c.terms = append(c.terms, fmt.Sprintf(format, holders...))
}

func (c *condition) where() string {
	if len(c.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.terms, " AND ")
}

func conditions(dialect sqldb.Dialect, q events.LetterQuery) (*condition, error) {
	c := &condition{}
	states := make([]string, len(q.States))
	for i, s := range q.States {
		states[i] = string(s)
	}
	for _, list := range []struct {
		column string
		values []string
	}{{"letter_id", q.IDs}, {"state", states}} {
		if len(list.values) == 0 {
			continue
		}
		arg, err := sqldb.Values(dialect, list.values)
		if err != nil {
			return nil, err
		}
		c.terms = append(c.terms, dialect.In(list.column, c.value(arg), "text"))
	}
	for column, value := range map[string]string{
		"topic": q.Topic, "subscription": q.Subscription, "type": q.Type, "key": q.Key, "message_id": q.MessageID,
	} {
		if value != "" {
			c.add(column+" = %s", value)
		}
	}
	if q.Reason != "" {
		c.terms = append(c.terms, dialect.Contains("reason", c.value(q.Reason)))
	}
	if !q.From.IsZero() {
		c.add("parked_at >= %s", sqldb.Micros(q.From))
	}
	if !q.Until.IsZero() {
		c.add("parked_at < %s", sqldb.Micros(q.Until))
	}
	return c, nil
}

// arguments are the values of a row in the order of columns.
func arguments(l events.Letter) ([]any, error) {
	attributes, err := json.Marshal(l.Message.Attributes)
	if err != nil {
		return nil, fmt.Errorf("attributes of %s: %w", l.Message.ID, err)
	}
	return []any{
		l.ID, string(l.State), l.Topic, l.Subscription, l.Message.ID, l.Message.Type, l.Message.Source, sqldb.Micros(l.Message.Time),
		l.Message.Key, string(attributes), l.Message.Data, l.Reason, l.Attempts, number(l.Permanent), l.Stack, sqldb.Micros(l.ParkedAt),
		sqldb.Micros(l.FirstParkedAt), l.Replays, l.Note, number(l.Edited), l.Version, sqldb.Micros(l.FiledAt), sqldb.Micros(l.ChangedAt),
	}, nil
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func scan(row interface{ Scan(...any) error }) (events.Letter, error) {
	var l events.Letter
	var at, parked, first, filed, changed, permanent, edited int64
	var attributes string
	err := row.Scan(&l.ID, &l.State, &l.Topic, &l.Subscription, &l.Message.ID, &l.Message.Type, &l.Message.Source, &at,
		&l.Message.Key, &attributes, &l.Message.Data, &l.Reason, &l.Attempts, &permanent, &l.Stack, &parked,
		&first, &l.Replays, &l.Note, &edited, &l.Version, &filed, &changed, &l.Seq)
	if err != nil {
		return events.Letter{}, err
	}
	l.Message.Time, l.ParkedAt, l.FirstParkedAt = sqldb.Time(at), sqldb.Time(parked), sqldb.Time(first)
	l.FiledAt, l.ChangedAt, l.Permanent, l.Edited = sqldb.Time(filed), sqldb.Time(changed), permanent != 0, edited != 0
	if err := json.Unmarshal([]byte(attributes), &l.Message.Attributes); err != nil {
		return events.Letter{}, fmt.Errorf("attributes of letter %s: %w", l.ID, err)
	}
	return l, nil
}
