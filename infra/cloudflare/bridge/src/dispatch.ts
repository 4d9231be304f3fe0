import type { Env } from "./env";
import { bound } from "./env";
import { forwarded, passed } from "./forward";
import { Problem, reason } from "./problem";

/** Answers /v1/dispatch/<worker>: the request goes to the Worker of that name as it came. */
export async function dispatch(request: Request, name: string, env: Env): Promise<Response> {
  const dispatcher = bound(env.DISPATCHER, "DISPATCHER");
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/i.test(name)) throw new Problem(400, "invalid", "the name of the worker is not valid");
  const target = forwarded(request);
  try {
    return passed(await dispatcher.get(name).fetch(target));
  } catch (thrown) {
    if (reason(thrown).startsWith("Worker not found")) throw new Problem(404, "worker_not_found", "no worker has this name");
    console.error(`worker ${name}:`, thrown);
    throw new Problem(502, "worker_failed", "the worker threw an error");
  }
}
