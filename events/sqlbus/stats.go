package sqlbus

import (
	"context"
	"time"

	"vibesdk-gcp/internal/sqldb"
)

// Stat says what a subscription holds, in messages.
type Stat struct {
	Subscription, Topic string
	// Ready messages can be handed out now, Delayed ones wait for an instant or behind one of their key that
	// does, Leased ones are with a consumer or behind one of their key that is.
	Ready, Delayed, Leased int64
	// Oldest is how long ago the oldest of them was published; 0 without any.
	Oldest time.Duration
}

// Stats reads every stored subscription, ordered by name. It walks all waiting messages: it is for people.
func (d *Driver) Stats(ctx context.Context) ([]Stat, error) {
	now := time.Now()
	rows, err := d.db.R.QueryContext(ctx, d.db.Dialect.SQL(`
		SELECT s.name, s.topic,
			COALESCE(SUM(CASE WHEN l.owner = 0 AND l.due <= $1 THEN 1 ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN l.owner = 0 AND l.due > $1 THEN 1 ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN l.owner <> 0 THEN 1 ELSE 0 END), 0),
			COALESCE(MIN(m.accepted), 0)
		FROM bus_subscriptions s
		LEFT JOIN (bus_lanes l JOIN bus_messages m ON l.id = COALESCE(m.lane, m.seq)) ON l.sub = s.id
		GROUP BY s.id, s.name, s.topic ORDER BY s.name`), sqldb.Micros(now))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var stats []Stat
	for rows.Next() {
		var s Stat
		var oldest int64
		if err := rows.Scan(&s.Subscription, &s.Topic, &s.Ready, &s.Delayed, &s.Leased, &oldest); err != nil {
			return nil, err
		}
		if oldest > 0 {
			s.Oldest = max(0, now.Sub(sqldb.Time(oldest)))
		}
		stats = append(stats, s)
	}
	return stats, rows.Err()
}
