// The bridge with limits that tell how many rows they store.
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
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname !== "/rows") return bridge.fetch(request, env);
    const objects = (env as unknown as { RATE_LIMITS: DurableObjectNamespace<RateLimitObject> }).RATE_LIMITS;
    return Response.json(await objects.getByName(url.searchParams.get("key") ?? "").rows());
  },
} satisfies ExportedHandler<Env>;
