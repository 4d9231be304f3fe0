/** One limit in the words of its users. Times are seconds; 0 means the default. */
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

/** A limit in whole milliseconds. A burst or daily limit of 0 is none. */
export interface Rule {
  size: number;
  main: number;
  calendar: boolean;
  limit: number;
  burstWindow: number;
  burst: number;
  daily: number;
}

export interface Charge {
  key: string;
  n: number;
  rule: Rule;
}

export interface Correction {
  id: string;
  key: string;
  rule: Rule;
  /** The index of the bucket that was charged. */
  bucket: number;
  delta: number;
}

export interface Decision {
  exceeded: "" | "main" | "burst" | "daily";
  /** The counts before the charge. */
  main: number;
  daily: number;
  /** When the charge would be admitted, in milliseconds since 1970; -1 for never. Of meaning only for a refusal. */
  retryAt: number;
}

export interface Decided {
  now: number;
  decisions: Decision[];
}

/** All that is known of a key, in the form in which it moves to another home. Times are milliseconds. */
export interface Counts {
  key: string;
  /** How far back the longest window reaches that charged the key. */
  horizon: number;
  /** The time of the last charge by the home's own clock, 0 for none. */
  clock: number;
  sizes: { size: number; used: number }[];
  /** In ascending order of start. */
  buckets: { start: number; count: number }[];
  adjusted: { id: string; until: number }[];
}

export function ruleOf(config: LimitConfig): Rule {
  for (const name of ["limit", "period"] as const) check(name, config[name], name === "period" ? 0.001 : 0);
  for (const name of ["burst", "burstWindow", "bucketSize", "dailyLimit"] as const) {
    if (config[name] !== undefined && config[name] !== null) check(name, config[name], 0);
  }
  return {
    size: Math.round((config.bucketSize || 10) * 1000), main: Math.round(config.period * 1000), calendar: config.calendarDaily === true, limit: config.limit,
    burstWindow: Math.round((config.burstWindow || 60) * 1000), burst: config.burst ?? 0, daily: config.dailyLimit ?? 0,
  };
}

/** Throws unless every number of a rule is one that can be counted with. */
export function checkRule(rule: Rule | undefined): Rule {
  if (typeof rule !== "object" || rule === null) throw new RangeError("limit config: rule is missing");
  for (const name of ["size", "main", "burstWindow"] as const) {
    if (!Number.isSafeInteger(rule[name]) || rule[name] < 1) throw new RangeError(`limit config: ${name} must be whole milliseconds`);
  }
  for (const name of ["limit", "burst", "daily"] as const) check(name, rule[name], 0);
  return rule;
}

function check(name: string, value: unknown, least: number): void {
  if (typeof value !== "number" || !(value >= least && value <= 1e9)) throw new RangeError(`limit config: ${name} must be ${least} to 1e9`);
}

/** Throws unless every number of counts is one that can be counted with. */
export function checkCounts(counts: Counts | undefined): Counts {
  const whole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const good = typeof counts === "object" && counts !== null && whole(counts.horizon) && whole(counts.clock) &&
    Array.isArray(counts.sizes) && counts.sizes.every((known) => whole(known?.size) && known.size > 0 && whole(known.used)) &&
    Array.isArray(counts.buckets) && counts.buckets.every((bucket) => whole(bucket?.start) && Number.isFinite(bucket.count)) &&
    Array.isArray(counts.adjusted) && counts.adjusted.every((known) => typeof known?.id === "string" && whole(known.until));
  if (!good) throw new RangeError("limit config: counts must be whole numbers, and their sums finite");
  return counts;
}
