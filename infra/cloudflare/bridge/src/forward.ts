import { Problem } from "./problem";

/**
 * The request that a caller wants the target to see: at the address of X-Bridge-Url, without what was meant for the bridge. The
 * target's own Authorization travels as X-Bridge-Authorization.
 */
export function forwarded(request: Request, extra: Record<string, string> = {}): Request {
  const address = request.headers.get("x-bridge-url");
  let url: URL;
  try {
    url = new URL(address ?? "");
  } catch {
    throw new Problem(400, "invalid", "X-Bridge-Url must be the address that the target sees");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") throw new Problem(400, "invalid", "X-Bridge-Url must be http or https");
  const headers = new Headers(request.headers);
  const authorization = headers.get("x-bridge-authorization");
  for (const name of [...headers.keys()]) {
    if (name === "authorization" || name.startsWith("x-bridge-")) headers.delete(name);
  }
  if (authorization !== null) headers.set("authorization", authorization);
  headers.set("host", url.host);
  for (const [name, value] of Object.entries(extra)) headers.set(name, value);
  return new Request(url, new Request(request, { headers, redirect: "manual" }));
}

/** A target's answer. Only the bridge says what X-Bridge-Error says. */
export function passed(response: Response): Response {
  if (response.webSocket !== null || !response.headers.has("x-bridge-error")) return response;
  const headers = new Headers(response.headers);
  headers.delete("x-bridge-error");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
