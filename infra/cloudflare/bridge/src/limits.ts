import type { Env } from "./env";
import { allowed } from "./env";
import { maxBody, readBody } from "./frame";
import { checkCounts, checkRule } from "./limit_rule";
import type { Charge, Correction, Counts, Decided, LimitConfig, LimitResult } from "./limit_rule";
import { Problem, reason } from "./problem";

/** What DORateLimitStore and RateLimitObject both offer; only the second takes a time, and has the last four. */
interface LimitStub {
  increment(key: string, config: LimitConfig, n: number, now?: number): Promise<LimitResult>;
  getRemainingLimit(key: string, config: LimitConfig, now?: number): Promise<number>;
  resetLimit(key: string): Promise<void>;
  take(charges: Charge[], dry: boolean, keep: number, now?: number): Promise<Decided>;
  adjust(correction: Correction, keep: number, now?: number): Promise<void>;
  dump(key: string): Promise<Counts>;
  restore(counts: Counts, keep: number): Promise<boolean>;
}

interface LimitRequest {
  config?: LimitConfig;
  incrementBy?: number;
  /** The key within the object, where it is not the object's name. */
  key?: string;
  charges?: Charge[];
  correction?: Correction;
  counts?: Counts;
  dry?: boolean;
  /** How long counts are kept at least, in milliseconds. */
  keep?: number;
}

const mostCharges = 16;

/** Answers POST /v1/limits/<binding>/<verb>?key=…; each key is an object of its own. */
export async function limits(request: Request, url: URL, binding: string, verb: string, env: Env): Promise<Response> {
  const namespace = allowed(env, env.LIMIT_BINDINGS, binding);
  if (request.method !== "POST") throw new Problem(405, "method_not_allowed", "limits are asked with POST");
  const key = keyOf(url.searchParams.get("key"));
  const stub = namespace.getByName(key) as unknown as LimitStub;
  const asked = await read(request, verb === "restore" ? maxBody : 64 * 1024);
  const now = clock(request, env);
  try {
    switch (verb) {
      case "increment":
        return Response.json(await stub.increment(key, config(asked), number("incrementBy", asked.incrementBy ?? 1), now));
      case "remaining":
        return Response.json({ remaining: await stub.getRemainingLimit(key, config(asked), now) });
      case "reset":
        await stub.resetLimit(asked.key === undefined ? key : keyOf(asked.key));
        return new Response(null, { status: 204 });
      case "take":
        return Response.json(await stub.take(charges(asked), asked.dry === true, number("keep", asked.keep ?? 0), now));
      case "adjust":
        await stub.adjust(correction(asked), number("keep", asked.keep ?? 0), now);
        return new Response(null, { status: 204 });
      case "dump":
        return Response.json(await stub.dump(keyOf(asked.key)));
      case "restore":
        return Response.json({ restored: await stub.restore(counts(asked), number("keep", asked.keep ?? 0)) });
    }
  } catch (thrown) {
    if (reason(thrown).includes("limit config:")) throw new Problem(400, "invalid", reason(thrown));
    // In the words of the runtime. Nothing was done.
    if (reason(thrown).includes("does not implement the method")) {
      throw new Problem(501, "unsupported", `the objects of ${binding} have no ${verb}: that needs a binding of the class RateLimitObject`);
    }
    throw thrown;
  }
  throw new Problem(404, "not_found", "no such path");
}

async function read(request: Request, most: number): Promise<LimitRequest> {
  const text = new TextDecoder().decode(await readBody(request, most));
  if (text === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Said below.
  }
  throw new Problem(400, "invalid", "the body is not a JSON object");
}

function keyOf(key: unknown): string {
  if (typeof key !== "string" || key === "" || new TextEncoder().encode(key).byteLength > 512) {
    throw new Problem(400, "invalid", "key must have 1 to 512 bytes");
  }
  return key;
}

function number(name: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Problem(400, "invalid", `${name} must be a number`);
  return value;
}

function config(asked: LimitRequest): LimitConfig {
  if (typeof asked.config !== "object" || asked.config === null) throw new Problem(400, "invalid", "config is missing");
  return asked.config;
}

function charges(asked: LimitRequest): Charge[] {
  if (!Array.isArray(asked.charges) || asked.charges.length === 0 || asked.charges.length > mostCharges) {
    throw new Problem(400, "invalid", `charges must be 1 to ${mostCharges}`);
  }
  const list = asked.charges.map((charge) => ({ key: keyOf(charge?.key), n: number("n", charge?.n), rule: checkRule(charge?.rule) }));
  if (new Set(list.map((charge) => charge.key)).size < list.length) throw new Problem(400, "invalid", "a key is charged twice");
  return list;
}

function correction(asked: LimitRequest): Correction {
  const given = asked.correction;
  if (!Number.isSafeInteger(given?.bucket)) throw new Problem(400, "invalid", "bucket must be an index");
  return {
    id: keyOf(given?.id), key: keyOf(given?.key), rule: checkRule(given?.rule), bucket: given?.bucket as number, delta: number("delta", given?.delta),
  };
}

function counts(asked: LimitRequest): Counts {
  const given = checkCounts(asked.counts);
  keyOf(given.key);
  return given;
}

function clock(request: Request, env: Env): number | undefined {
  const now = request.headers.get("x-bridge-now");
  if (now === null) return undefined;
  if (env.TEST_CLOCK !== "1") throw new Problem(400, "invalid", "X-Bridge-Now is for tests");
  return Number(now);
}
