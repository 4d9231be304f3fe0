package sqldb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" database/sql driver
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the "sqlite" database/sql driver, pure Go

	"vibesdk-gcp/internal/filelock"
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	Dialect Dialect
	// W is for writing, R for reading. On Postgres they are the same pool.
	W, R *sql.DB

	url  string
	path string
	// self names this handle in its notifications.
	self string
	hub  hub
}

// Options tune [Open]. The zero value is right for a program.
type Options struct {
	// MaxConns bounds the connections of a pool. Defaults to [DefaultMaxConns].
	MaxConns int
}

// DefaultMaxConns is what a pool has by default. On Postgres a handle has one pool, and one connection more while it listens.
const DefaultMaxConns = 8

// Open opens `sqlite:<path>` (made when missing, parent folders too) or `postgres://…`. It fails if the database
// does not answer.
func Open(ctx context.Context, address string, o Options) (*DB, error) {
	if o.MaxConns == 0 {
		o.MaxConns = DefaultMaxConns
	}
	switch scheme, rest, _ := strings.Cut(address, ":"); scheme {
	case "sqlite":
		return openSQLite(ctx, rest, o)
	case "postgres", "postgresql":
		pool, err := sql.Open("pgx", address)
		if err != nil {
			return nil, errors.New("postgres address is not valid") // the driver's error may quote the password
		}
		pool.SetMaxOpenConns(o.MaxConns)
		pool.SetMaxIdleConns(o.MaxConns)
		if err := pool.PingContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("postgres does not answer: %w", err), pool.Close())
		}
		return &DB{Dialect: Postgres, W: pool, R: pool, url: address, self: rand.Text()}, nil
	default:
		return nil, fmt.Errorf("database address %q: scheme must be sqlite: or postgres://", scheme+":…")
	}
}

func openSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	if path == "" || path == ":memory:" || strings.HasPrefix(path, "file:") {
		return nil, fmt.Errorf("database address sqlite:%s: must name a file on disk", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("database folder: %w", err)
	}
	open := func(conns int, extra ...string) (*sql.DB, error) {
		q := url.Values{"_pragma": append([]string{
			"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)",
		}, extra...), "_txlock": {"immediate"}}
		pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
		if err != nil {
			return nil, err
		}
		pool.SetMaxOpenConns(conns)
		pool.SetMaxIdleConns(conns)
		if err := pool.PingContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("sqlite %s: %w", path, err), pool.Close())
		}
		return pool, nil
	}
	w, err := open(1)
	if err != nil {
		return nil, err
	}
	r, err := open(o.MaxConns+1, "query_only(1)") // one is kept by the watch for other processes
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return &DB{Dialect: SQLite, W: w, R: r, path: path}, nil
}

// Path is the file of a SQLite database, and empty on Postgres.
func (db *DB) Path() string { return db.path }

// Close ends all subscriptions and closes the pools. A nil DB is closed already.
func (db *DB) Close() error {
	if db == nil {
		return nil
	}
	db.hub.close()
	if db.R == db.W {
		return db.W.Close()
	}
	return errors.Join(db.R.Close(), db.W.Close())
}

// Migrate applies the numbered migrations of a folder that holds `sqlite` and `postgres`. Several processes may
// call it at once: on Postgres an advisory lock lets one go first, on SQLite the lock of a file beside the
// database does.
func (db *DB) Migrate(ctx context.Context, migrations fs.FS) error {
	dir, err := fs.Sub(migrations, db.Dialect.String())
	if err != nil {
		return err
	}
	provider, err := db.gooseProvider(dir)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if db.Dialect == SQLite {
		lock, err := filelock.Wait(ctx, db.path+".migrate")
		if err != nil {
			return fmt.Errorf("migrate %s: %w", db.Dialect, err)
		}
		defer func() { _ = lock.Release() }() // closing a file nothing was written to
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", db.Dialect, err)
	}
	return nil
}

// Tx runs fn in a transaction on W and commits when it returns nil.
func (db *DB) Tx(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := db.W.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

func (db *DB) gooseProvider(dir fs.FS) (*goose.Provider, error) {
	opts := []goose.ProviderOption{goose.WithVerbose(false)}
	if db.Dialect == SQLite {
		return goose.NewProvider(goose.DialectSQLite3, db.W, dir, opts...)
	}
	locker, err := newSessionLocker()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db.W, dir, append(opts, goose.WithSessionLocker(locker))...)
}
