import { DurableObject } from "cloudflare:workers";
import type { Env } from "./env";

/** One limit. Times are seconds; 0 means the default. */
export interface LimitConfig {
  limit: number;
  period: number;
  burst?: number;
  burstWindow?: number;
  bucketSize?: number;
  dailyLimit?: number;
  calendarDaily?: boolean;
}

export interface LimitResult {
  success: boolean;
  remainingLimit?: number;
  exceededLimit?: "main" | "burst" | "daily";
  limitValue?: number;
  periodSeconds?: number;
}

const day = 86_400_000;

/**
 * Counts as VibeSDK's DORateLimitStore does, for accounts that have none: a sliding window of buckets, in which the oldest one counts
 * whole. Unlike there, what is cleared away never changes an answer: the longest window that was ever asked for stays.
 */
export class RateLimitObject extends DurableObject<Env> {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS buckets (key TEXT NOT NULL, start REAL NOT NULL, count REAL NOT NULL, PRIMARY KEY (key, start)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS horizon (one INTEGER PRIMARY KEY, ms REAL NOT NULL);`);
  }

  increment(key: string, config: LimitConfig, n = 1, time?: number): LimitResult {
    const now = this.#now(time);
    const w = windows(config, now);
    return this.ctx.storage.transactionSync(() => {
      const main = this.#count(key, w.mainStart, now, w.size);
      const daily = config.dailyLimit ? this.#count(key, now - day, now, w.size) : 0;
      const refused = (exceededLimit: "main" | "burst" | "daily", limitValue: number, periodSeconds: number | undefined): LimitResult => ({
        success: false, remainingLimit: 0, exceededLimit, limitValue, ...(periodSeconds === undefined ? {} : { periodSeconds }),
      });
      if (main >= config.limit) return refused("main", config.limit, config.period);
      if (config.burst && this.#count(key, now - w.burst, now, w.size) >= config.burst) return refused("burst", config.burst, config.burstWindow);
      if (config.dailyLimit && daily >= config.dailyLimit) return refused("daily", config.dailyLimit, day / 1000);
      this.#add(key, Math.floor(now / w.size) * w.size, n);
      this.#clear(now, w.longest + w.size);
      let remaining = config.limit - main - n;
      if (config.dailyLimit !== undefined && config.dailyLimit !== null) remaining = Math.min(remaining, config.dailyLimit - daily - n);
      return { success: true, remainingLimit: Math.max(0, remaining) };
    });
  }

  getRemainingLimit(key: string, config: LimitConfig, time?: number): number {
    const now = this.#now(time);
    const w = windows(config, now);
    let remaining = config.limit - this.#count(key, w.mainStart, now, w.size);
    if (config.dailyLimit) remaining = Math.min(remaining, config.dailyLimit - this.#count(key, now - day, now, w.size));
    return Math.max(0, remaining);
  }

  resetLimit(key: string): void {
    this.#sql.exec("DELETE FROM buckets WHERE key = ?", key);
  }

  #now(time: number | undefined): number {
    return this.env.TEST_CLOCK === "1" && time !== undefined ? time : Date.now();
  }

  /** Adds up in ascending order of time, which decides the last bit of a sum of fractions. */
  #count(key: string, from: number, now: number, size: number): number {
    const first = Math.floor(from / size) * size;
    let sum = 0;
    for (const bucket of this.#sql.exec<{ start: number; count: number }>(
      "SELECT start, count FROM buckets WHERE key = ? AND start >= ? AND start <= ? ORDER BY start", key, first, now,
    )) {
      if ((bucket.start - first) % size === 0) sum += bucket.count;
    }
    return sum;
  }

  #add(key: string, start: number, n: number): void {
    this.#sql.exec("INSERT INTO buckets VALUES (?1, ?2, ?3) ON CONFLICT (key, start) DO UPDATE SET count = count + ?3", key, start, n);
  }

  #clear(now: number, window: number): void {
    const [known] = this.#sql.exec<{ ms: number }>("SELECT ms FROM horizon").toArray();
    if (known === undefined || known.ms < window) this.#sql.exec("INSERT OR REPLACE INTO horizon VALUES (1, ?)", window);
    this.#sql.exec("DELETE FROM buckets WHERE start < ?", now - Math.max(window, known?.ms ?? 0));
  }
}

function windows(config: LimitConfig, now: number): { size: number; mainStart: number; burst: number; longest: number } {
  for (const name of ["limit", "period"] as const) check(name, config[name], name === "period" ? 0.001 : 0);
  for (const name of ["burst", "burstWindow", "bucketSize", "dailyLimit"] as const) {
    if (config[name] !== undefined && config[name] !== null) check(name, config[name], 0);
  }
  const size = (config.bucketSize || 10) * 1000;
  const burst = (config.burstWindow || 60) * 1000;
  const mainStart = config.calendarDaily ? Math.floor(now / day) * day : now - config.period * 1000;
  return { size, burst, mainStart, longest: Math.max(config.period * 1000, burst, now - mainStart, day) };
}

function check(name: string, value: unknown, least: number): void {
  if (typeof value !== "number" || !(value >= least && value <= 1e9)) throw new RangeError(`limit config: ${name} must be ${least} to 1e9`);
}
