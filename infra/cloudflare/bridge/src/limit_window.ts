import type { Decision, Rule } from "./limit_rule";

export const day = 86_400_000;

/** A bucket on the grid of a rule, by the index of its start. */
export interface Bucket {
  index: number;
  count: number;
}

interface Window {
  kind: "main" | "burst" | "daily";
  limit: number;
  length: number;
  calendar: boolean;
}

/** The windows of a rule in the order in which they refuse. */
function windows(rule: Rule): Window[] {
  const list: Window[] = [{ kind: "main", limit: rule.limit, length: rule.main, calendar: rule.calendar }];
  if (rule.burst !== 0) list.push({ kind: "burst", limit: rule.burst, length: rule.burstWindow, calendar: false });
  if (rule.daily !== 0) list.push({ kind: "daily", limit: rule.daily, length: day, calendar: false });
  return list;
}

/** The longest window of a rule. */
export function span(rule: Rule): number {
  return Math.max(...windows(rule).map((w) => (w.calendar ? day : w.length)));
}

/** The index of the oldest bucket that a window of a length counts. */
function first(now: number, length: number, size: number): number {
  return Math.floor(Math.max(0, now - length) / size);
}

function firstOf(w: Window, now: number, size: number): number {
  return w.calendar ? Math.floor((Math.floor(now / day) * day) / size) : first(now, w.length, size);
}

/** Where the first bucket from an index on is in a list in ascending order. */
export function place(buckets: readonly Bucket[], index: number): number {
  let low = 0;
  for (let high = buckets.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((buckets[middle] as Bucket).index < index) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Adds up the buckets between two indexes, in ascending order of time, which decides the last bit of a sum of fractions. */
function count(buckets: readonly Bucket[], from: number, to: number): number {
  let sum = 0;
  for (let i = place(buckets, from); i < buckets.length; i++) {
    const bucket = buckets[i] as Bucket;
    if (bucket.index > to) break;
    sum += bucket.count;
  }
  return sum;
}

/** Decides as of now. The buckets are those of the key on the rule's grid, in ascending order. */
export function decide(now: number, rule: Rule, buckets: readonly Bucket[]): Decision {
  const decision: Decision = { exceeded: "", main: 0, daily: 0, retryAt: 0 };
  const last = Math.floor(now / rule.size);
  for (const w of windows(rule)) {
    const n = count(buckets, firstOf(w, now, rule.size), last);
    if (w.kind !== "burst") decision[w.kind] = n;
    if (decision.exceeded === "" && n >= w.limit) decision.exceeded = w.kind;
  }
  if (decision.exceeded !== "") decision.retryAt = retryAt(now, rule, buckets, last);
  return decision;
}

/** The earliest time at which no window refuses if nothing is charged until then, or -1. The buckets end with the last. */
function retryAt(now: number, rule: Rule, buckets: readonly Bucket[], last: number): number {
  if (rule.limit <= 0) return -1;
  // With negative counts a sum may grow as buckets leave, so a window that was fine may refuse again.
  for (let at = now; ; ) {
    const next = Math.max(...windows(rule).map((w) => admits(at, rule.size, w, buckets, last)));
    if (next === at) return at;
    at = next;
  }
}

/** The earliest time from at on at which one window does not refuse. */
function admits(at: number, size: number, w: Window, buckets: readonly Bucket[], last: number): number {
  if (w.calendar) {
    while (count(buckets, firstOf(w, at, size), last) >= w.limit) at = (Math.floor(at / day) + 1) * day;
    return at;
  }
  const oldest = firstOf(w, at, size);
  if (count(buckets, oldest, last) < w.limit) return at;
  // What is left when the first i buckets are gone, but for the order of addition.
  const begin = place(buckets, oldest);
  const n = place(buckets, last + 1) - begin;
  const rest = new Float64Array(n + 1);
  for (let i = n - 1; i >= 0; i--) rest[i] = (rest[i + 1] as number) + (buckets[begin + i] as Bucket).count;
  for (let i = 0; i < n; i++) {
    const { index } = buckets[begin + i] as Bucket;
    let left = rest[i + 1] as number;
    if (Math.abs(left - w.limit) <= 1e-9 * Math.max(1, w.limit)) left = count(buckets, index + 1, last);
    if (left < w.limit) return Math.max(at, (index + 1) * size + w.length);
  }
  return at; // not reached: without buckets the sum is 0, and a limit of 0 was handled
}
