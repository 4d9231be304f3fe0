import { place } from "./limit_window";
import type { Bucket } from "./limit_window";

/** How many buckets are kept in memory, some 10 MB of them. */
const mostBuckets = 200_000;

/**
 * The buckets that an object has read, by key and bucket size. Those of a full day are added up in memory within some microseconds; to
 * read their rows each time would take longer than the rest of a call. What is here is always what is stored.
 */
export class Ledger {
  readonly #read: (key: string) => Iterable<{ start: number; count: number }>;
  readonly #keys = new Map<string, Map<number, Bucket[]>>();
  #held = 0;

  /** read returns the stored buckets of a key in ascending order of their start. */
  constructor(read: (key: string) => Iterable<{ start: number; count: number }>) {
    this.#read = read;
  }

  /** The buckets of a key that are on the grid of a size, in ascending order. They change with the next call. */
  buckets(key: string, size: number): readonly Bucket[] {
    const known = this.#keys.get(key)?.get(size);
    if (known !== undefined) return known;
    const list: Bucket[] = [];
    for (const { start, count } of this.#read(key)) {
      if (start % size === 0) list.push({ index: start / size, count });
    }
    if (this.#held + list.length >= mostBuckets) this.clear();
    this.#held += list.length + 1;
    const sizes = this.#keys.get(key) ?? new Map<number, Bucket[]>();
    this.#keys.set(key, sizes.set(size, list));
    return list;
  }

  /** Adds to the bucket that starts at a time. */
  add(key: string, start: number, n: number): void {
    for (const [size, list] of this.#keys.get(key) ?? []) {
      if (start % size !== 0) continue;
      const index = start / size;
      const at = place(list, index);
      const bucket = list[at];
      if (bucket?.index === index) {
        bucket.count += n;
      } else {
        list.splice(at, 0, { index, count: n });
        this.#held++;
      }
    }
    if (this.#held > mostBuckets) this.clear();
  }

  /** Drops the buckets of a key that start before a time. */
  drop(key: string, before: number): void {
    for (const [size, list] of this.#keys.get(key) ?? []) {
      const gone = place(list, before / size);
      if (gone > 0) list.splice(0, gone);
      this.#held -= gone;
    }
  }

  /** Forgets a key: it is read again when it is asked for. */
  forget(key: string): void {
    for (const list of this.#keys.get(key)?.values() ?? []) this.#held -= list.length + 1;
    this.#keys.delete(key);
  }

  /** Forgets every key. */
  clear(): void {
    this.#keys.clear();
    this.#held = 0;
  }
}
