// The bridge beside agents, as it is deployed beside VibeSDK: one agent as it is, one that can be moved, and an object
// that has to be told its name, as those of older releases of the SDK do.
import { Agent, type Connection } from "agents";
import { DurableObject } from "cloudflare:workers";
import { withBridge } from "../src/with_bridge";

export { default } from "../src/index";
export * from "../src/index";

interface State {
  count: number;
  agentId?: string;
}

export class PlainAgent extends Agent<Cloudflare.Env, State> {
  override initialState: State = { count: 0 };

  getFullState(): State {
    return this.state;
  }

  isInitialized(): boolean {
    return this.state.agentId !== undefined;
  }

  override onRequest(request: Request): Response | Promise<Response> {
    const headers = Object.fromEntries(request.headers);
    return Response.json({ name: this.name, method: request.method, url: request.url, headers }, { status: 202, headers: { "x-bridge-error": "mine" } });
  }

  override onMessage(connection: Connection, message: string): void {
    connection.send(`${this.name} heard ${message}`);
  }

  fired(): void {
    this.setState({ ...this.state, count: this.state.count + 1 });
  }
}

export class MovedAgent extends withBridge(PlainAgent) {
  async prepare(delay: number): Promise<string> {
    this.sql`CREATE TABLE IF NOT EXISTS git_objects (path TEXT PRIMARY KEY, data BLOB, size INTEGER, score REAL)`;
    this.sql`INSERT OR REPLACE INTO git_objects VALUES ('a"b', ${new Uint8Array([0, 255, 1]).buffer as never}, 3, 0.1)`;
    const schedule = await this.schedule(delay, "fired", { why: "moved" });
    return schedule.id;
  }

  override async onStart(): Promise<void> {
    this.sql`CREATE TABLE IF NOT EXISTS git_objects (path TEXT PRIMARY KEY, data BLOB, size INTEGER, score REAL)`;
  }

  override async onRequest(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/prepare") return new Response(await this.prepare(Number(url.searchParams.get("delay"))));
    if (url.pathname === "/alarm") return Response.json(await this.ctx.storage.getAlarm());
    if (url.pathname === "/big") {
      this.sql`INSERT OR REPLACE INTO git_objects (path, size) VALUES ('big', 1)`;
      this.ctx.storage.sql.exec("UPDATE git_objects SET size = 9007199254740993 WHERE path = 'big'");
      return new Response("done");
    }
    return super.onRequest(request);
  }
}

export class NamedObject extends DurableObject {
  #name = "";

  setName(name: string): void {
    this.#name = name;
  }

  getFullState(): { name: string } {
    return { name: this.#name };
  }
}
