package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

// limits copies the counts of the keys that are known: those of From, or, where it cannot list them, those of the file and of To.
func (m *migration) limits(ctx context.Context, run *partRun) error {
	listed, canList := m.from.limits.(ratelimit.Lister)
	other, otherCan := m.to.limits.(ratelimit.Lister)
	var sources []keySource
	if canList {
		sources = append(sources, keySource{"keys", pageOfKeys(listed)})
	}
	if m.o.KeysFile != "" {
		keys, err := m.readKeys()
		if err != nil {
			return err
		}
		sources = append(sources, keySource{"keys of the file", pageOf(keys)})
	}
	if !canList && otherCan {
		sources = append(sources, keySource{"keys of the other side", pageOfKeys(other)})
	}
	switch {
	case len(sources) == 0:
		return errors.New("neither side can list what it counts: name a file of keys or identifiers with --keys")
	case !canList && m.o.KeysFile == "":
		run.Note = "from cannot list what it counts: only what the other side knows is copied; name more with --keys"
	}
	var phases []phase
	for _, s := range sources {
		phases = append(phases, m.limitPhase("copy "+s.name, s, m.copyCounts(run)))
	}
	if m.o.Verify {
		for _, s := range sources {
			phases = append(phases, m.limitPhase("compare "+s.name, s, m.compareCounts(run)))
		}
		if canList && otherCan {
			phases = append(phases, m.limitPhase("look at the other side", keySource{"", pageOfKeys(other)}, m.otherCounts(run)))
		}
	}
	return run.run(ctx, phases...)
}

// keyPrefix begins every key of a limit with a name; see [ratelimit.Key].
const keyPrefix = "platform:"

// keysPage returns some keys, and the cursor of those behind.
type keysPage func(ctx context.Context, cursor string) (keys []string, next string, err error)

// keySource is where keys come from.
type keySource struct {
	name string
	page keysPage
}

func pageOfKeys(l ratelimit.Lister) keysPage {
	return func(ctx context.Context, cursor string) ([]string, string, error) {
		return l.Keys(ctx, cursor, migratePage)
	}
}

// pageOf pages through keys by their number.
func pageOf(keys []string) keysPage {
	return func(_ context.Context, cursor string) ([]string, string, error) {
		from := 0
		if cursor != "" {
			var err error
			if from, err = strconv.Atoi(cursor); err != nil || from < 0 || from > len(keys) {
				return nil, "", fmt.Errorf("place %q is none of the file", cursor)
			}
		}
		end := min(len(keys), from+migratePage)
		if end == len(keys) {
			return keys[from:], "", nil
		}
		return keys[from:end], strconv.Itoa(end), nil
	}
}

func (m *migration) limitPhase(name string, s keySource, fn func(context.Context, string) error) phase {
	return phase{name, func(ctx context.Context, cursor string) (string, error) {
		keys, next, err := s.page(ctx, cursor)
		if err != nil {
			return "", err
		}
		return next, each(ctx, m, keys, fn)
	}}
}

// readKeys reads keys, one a line; an identifier stands for its keys under all limits.
func (m *migration) readKeys() ([]string, error) {
	file, err := os.Open(m.o.KeysFile)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	defer file.Close()
	var keys []string
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		more := []string{line}
		if !strings.HasPrefix(line, keyPrefix) {
			more = nil
			for _, limit := range slices.Sorted(maps.Keys(m.o.From.Limit.Limits)) {
				more = append(more, ratelimit.Key(limit, line))
			}
		}
		for _, key := range more {
			if err := ratelimit.ValidateKey(key); err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", m.o.KeysFile, n, err)
			}
		}
		keys = append(keys, more...)
	}
	return keys, lines.Err()
}

// nothing reports whether nothing is known of a key.
func nothing(c ratelimit.Counts) bool { return len(c.Buckets)+len(c.Adjusted) == 0 }

func (m *migration) copyCounts(run *partRun) func(context.Context, string) error {
	return func(ctx context.Context, key string) error {
		now := time.Now().UnixMilli()
		counts, err := m.from.limits.Dump(ctx, key)
		if err != nil {
			return err
		}
		if counts = counts.Within(now); nothing(counts) {
			return nil
		}
		if err := counts.Check(); err != nil {
			run.count(&run.Refused, "limit %q: %v", key, err)
			return nil
		}
		there, err := m.to.limits.Dump(ctx, key)
		if err != nil {
			return err
		}
		restored := there.Clock <= counts.Clock
		switch {
		case counts.Difference(there, now) == "":
			run.count(&run.Same, "")
			return nil
		case restored && !m.o.DryRun:
			if restored, err = m.to.limits.Restore(ctx, counts); err != nil {
				return err
			}
		}
		if restored {
			run.count(&run.Copied, "")
		} else {
			run.count(&run.Ahead, "limit %q: it was charged later at the other side", key)
		}
		return nil
	}
}

func (m *migration) compareCounts(run *partRun) func(context.Context, string) error {
	return func(ctx context.Context, key string) error {
		counts, err := m.from.limits.Dump(ctx, key)
		if err != nil {
			return err
		}
		there, err := m.to.limits.Dump(ctx, key)
		if err != nil {
			return err
		}
		now := time.Now().UnixMilli()
		if nothing(counts.Within(now)) {
			if !nothing(there.Within(now)) {
				run.count(&run.OnlyThere, "")
			}
			return nil
		}
		if d := counts.Difference(there, now); d != "" {
			run.count(&run.Differing, "limit %q: %s", key, d)
		}
		run.count(&run.Compared, "")
		return nil
	}
}

func (m *migration) otherCounts(run *partRun) func(context.Context, string) error {
	return func(ctx context.Context, key string) error {
		now := time.Now().UnixMilli()
		counts, err := m.from.limits.Dump(ctx, key)
		if err != nil || !nothing(counts.Within(now)) {
			return err
		}
		there, err := m.to.limits.Dump(ctx, key)
		if err == nil && !nothing(there.Within(now)) {
			run.count(&run.OnlyThere, "")
		}
		return err
	}
}
