// What the platform is measured against: a Durable Object that does one SQL write for each mutation, over HTTP and over
// a WebSocket.
import { DurableObject } from "cloudflare:workers";

interface Env {
  COUNTER: DurableObjectNamespace<CounterObject>;
}

export class CounterObject extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS state (id TEXT PRIMARY KEY, state TEXT NOT NULL)");
  }

  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get("upgrade") === "websocket") {
      const { 0: client, 1: server } = new WebSocketPair();
      this.ctx.acceptWebSocket(server);
      return new Response(null, { status: 101, webSocket: client });
    }
    return new Response(this.#apply(await request.text()));
  }

  override webSocketMessage(ws: WebSocket, message: string | ArrayBuffer): void {
    ws.send(this.#apply(message as string));
  }

  // Read, merge, write: what an agent does on setState({...this.state, ...change}).
  #apply(change: string): string {
    const [row] = this.ctx.storage.sql.exec<{ state: string }>("SELECT state FROM state").toArray();
    const state = { ...(JSON.parse(row?.state ?? "{}") as Record<string, unknown>), ...(JSON.parse(change) as Record<string, unknown>) };
    const version = Number(state["version"] ?? 0) + 1;
    this.ctx.storage.sql.exec("INSERT OR REPLACE INTO state VALUES ('state', ?)", JSON.stringify({ ...state, version }));
    return String(version);
  }
}

export default {
  fetch(request: Request, env: Env): Promise<Response> {
    return env.COUNTER.getByName(new URL(request.url).pathname).fetch(request);
  },
} satisfies ExportedHandler<Env>;
