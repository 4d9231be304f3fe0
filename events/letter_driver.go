package events

import (
	"context"
	"time"
)

// LetterDriver is what a store must do to keep letters. [LetterBox] holds one and adds the rules, so a driver is little more
// than storage. Times are kept to the microsecond.
//
// All methods are safe for concurrent use, also by several processes. Errors wrap [ErrNotFound] and [ErrConflict] where the
// methods say so; after any other error of a writing method it is unknown whether it was done, and it may be called again.
type LetterDriver interface {
	// File stores letters that are not filed yet. For one that is, by its ID, it stores what [Refile] makes of the two, if that
	// is a change. It returns nil only when all of them are durable.
	File(ctx context.Context, letters []Letter) error
	// Letter returns one letter, or ErrNotFound.
	Letter(ctx context.Context, id string) (Letter, error)
	// Letters lists at most q.Limit letters of a query that is valid, ordered by FirstParkedAt and Seq. It lists fewer when their
	// payloads would be more than [MaxLetterBytes], but one at least. more tells whether others follow.
	Letters(ctx context.Context, q LetterQuery) (page []Letter, more bool, err error)
	// Save replaces the letter with l.ID if its version is l.Version-1: ErrConflict otherwise, also when there is none. Seq
	// stays as it is.
	Save(ctx context.Context, l Letter) error
	// MarkReplayed notes that letters were published once more: state replayed, one replay more, no edit pending. A letter that
	// is at another version stays as it is. It returns the ids of those that were noted, all of them in one commit.
	MarkReplayed(ctx context.Context, letters []Letter, at time.Time) ([]string, error)
	// Purge deletes at most q.Limit letters of a query that is valid, and returns how many. After and Newest do not count.
	Purge(ctx context.Context, q LetterQuery) (int, error)
	// Count counts the letters of a query that is valid, by topic, subscription and state. Limit, After and Newest do not count.
	Count(ctx context.Context, q LetterQuery) ([]LetterCount, error)
}
