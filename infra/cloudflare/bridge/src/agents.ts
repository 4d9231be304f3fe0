import type { Env } from "./env";
import { allowed } from "./env";
import { forwarded, passed } from "./forward";
import { maxBody, checkLength } from "./frame";
import { Problem, reason } from "./problem";
import { importedReason } from "./with_bridge";

/** The methods of an agent that the bridge calls. Which of them there are is up to its class. */
interface AgentStub {
  fetch(request: Request): Promise<Response>;
  setName(name: string): Promise<void>;
  getFullState(): Promise<unknown>;
  setState(state: unknown): Promise<void>;
  isInitialized(): Promise<boolean>;
  bridgeExport(): Promise<ReadableStream<Uint8Array>>;
  bridgeImport(dump: ReadableStream<Uint8Array>): Promise<void>;
}

/** Answers /v1/agents/<binding>/<verb>. */
export async function agents(request: Request, url: URL, binding: string, verb: string, env: Env): Promise<Response> {
  const namespace = allowed(env, env.AGENT_BINDINGS, binding);
  const name = url.searchParams.get("name") ?? "";
  if (name === "" || new TextEncoder().encode(name).byteLength > 1024) throw new Problem(400, "invalid", "name must have 1 to 1024 bytes");
  const stub = namespace.getByName(name) as unknown as AgentStub;
  await introduce(stub, name);
  switch (`${request.method} ${verb}`) {
    case "GET state":
      return json({ state: (await call(stub.getFullState())) ?? null });
    case "PUT state":
      await call(stub.setState(await body(request)));
      return new Response(null, { status: 204 });
    case "GET initialized":
      return json({ initialized: (await call(stub.isInitialized())) === true });
    case "GET export":
      return new Response(await call(stub.bridgeExport()), { headers: { "content-type": "application/json" } });
    case "PUT import":
      if (request.body === null) throw new Problem(400, "invalid", "the body must be a dump");
      checkLength(request, 100 * 1024 * 1024);
      return restore(stub, request.body);
  }
  if (verb === "fetch") return passed(await stub.fetch(forwarded(request, { "x-partykit-room": name })));
  throw new Problem(404, "not_found", "no such path");
}

/** Tells an object its name, as older releases of the SDK need it. With newer ones the runtime does, and they have no such method. */
async function introduce(stub: AgentStub, name: string): Promise<void> {
  try {
    await stub.setName(name);
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown;
  }
}

async function call<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (thrown) {
    if (isMissing(thrown)) throw new Problem(501, "method_missing", "the agent's class has no such method");
    const flags = thrown as { overloaded?: unknown; retryable?: unknown };
    if (flags?.overloaded === true || flags?.retryable === true) throw thrown;
    throw new Problem(502, "agent_failed", `the agent refused: ${reason(thrown).slice(0, 500)}`);
  }
}

/** An import ends with the object's end, so that nothing of it stays in memory. */
async function restore(stub: AgentStub, dump: ReadableStream<Uint8Array>): Promise<Response> {
  try {
    await stub.bridgeImport(dump);
  } catch (thrown) {
    if (reason(thrown).includes(importedReason)) return new Response(null, { status: 204 });
    return call(Promise.reject(thrown));
  }
  throw new Problem(502, "agent_failed", "the agent did not restart after the import");
}

function isMissing(thrown: unknown): boolean {
  return /does not implement|is not a function/.test(reason(thrown));
}

async function body(request: Request): Promise<unknown> {
  checkLength(request, maxBody);
  try {
    return await request.json();
  } catch {
    throw new Problem(400, "invalid", "the body is not JSON");
  }
}

function json(value: unknown): Response {
  return Response.json(value);
}
