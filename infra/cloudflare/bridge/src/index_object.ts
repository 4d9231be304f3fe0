import { DurableObject } from "cloudflare:workers";
import type { Env } from "./env";
import type { IndexEntry } from "./session_wire";

/** How many objects share the index. Another number would look for entries where they are not. */
const shards = 8;

/** What a list selects. Only one of the times may be set; all are texts that sort. */
export interface ListQuery {
  after: string;
  afterTime: string;
  dueBy: string;
  expiredBy: string;
  limit: number;
}

/** A head and where it stands in the order of the list. */
export interface Listed {
  order: string;
  head: string;
}

export function shardNames(): string[] {
  return Array.from({ length: shards }, (_, i) => `shard-${i}`);
}

export function shardOf(id: string): string {
  let hash = 0x811c9dc5; // FNV-1a
  for (const byte of new TextEncoder().encode(id)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `shard-${hash % shards}`;
}

/** The heads of a share of the sessions, for lists. What it holds is always a copy of what a SessionObject committed. */
export class IndexObject extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(`
      CREATE TABLE IF NOT EXISTS entries (
        id TEXT PRIMARY KEY, seq INTEGER NOT NULL, head TEXT NOT NULL, present INTEGER NOT NULL, alarm TEXT NOT NULL, expires TEXT NOT NULL
      ) WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS by_presence ON entries (id) WHERE present;
      CREATE INDEX IF NOT EXISTS by_alarm ON entries (alarm, id) WHERE alarm <> '';
      CREATE INDEX IF NOT EXISTS by_expiry ON entries (expires, id) WHERE expires <> '';`);
  }

  put(e: IndexEntry): void {
    this.ctx.storage.sql.exec(
      `INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
         seq = excluded.seq, head = excluded.head, present = excluded.present, alarm = excluded.alarm, expires = excluded.expires
       WHERE excluded.seq > seq`,
      e.id, e.seq, e.head, e.present ? 1 : 0, e.alarm, e.expires,
    );
  }

  drop(id: string, seq: number): void {
    this.ctx.storage.sql.exec("DELETE FROM entries WHERE id = ? AND seq < ?", id, seq);
  }

  list(q: ListQuery): Listed[] {
    // Bytes of ids compare in SQLite as they do elsewhere; JavaScript compares UTF-16. Hence the order as hexadecimal.
    const select = (order: string, where: string, by: string, ...values: unknown[]) =>
      this.ctx.storage.sql
        .exec<{ order: string; head: string }>(
          `SELECT ${order} || hex(CAST(id AS BLOB)) AS "order", head FROM entries WHERE ${where} ORDER BY ${by} LIMIT ?`, ...values, q.limit)
        .toArray();
    if (q.dueBy !== "") {
      return select("alarm", "alarm <> '' AND alarm <= ? AND (alarm, id) > (?, ?)", "alarm, id", q.dueBy, q.afterTime, q.after);
    }
    if (q.expiredBy !== "") {
      return select("expires", "expires <> '' AND expires <= ? AND (expires, id) > (?, ?)", "expires, id", q.expiredBy, q.afterTime, q.after);
    }
    return select("''", "present AND id > ?", "id", q.after);
  }
}
