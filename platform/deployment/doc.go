// Package deployment is the table of what runs where: deployed apps by name, and preview routes by sandbox.
//
// # Who uses it
//
// Workers, and people through the gateway, write through a [Table]; the router holds its [Lookup] side and can only read. Several
// processes may hold a Table over one database.
//
// # Apps
//
// Each change of an app is a version, also its deletion, and the last [HistoryLength] of them say who made it and what it was. A
// [Write] may name the version that it starts from; of several from one version one wins. Where an app runs keeps to [Endpoints].
//
// # Generations
//
// A preview route belongs to one generation of a sandbox, its fence. Messages are delivered more than once
// and out of order, so the order of calls means nothing and the fence decides:
//
//	absent ── PutPreview(n) ──▶ published n ── PutPreview(m > n) ──▶ published m
//	   │                            │
//	   └── WithdrawPreview(n) ──▶ withdrawn n ── PutPreview(m > n) ──▶ published m
//
// | Call | When | Result |
// |---|---|---|
// | PutPreview(n) | published m > n, or withdrawn m ≥ n | [ErrStale], nothing changes |
// | PutPreview(n) | published n with the same token | nil; a new endpoint replaces the old one |
// | PutPreview(n) | published n with another token | [ErrStale]: a generation has one token for its whole life |
// | WithdrawPreview(n) | published m > n | nil, the route stays |
// | WithdrawPreview(n) | absent | nil, and n can never be published later |
//
// # Freshness
//
// What a [Table] returns is at most [Options.Fresh] old (one second by default) and never older than a write
// that was made through the same Table and has returned. A driver that hears of writes elsewhere makes them seen at once. When the database does not answer, lookups fail:
// serving an old route longer would keep a withdrawn token alive.
package deployment
