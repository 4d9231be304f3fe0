import type { Env } from "./env";
import { Problem } from "./problem";

const shortest = 32;

/** Throws unless the request carries one of the keys. How long that takes tells nothing about the keys. */
export async function authorize(request: Request, env: Env): Promise<void> {
  const keys = [env.BRIDGE_KEY, env.BRIDGE_KEY_NEXT].filter((key) => key !== undefined && key !== "") as string[];
  if (keys.length === 0 || keys.some((key) => key.length < shortest)) {
    throw new Problem(503, "not_configured", `BRIDGE_KEY must be a secret of at least ${shortest} characters`);
  }
  const given = await digest(/^Bearer ([^ ]+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "");
  let equal = false;
  for (const key of keys) {
    if (crypto.subtle.timingSafeEqual(given, await digest(key))) equal = true;
  }
  if (!equal) throw new Problem(401, "unauthorized", "the request has no valid key");
}

// Keys of different length cannot be compared in constant time, their digests can.
function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
