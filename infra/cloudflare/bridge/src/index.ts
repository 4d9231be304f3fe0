import { agents } from "./agents";
import { authorize } from "./auth";
import { dispatch } from "./dispatch";
import type { Env } from "./env";
import { limits } from "./limits";
import { Problem, answer } from "./problem";
import { sessions } from "./sessions";

export { IndexObject } from "./index_object";
export { RateLimitObject } from "./rate_limit_object";
export { SessionObject } from "./session_object";

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      await authorize(request, env);
      return await route(request, env);
    } catch (thrown) {
      return answer(thrown);
    }
  },
} satisfies ExportedHandler<Env>;

function route(request: Request, env: Env): Response | Promise<Response> {
  const url = new URL(request.url);
  const [, version, room, ...rest] = url.pathname.split("/");
  const [one = "", two = ""] = rest;
  if (version === "v1") {
    switch (room) {
      case undefined:
        break;
      case "health":
        return Response.json({ version: 1 });
      case "sessions":
        return sessions(request, url, env);
      case "agents":
        if (rest.length === 2) return agents(request, url, one, two, env);
        break;
      case "limits":
        if (rest.length === 2) return limits(request, url, one, two, env);
        break;
      case "dispatch":
        if (rest.length === 1) return dispatch(request, one, env);
        break;
    }
  }
  throw new Problem(404, "not_found", "no such path");
}
