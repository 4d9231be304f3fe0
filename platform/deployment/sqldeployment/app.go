package sqldeployment

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/deployment"
)

// PutApp implements [deployment.Driver].
func (d *Driver) PutApp(ctx context.Context, a deployment.App, w deployment.Write) (deployment.App, error) {
	a.UpdatedAt = sqldb.Time(sqldb.Micros(a.UpdatedAt))
	err := d.change(ctx, a.Name, w, func(tx *sql.Tx, _, next int64) error {
		a.Version = next
		if err := d.write(ctx, tx, a); err != nil {
			return err
		}
		return d.record(ctx, tx, a.Name, deployment.Change{Version: next, At: a.UpdatedAt, By: w.By, App: &a})
	})
	if err != nil {
		return deployment.App{}, failed("put app", err)
	}
	return a, nil
}

func (d *Driver) write(ctx context.Context, tx *sql.Tx, a deployment.App) error {
	var second deployment.Rollout
	if a.Rollout != nil {
		second = *a.Rollout
	}
	_, err := tx.ExecContext(ctx, d.sql.putApp, a.Name, string(a.Target), a.Endpoint, a.Audience, string(a.Visibility), a.Owner, a.SandboxID,
		string(second.Target), second.Endpoint, second.Audience, second.Weight, a.Version, sqldb.Micros(a.UpdatedAt))
	return err
}

// AdoptApp implements [deployment.Driver].
func (d *Driver) AdoptApp(ctx context.Context, name string, changes []deployment.Change) (adopted bool, err error) {
	newest := changes[0]
	err = d.change(ctx, name, deployment.Write{}, func(tx *sql.Tx, stored, next int64) error {
		last := next - 1
		switch {
		case last > newest.Version:
			return fmt.Errorf("%w: stored is %d, the other has %d", deployment.ErrConflict, last, newest.Version)
		case last == newest.Version:
			return d.compare(ctx, tx, name, stored == 0, newest)
		}
		if _, err := tx.ExecContext(ctx, d.sql.trimChanges, name, last); err != nil {
			return err
		}
		for _, c := range slices.Backward(changes) {
			if err := d.record(ctx, tx, name, c); err != nil {
				return err
			}
		}
		adopted = true
		if newest.App == nil {
			_, err := tx.ExecContext(ctx, d.sql.deleteApp, name)
			return err
		}
		return d.write(ctx, tx, *newest.App)
	})
	return adopted && err == nil, failed("adopt app", err)
}

// compare fails with ErrConflict unless what is stored is what a change of the same version says.
func (d *Driver) compare(ctx context.Context, tx *sql.Tx, name string, gone bool, c deployment.Change) error {
	same := gone == (c.App == nil)
	if same && !gone {
		a, err := scanApp(tx.QueryRowContext(ctx, d.sql.app, name))
		if err != nil {
			return err
		}
		same = a.Same(*c.App)
	}
	if !same {
		return fmt.Errorf("%w: version %d is stored with something else in it", deployment.ErrConflict, c.Version)
	}
	return nil
}

// DeleteApp implements [deployment.Driver].
func (d *Driver) DeleteApp(ctx context.Context, name string, w deployment.Write, at time.Time) error {
	return failed("delete app", d.change(ctx, name, w, func(tx *sql.Tx, stored, next int64) error {
		if stored == 0 {
			return sql.ErrNoRows
		}
		if _, err := tx.ExecContext(ctx, d.sql.deleteApp, name); err != nil {
			return err
		}
		return d.record(ctx, tx, name, deployment.Change{Version: next, At: at, By: w.By})
	}))
}

// change runs fn in a transaction in which nobody else changes the app. It is given the version stored, 0 for none, and the next one.
func (d *Driver) change(ctx context.Context, name string, w deployment.Write, fn func(tx *sql.Tx, stored, next int64) error) error {
	err := d.db.Tx(ctx, func(tx *sql.Tx) error {
		if d.sql.lockApp != "" {
			if _, err := tx.ExecContext(ctx, d.sql.lockApp, name); err != nil {
				return err
			}
		}
		var stored, last int64
		if err := tx.QueryRowContext(ctx, d.sql.version, name).Scan(&stored, &last); err != nil {
			return err
		}
		if w.IfVersion != nil && *w.IfVersion != stored {
			return fmt.Errorf("%w: stored is %d, expected was %d", deployment.ErrConflict, stored, *w.IfVersion)
		}
		return fn(tx, stored, max(stored, last)+1)
	})
	d.tell(ctx, err, appKey+name)
	return err
}

func (d *Driver) record(ctx context.Context, tx *sql.Tx, name string, c deployment.Change) error {
	var text []byte
	if c.App != nil {
		var err error
		if text, err = json.Marshal(c.App); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, d.sql.addChange, name, c.Version, sqldb.Micros(c.At), c.By, string(text)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, d.sql.trimChanges, name, c.Version-deployment.HistoryLength)
	return err
}

// App implements [deployment.Driver].
func (d *Driver) App(ctx context.Context, name string) (deployment.App, error) {
	a, err := scanApp(d.db.R.QueryRowContext(ctx, d.sql.app, name))
	if err != nil {
		return deployment.App{}, failed("read app", err)
	}
	return a, nil
}

// Apps implements [deployment.Driver].
func (d *Driver) Apps(ctx context.Context, after string, limit int) ([]deployment.App, error) {
	rows, err := d.db.R.QueryContext(ctx, d.sql.apps, after, limit)
	if err != nil {
		return nil, failed("list apps", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err tells what there is to tell
	var apps []deployment.App
	for rows.Next() {
		a, err := scanApp(rows)
		if err != nil {
			return nil, failed("list apps", err)
		}
		apps = append(apps, a)
	}
	return apps, failed("list apps", rows.Err())
}

// AppHistory implements [deployment.Driver].
func (d *Driver) AppHistory(ctx context.Context, name string, limit int) ([]deployment.Change, error) {
	rows, err := d.db.R.QueryContext(ctx, d.sql.changes, name, limit)
	if err != nil {
		return nil, failed("read history", err)
	}
	defer func() { _ = rows.Close() }() // as above
	var changes []deployment.Change
	for rows.Next() {
		var c deployment.Change
		var at int64
		var text string
		if err := rows.Scan(&c.Version, &at, &c.By, &text); err != nil {
			return nil, failed("read history", err)
		}
		c.At = sqldb.Time(at)
		if text != "" {
			c.App = &deployment.App{}
			if err := json.Unmarshal([]byte(text), c.App); err != nil {
				return nil, failed("read history", err)
			}
		}
		changes = append(changes, c)
	}
	return changes, failed("read history", rows.Err())
}

// PurgeHistory implements [deployment.Driver].
func (d *Driver) PurgeHistory(ctx context.Context, before time.Time) (int, error) {
	n, err := d.exec(ctx, d.sql.purgeChanges, sqldb.Micros(before))
	return int(n), failed("purge history", err)
}

func scanApp(row interface{ Scan(...any) error }) (deployment.App, error) {
	var a deployment.App
	var second deployment.Rollout
	var updated int64
	err := row.Scan(&a.Name, &a.Target, &a.Endpoint, &a.Audience, &a.Visibility, &a.Owner, &a.SandboxID,
		&second.Target, &second.Endpoint, &second.Audience, &second.Weight, &a.Version, &updated)
	if second.Endpoint != "" {
		a.Rollout = &second
	}
	a.UpdatedAt = sqldb.Time(updated)
	return a, err
}
