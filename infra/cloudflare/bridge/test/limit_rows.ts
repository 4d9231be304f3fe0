// The bridge with limits that tell how many rows they store and have touched.
import bridge, { RateLimitObject as Limits } from "../src/index";
import type { Env } from "../src/env";

export * from "../src/index";

export class RateLimitObject extends Limits {
  rows(): number {
    const [row] = this.ctx.storage.sql.exec<{ n: number }>(
      "SELECT (SELECT count(*) FROM buckets) + (SELECT count(*) FROM heads) + (SELECT count(*) FROM corrected) AS n",
    ).toArray();
    return row?.n ?? 0;
  }

  work(): number {
    return this.touched;
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    const object = (env as unknown as { RATE_LIMITS: DurableObjectNamespace<RateLimitObject> }).RATE_LIMITS.getByName(url.searchParams.get("key") ?? "");
    switch (url.pathname) {
      case "/rows":
        return Response.json(await object.rows());
      case "/touched":
        return Response.json(await object.work());
    }
    return bridge.fetch(request, env);
  },
} satisfies ExportedHandler<Env>;
