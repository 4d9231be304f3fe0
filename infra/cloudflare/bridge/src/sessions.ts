import type { Env } from "./env";
import { bound } from "./env";
import { checkLength, maxBody } from "./frame";
import type { ListQuery } from "./index_object";
import { shardNames } from "./index_object";
import { Problem } from "./problem";
import { checkID } from "./session_wire";

/** Answers /v1/sessions and what is below. */
export async function sessions(request: Request, url: URL, env: Env): Promise<Response> {
  const path = url.pathname.slice("/v1/sessions".length);
  if (path === "" && request.method === "GET") return list(url, env);
  if (path !== "/record" && path !== "/watch") throw new Problem(404, "not_found", "no such path");
  const id = checkID(url.searchParams.get("id"));
  checkLength(request, maxBody);
  const target = new URL(path, "https://session");
  target.search = url.search;
  const headers = new Headers(request.headers);
  headers.delete("authorization"); // it is nobody's business behind this door
  return bound(env.SESSIONS, "SESSIONS").getByName(id).fetch(new Request(target, new Request(request, { headers })));
}

async function list(url: URL, env: Env): Promise<Response> {
  const word = (name: string) => url.searchParams.get(name) ?? "";
  const limit = Number(word("limit"));
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw new Problem(400, "invalid", "limit must be 1 to 1000");
  const q: ListQuery = { after: word("after"), afterTime: word("afterTime"), dueBy: word("dueBy"), expiredBy: word("expiredBy"), limit };
  if (q.dueBy !== "" && q.expiredBy !== "") throw new Problem(400, "invalid", "only one of dueBy and expiredBy may be set");
  const index = bound(env.SESSION_INDEX, "SESSION_INDEX");
  const found = (await Promise.all(shardNames().map((name) => index.getByName(name).list(q)))).flat();
  found.sort((a, b) => (a.order < b.order ? -1 : 1));
  // Heads are joined as they are: numbers in them may be larger than JavaScript's.
  const heads = found.slice(0, limit).map((l) => l.head);
  return new Response(`{"heads":[${heads.join(",")}]}`, { headers: { "content-type": "application/json" } });
}
