package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"vibesdk-gcp/internal/filelock"
)

// unlockTimeout bounds giving a lock up. If the database does not answer the connection is closed, which frees the lock as well.
const unlockTimeout = 5 * time.Second

// TryLock takes the lock of a name, among all processes that share the database. ok is false when somebody else holds it. The lock ends with
// unlock, with the process, or when its connection breaks: whoever holds it must bear that somebody else does, too. It costs a
// connection of the pool for as long as it is held; behind a pooler that shares connections between transactions it holds nothing.
func (db *DB) TryLock(ctx context.Context, name string) (unlock func() error, ok bool, err error) {
	if db.Dialect == SQLite {
		lock, err := filelock.Try(db.path + "." + name + ".lock")
		if errors.Is(err, filelock.ErrHeld) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		return lock.Release, true, nil
	}
	conn, err := db.W.Conn(ctx)
	if err != nil {
		return nil, false, err
	}
	err = conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", "sqldb:"+name).Scan(&ok)
	if err != nil {
		discard(conn) // the lock may have been taken
		return nil, false, errors.Join(err, closed(conn))
	}
	if !ok {
		return nil, false, conn.Close()
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
		defer cancel()
		if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock(hashtextextended($1, 0))", "sqldb:"+name); err != nil {
			discard(conn)
			return errors.Join(err, closed(conn))
		}
		return conn.Close()
	}, true, nil
}

// discard closes the connection instead of giving it back to the pool.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // the error is what makes the pool close it
}

// closed closes a connection that may be closed already.
func closed(conn *sql.Conn) error {
	if err := conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
		return err
	}
	return nil
}
