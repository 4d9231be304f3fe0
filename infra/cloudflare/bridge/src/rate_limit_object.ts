import { DurableObject } from "cloudflare:workers";
import type { Env } from "./env";
import { Ledger } from "./limit_ledger";
import { ruleOf } from "./limit_rule";
import type { Charge, Correction, Counts, Decided, Decision, LimitConfig, LimitResult, Rule } from "./limit_rule";
import { day, decide, span } from "./limit_window";

/** What is known of a key beside its buckets. */
interface Head {
  /** How far back the longest window reaches that ever charged the key. */
  horizon: number;
  /** The latest time that this object's own clock showed. It is stored once for each bucket. */
  clock: number;
  stored: number;
  sizes: { size: number; used: number }[];
}

const mostSizes = 8;

/**
 * Counts as VibeSDK's DORateLimitStore does, for accounts that have none: a sliding window of buckets, in which the oldest one counts
 * whole. Beyond that it decides on several keys at once, corrects what was charged, and says when to try again. Unlike there, what is
 * cleared away never changes an answer: the longest window that was ever asked for stays. An alarm clears what nobody asks for any more.
 */
export class RateLimitObject extends DurableObject<Env> {
  /** How many rows all calls so far have read, and statements they have made. */
  protected touched = 0;
  readonly #sql: SqlStorage;
  readonly #heads = new Map<string, Head>();
  readonly #ledger = new Ledger((key) => this.#rows(key));
  #alarmed = false;
  /** When an alarm is wanted that is not yet set, in milliseconds from now; 0 for none. */
  #sweepIn = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS buckets (key TEXT NOT NULL, start REAL NOT NULL, count REAL NOT NULL, PRIMARY KEY (key, start)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS heads (key TEXT PRIMARY KEY, horizon REAL NOT NULL, clock REAL NOT NULL, sizes TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS corrected (key TEXT NOT NULL, id TEXT NOT NULL, until REAL NOT NULL, PRIMARY KEY (key, id)) WITHOUT ROWID;`);
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmed = (await ctx.storage.getAlarm()) !== null;
    });
  }

  /** Decides on every charge as of one time, and makes all of them when none is refused and dry is not set. */
  take(charges: Charge[], dry: boolean, keep: number, time?: number): Decided {
    return this.#change(time, (own) => {
      const heads = charges.map((charge) => this.#head(charge.key));
      const now = own ?? Math.max(Date.now(), ...heads.map((head) => head.clock));
      const decisions = charges.map((charge, i) => this.#decide(now, charge, heads[i] as Head));
      if (!dry && decisions.every((decision) => decision.exceeded === "")) {
        charges.forEach((charge, i) => {
          const head = heads[i] as Head;
          if (own === undefined) head.clock = now;
          this.#add(charge.key, Math.floor(now / charge.rule.size) * charge.rule.size, charge.n, now, charge.rule, keep, head);
        });
      }
      return { now, decisions };
    });
  }

  /** Corrects what was charged to a bucket, once for each id and by no more than the bucket holds. */
  adjust(correction: Correction, keep: number, time?: number): void {
    this.#change(time, (own) => {
      const { id, key, rule, bucket } = correction;
      const head = this.#head(key);
      const now = own ?? Math.max(Date.now(), head.clock);
      const horizon = span(rule) + rule.size;
      if (this.#sql.exec("SELECT 1 FROM corrected WHERE key = ? AND id = ?", key, id).toArray().length > 0) return;
      this.#sql.exec("INSERT INTO corrected VALUES (?, ?, ?)", key, id, now + horizon);
      this.#sweepIn = Math.max(this.#sweepIn, horizon); // also when nothing is charged
      const start = bucket * rule.size;
      if (start < now - horizon) return;
      this.#see(now, rule.size, head);
      const [held] = this.#sql.exec<{ count: number }>("SELECT count FROM buckets WHERE key = ? AND start = ?", key, start).toArray();
      const delta = correction.delta < 0 ? Math.max(correction.delta, Math.min(0, -(held?.count ?? 0))) : correction.delta;
      if (delta !== 0) this.#add(key, start, delta, now, rule, keep, head);
    });
  }

  increment(key: string, config: LimitConfig, n = 1, time?: number): LimitResult {
    const rule = ruleOf(config);
    const decision = this.take([{ key, n, rule }], false, day, time).decisions[0] as Decision;
    const refused = (exceededLimit: "main" | "burst" | "daily", limitValue: number, periodSeconds: number | undefined): LimitResult => ({
      success: false, remainingLimit: 0, exceededLimit, limitValue, ...(periodSeconds === undefined ? {} : { periodSeconds }),
    });
    switch (decision.exceeded) {
      case "main":
        return refused("main", config.limit, config.period);
      case "burst":
        return refused("burst", rule.burst, config.burstWindow);
      case "daily":
        return refused("daily", rule.daily, day / 1000);
    }
    let remaining = config.limit - decision.main - n;
    if (config.dailyLimit !== undefined && config.dailyLimit !== null) remaining = Math.min(remaining, config.dailyLimit - decision.daily - n);
    return { success: true, remainingLimit: Math.max(0, remaining) };
  }

  getRemainingLimit(key: string, config: LimitConfig, time?: number): number {
    const decision = this.take([{ key, n: 0, rule: ruleOf(config) }], true, day, time).decisions[0] as Decision;
    let remaining = config.limit - decision.main;
    if (config.dailyLimit) remaining = Math.min(remaining, config.dailyLimit - decision.daily);
    return Math.max(0, remaining);
  }

  /** Forgets exactly this key. The ids of its corrections stay known. */
  resetLimit(key: string): void {
    this.#sql.exec("DELETE FROM buckets WHERE key = ?", key);
    this.#sql.exec("DELETE FROM heads WHERE key = ?", key);
    this.#forget(key);
  }

  /** All that is known of a key. */
  dump(key: string): Counts {
    const head = this.#head(key);
    return {
      key, horizon: head.horizon, clock: head.clock, sizes: head.sizes,
      buckets: this.#rows(key),
      adjusted: this.#sql.exec<{ id: string; until: number }>("SELECT id, until FROM corrected WHERE key = ?", key).toArray(),
    };
  }

  /** Makes the counts of another home those of their key, unless it was charged later here. Corrections become known in either case. */
  restore(counts: Counts, keep: number): boolean {
    return this.#change(undefined, () => {
      const { key } = counts;
      for (const { id, until } of counts.adjusted) {
        this.#sql.exec("INSERT INTO corrected VALUES (?1, ?2, ?3) ON CONFLICT (key, id) DO UPDATE SET until = max(until, ?3)", key, id, until);
        this.#sweepIn = Math.max(this.#sweepIn, until - Date.now());
      }
      if (this.#head(key).clock > counts.clock) return false;
      this.resetLimit(key);
      if (counts.sizes.length === 0) return true;
      const horizon = Math.max(counts.horizon, keep);
      for (const { start, count } of counts.buckets) this.#sql.exec("INSERT INTO buckets VALUES (?, ?, ?)", key, start, count);
      this.#sql.exec("INSERT INTO heads VALUES (?, ?, ?, ?)", key, horizon, counts.clock, JSON.stringify(counts.sizes));
      this.#sweepIn = Math.max(this.#sweepIn, horizon);
      return true;
    });
  }

  /** Clears what no window reaches any more, and comes back while anything is left. */
  override async alarm(): Promise<void> {
    this.#forgetAll();
    const now = Date.now();
    this.#sql.exec("DELETE FROM buckets WHERE start < ?1 - (SELECT horizon FROM heads WHERE heads.key = buckets.key)", now);
    this.#sql.exec("DELETE FROM heads WHERE NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.key = heads.key)");
    this.#sql.exec("DELETE FROM corrected WHERE until < ?", now);
    const [left] = this.#sql.exec<{ horizon: number | null; until: number | null }>(
      "SELECT (SELECT max(horizon) FROM heads) AS horizon, (SELECT max(until) FROM corrected) AS until",
    ).toArray();
    // What is remembered until this very millisecond is still there, and nothing else may come that sets an alarm.
    this.#alarmed = left !== undefined && (left.horizon !== null || left.until !== null);
    if (this.#alarmed) await this.ctx.storage.setAlarm(now + Math.max(left?.horizon ?? 0, (left?.until ?? 0) - now) + 1);
  }

  /** Runs a change as a whole. time counts in tests only; otherwise the change uses this object's own clock. */
  #change<T>(time: number | undefined, change: (time: number | undefined) => T): T {
    const own = this.env.TEST_CLOCK === "1" ? time : undefined;
    try {
      const result = this.ctx.storage.transactionSync(() => change(own));
      // With times that are given, the time to sweep would be none of this clock.
      if (this.#sweepIn > 0 && !this.#alarmed && own === undefined) {
        this.#alarmed = true;
        void this.ctx.storage.setAlarm(Date.now() + this.#sweepIn + 1); // the answer waits until it is stored
      }
      this.#sweepIn = 0;
      return result;
    } catch (thrown) {
      this.#forgetAll(); // it may be what was rolled back
      throw thrown;
    }
  }

  #decide(now: number, { key, rule }: Charge, head: Head): Decision {
    this.#see(now, rule.size, head);
    return decide(now, rule, this.#ledger.buckets(key, rule.size));
  }

  /** Makes a bucket size one of the key's, of which there are few. */
  #see(now: number, size: number, head: Head): void {
    if (head.sizes.some((known) => known.size === size)) return;
    head.sizes = head.sizes.filter((known) => now <= known.used + head.horizon + head.horizon / 16 + known.size);
    if (head.sizes.length === mostSizes) {
      throw new RangeError(`limit config: bucketSize is the key's ${mostSizes + 1}th within its horizon, the most are ${mostSizes}`);
    }
    head.sizes.push({ size, used: now });
    head.stored = -Infinity;
  }

  #add(key: string, start: number, n: number, now: number, rule: Rule, keep: number, head: Head): void {
    this.#sql.exec("INSERT INTO buckets VALUES (?1, ?2, ?3) ON CONFLICT (key, start) DO UPDATE SET count = count + ?3", key, start, n);
    const horizon = Math.max(head.horizon, span(rule) + rule.size, keep);
    const used = head.sizes.find((known) => known.size === rule.size);
    const stale = used !== undefined && now - used.used > horizon / 16;
    if (stale) used.used = now;
    if (stale || horizon > head.horizon || head.clock - head.stored >= rule.size) {
      head.horizon = horizon;
      head.stored = head.clock;
      this.#sql.exec("INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?)", key, horizon, head.clock, JSON.stringify(head.sizes));
    }
    this.#heads.set(key, head);
    this.#sql.exec("DELETE FROM buckets WHERE key = ? AND start < ?", key, now - horizon);
    this.#ledger.add(key, start, n);
    this.#ledger.drop(key, now - horizon);
    this.touched += 2;
    this.#sweepIn = Math.max(this.#sweepIn, horizon);
  }

  /** What is known of a key beside its buckets, to be changed by a call: only #add makes that the key's. */
  #head(key: string): Head {
    const known = this.#heads.get(key);
    if (known !== undefined) return { ...known, sizes: known.sizes.map((use) => ({ ...use })) };
    this.touched++;
    const [row] = this.#sql.exec<{ horizon: number; clock: number; sizes: string }>("SELECT horizon, clock, sizes FROM heads WHERE key = ?", key).toArray();
    if (row === undefined) return { horizon: 0, clock: 0, stored: -Infinity, sizes: [] };
    return { horizon: row.horizon, clock: row.clock, stored: row.clock, sizes: JSON.parse(row.sizes) as Head["sizes"] };
  }

  /** The stored buckets of a key. */
  #rows(key: string): { start: number; count: number }[] {
    const rows = this.#sql.exec<{ start: number; count: number }>("SELECT start, count FROM buckets WHERE key = ? ORDER BY start", key).toArray();
    this.touched += 1 + rows.length;
    return rows;
  }

  #forget(key: string): void {
    this.#heads.delete(key);
    this.#ledger.forget(key);
  }

  #forgetAll(): void {
    this.#heads.clear();
    this.#ledger.clear();
  }
}
