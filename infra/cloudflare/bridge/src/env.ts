import { Problem } from "./problem";
import type { IndexObject } from "./index_object";
import type { SessionObject } from "./session_object";

/** What wrangler.jsonc binds. Agents, rate limiters and the dispatcher are bindings that the account chooses. */
export interface Env {
  /** Secret: 32 characters or more. Whoever has it has everything that the bridge reaches. */
  BRIDGE_KEY?: string;
  /** Secret: accepted as well, so that the key can be changed without an outage. */
  BRIDGE_KEY_NEXT?: string;
  SESSIONS?: DurableObjectNamespace<SessionObject>;
  SESSION_INDEX?: DurableObjectNamespace<IndexObject>;
  DISPATCHER?: DispatchNamespace;
  /** Bindings of agents that may be reached, separated by commas. */
  AGENT_BINDINGS?: string;
  /** Bindings of rate limiters that may be reached, separated by commas. */
  LIMIT_BINDINGS?: string;
  /** "1" lets requests set the clock of RateLimitObject. Never in production. */
  TEST_CLOCK?: string;
}

/** The namespace of a binding that the list allows. */
export function allowed(env: Env, list: string | undefined, name: string): DurableObjectNamespace {
  const names = (list ?? "").split(",").map((entry) => entry.trim());
  if (name === "" || !names.includes(name)) throw new Problem(404, "binding_not_allowed", "no such binding is allowed here");
  return bound((env as Record<string, unknown>)[name] as DurableObjectNamespace | undefined, name);
}

/** A binding that the bridge needs for a request. */
export function bound<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Problem(503, "not_configured", `the Worker has no binding ${name}`);
  return value;
}
