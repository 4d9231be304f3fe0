import type { Env } from "./env";
import { allowed } from "./env";
import { readBody } from "./frame";
import { Problem, reason } from "./problem";
import type { LimitConfig, LimitResult } from "./rate_limit_object";

/** What DORateLimitStore and RateLimitObject both offer; only the second takes a time. */
interface LimitStub {
  increment(key: string, config: LimitConfig, n: number, now?: number): Promise<LimitResult>;
  getRemainingLimit(key: string, config: LimitConfig, now?: number): Promise<number>;
  resetLimit(key: string): Promise<void>;
}

interface LimitRequest {
  config?: LimitConfig;
  incrementBy?: number;
}

/** Answers POST /v1/limits/<binding>/<verb>?key=…; each key is an object of its own. */
export async function limits(request: Request, url: URL, binding: string, verb: string, env: Env): Promise<Response> {
  const namespace = allowed(env, env.LIMIT_BINDINGS, binding);
  if (request.method !== "POST") throw new Problem(405, "method_not_allowed", "limits are asked with POST");
  const key = url.searchParams.get("key") ?? "";
  if (key === "" || new TextEncoder().encode(key).byteLength > 512) throw new Problem(400, "invalid", "key must have 1 to 512 bytes");
  const stub = namespace.getByName(key) as unknown as LimitStub;
  const asked = await read(request);
  const now = clock(request, env);
  try {
    switch (verb) {
      case "increment": {
        const n = asked.incrementBy ?? 1;
        if (!Number.isFinite(n)) throw new Problem(400, "invalid", "incrementBy must be a number");
        return Response.json(await stub.increment(key, config(asked), n, now));
      }
      case "remaining":
        return Response.json({ remaining: await stub.getRemainingLimit(key, config(asked), now) });
      case "reset":
        await stub.resetLimit(key);
        return new Response(null, { status: 204 });
    }
  } catch (thrown) {
    if (reason(thrown).includes("limit config:")) throw new Problem(400, "invalid", reason(thrown));
    throw thrown;
  }
  throw new Problem(404, "not_found", "no such path");
}

async function read(request: Request): Promise<LimitRequest> {
  const text = new TextDecoder().decode(await readBody(request, 16 * 1024));
  if (text === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Said below.
  }
  throw new Problem(400, "invalid", "the body is not a JSON object");
}

function config(asked: LimitRequest): LimitConfig {
  if (typeof asked.config !== "object" || asked.config === null) throw new Problem(400, "invalid", "config is missing");
  return asked.config;
}

function clock(request: Request, env: Env): number | undefined {
  const now = request.headers.get("x-bridge-now");
  if (now === null) return undefined;
  if (env.TEST_CLOCK !== "1") throw new Problem(400, "invalid", "X-Bridge-Now is for tests");
  return Number(now);
}
