// The bridge beside a class that counts in the way of VibeSDK's own limiter, as it would be bound where VibeSDK is deployed already: all
// buckets of a key in memory, and written as one value after each charge.
import { DurableObject } from "cloudflare:workers";
import type { LimitConfig, LimitResult } from "../src/limit_rule";

export * from "../src/index";
export { default } from "../src/index";

interface Counted {
  count: number;
  timestamp: number;
}

interface Stored {
  buckets: [string, Counted][];
  lastCleanup: number;
}

const day = 86_400_000;

export class DORateLimitStore extends DurableObject {
  #buckets: Map<string, Counted> | undefined;
  #lastCleanup = Date.now();

  async increment(key: string, config: LimitConfig, n = 1): Promise<LimitResult> {
    const buckets = await this.#loaded();
    const now = Date.now();
    const size = (config.bucketSize || 10) * 1000;
    const main = config.period * 1000;
    const burst = (config.burstWindow || 60) * 1000;
    this.#cleanUp(buckets, now, Math.max(main, burst, config.dailyLimit ? day : 0));
    const used = this.#count(buckets, key, now, main, size);
    if (used >= config.limit) return { success: false, remainingLimit: 0, exceededLimit: "main" };
    if (config.burst && this.#count(buckets, key, now, burst, size) >= config.burst) return { success: false, remainingLimit: 0, exceededLimit: "burst" };
    const today = config.dailyLimit ? this.#count(buckets, key, now, day, size) : 0;
    if (config.dailyLimit && today >= config.dailyLimit) return { success: false, remainingLimit: 0, exceededLimit: "daily" };
    const name = `${key}:${Math.floor(now / size) * size}`;
    buckets.set(name, { count: (buckets.get(name)?.count ?? 0) + n, timestamp: now });
    await this.#save(buckets);
    const left = Math.min(config.limit - used, config.dailyLimit ? config.dailyLimit - today : Infinity) - n;
    return { success: true, remainingLimit: Math.max(0, left) };
  }

  async getRemainingLimit(key: string, config: LimitConfig): Promise<number> {
    const used = this.#count(await this.#loaded(), key, Date.now(), config.period * 1000, (config.bucketSize || 10) * 1000);
    return Math.max(0, config.limit - used);
  }

  async resetLimit(key: string): Promise<void> {
    const buckets = await this.#loaded();
    for (const name of buckets.keys()) {
      if (name.startsWith(`${key}:`)) buckets.delete(name);
    }
    await this.#save(buckets);
  }

  async #loaded(): Promise<Map<string, Counted>> {
    this.#buckets ??= new Map((await this.ctx.storage.get<Stored>("state"))?.buckets);
    return this.#buckets;
  }

  async #save(buckets: Map<string, Counted>): Promise<void> {
    await this.ctx.storage.put("state", { buckets: [...buckets], lastCleanup: this.#lastCleanup } satisfies Stored);
  }

  #count(buckets: Map<string, Counted>, key: string, now: number, window: number, size: number): number {
    let sum = 0;
    for (let start = Math.floor((now - window) / size) * size; start <= now; start += size) sum += buckets.get(`${key}:${start}`)?.count ?? 0;
    return sum;
  }

  #cleanUp(buckets: Map<string, Counted>, now: number, longest: number): void {
    if (now - this.#lastCleanup <= 300_000) return;
    for (const [name, bucket] of buckets) {
      if (bucket.timestamp < now - longest && buckets.delete(name)) this.#lastCleanup = now;
    }
  }
}
