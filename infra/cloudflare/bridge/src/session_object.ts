import { DurableObject } from "cloudflare:workers";
import type { Env } from "./env";
import { bound } from "./env";
import { decodeFrame, encodeFrame, frameType, maxBody, readBody } from "./frame";
import { shardOf } from "./index_object";
import { Problem, answer } from "./problem";
import { SessionRows } from "./session_rows";
import type { CommitHeader, Notice } from "./session_wire";
import { checkCommit, checkID } from "./session_wire";

/** How long after a commit the object looks whether the index has it. Lets go by unnoticed what a crash left undone. */
const indexCheck = 5_000;

/**
 * One session. A commit is one synchronous transaction. The index is brought up to date before a commit is answered;
 * what a crash leaves behind is made good by the alarm, which is set in the same transaction.
 */
export class SessionObject extends DurableObject<Env> {
  readonly #rows: SessionRows;
  /** The last seq that the index is known to have. */
  #indexed = -1;
  #alarmed = false;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#rows = new SessionRows(ctx.storage);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmed = (await ctx.storage.getAlarm()) !== null;
    });
  }

  override async fetch(request: Request): Promise<Response> {
    try {
      const url = new URL(request.url);
      const id = checkID(url.searchParams.get("id"));
      switch (`${request.method} ${url.pathname}`) {
        case "GET /record":
          return this.#read(request);
        case "PUT /record":
          return await this.#commit(id, request);
        case "DELETE /record":
          return await this.#remove(id, url.searchParams.get("commit") ?? "");
        case "GET /watch":
          return this.#watch(request);
      }
      throw new Problem(404, "not_found", "no such path");
    } catch (thrown) {
      return answer(thrown);
    }
  }

  #read(request: Request): Response {
    const row = this.#rows.head();
    if (row === undefined) throw new Problem(404, "record_not_found", "no record is stored");
    const known = new Set((request.headers.get("x-bridge-known") ?? "").split(","));
    const etag = `"${row.tag}"`;
    if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers: { etag } });
    const stored = this.#rows.parts();
    const parts = stored.map(({ name, tag }) => ({ name, tag, sent: !known.has(tag) }));
    const wanted = [{ name: "", size: row.ring }, ...stored.filter((p) => !known.has(p.tag))];
    const header = { commit: row.commit, tag: row.tag, head: row.head, parts };
    const body = encodeFrame(header, wanted.map((p) => p.size), (i, blob) => this.#rows.copy(wanted[i]!.name, blob));
    return new Response(body, { headers: { "content-type": frameType, etag } });
  }

  async #commit(id: string, request: Request): Promise<Response> {
    const { header, blobs } = decodeFrame<CommitHeader>(await readBody(request, maxBody));
    checkCommit(header, blobs.length);
    this.ctx.storage.transactionSync(() => {
      const row = this.#rows.head();
      if ((row?.commit ?? "0") !== header.base || (header.baseTag !== "" && header.baseTag !== row?.tag)) throw conflict();
      if (!this.#rows.write(id, header, blobs)) throw conflict();
      this.#arm();
    });
    this.#tell();
    await this.#settle();
    return new Response(null, { status: 204 });
  }

  async #remove(id: string, commit: string): Promise<Response> {
    this.ctx.storage.transactionSync(() => {
      const row = this.#rows.head();
      if (row !== undefined && row.commit !== commit) throw conflict();
      // Also when nothing is stored: the index may have an entry that outlived its session.
      this.#rows.bury(id);
      this.#arm();
    });
    this.#tell();
    await this.#settle();
    return new Response(null, { status: 204 });
  }

  #watch(request: Request): Response {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      throw new Problem(426, "upgrade_required", "a watch is a WebSocket");
    }
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.send(JSON.stringify(this.#notice()));
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(ws: WebSocket): void {
    ws.close(1003, "a watch takes no messages");
  }

  #notice(): Notice {
    const row = this.#rows.head();
    return { commit: row?.commit ?? "0", tag: row?.tag ?? "" };
  }

  #tell(): void {
    const text = JSON.stringify(this.#notice());
    for (const ws of this.ctx.getWebSockets()) {
      try {
        ws.send(text);
      } catch {
        // It is closing: whoever watched connects again and is told then.
      }
    }
  }

  override async alarm(): Promise<void> {
    this.#alarmed = false;
    try {
      if (this.#rows.entry()?.seq !== this.#indexed) await this.#settle();
    } catch (thrown) {
      // The runtime gives up after some attempts, and the index must not stay behind for ever.
      console.error("the index could not be brought up to date", thrown);
      this.#arm();
    }
  }

  /** Sets the alarm, unless one is set. In a transaction it is set with it or not at all. */
  #arm(): void {
    if (this.#alarmed) return;
    this.#alarmed = true;
    void this.ctx.storage.setAlarm(Date.now() + indexCheck);
  }

  /** Resolves when the index has what is stored now. Commits that come close together share an update. */
  #settle(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    const before = this.#running ?? Promise.resolve();
    const mine = before.then(undefined, () => undefined).then(() => {
      this.#running = mine;
      this.#next = undefined;
      return this.#index();
    });
    this.#next = mine;
    return mine;
  }

  async #index(): Promise<void> {
    const entry = this.#rows.entry();
    if (entry === undefined) return;
    const index = bound(this.env.SESSION_INDEX, "SESSION_INDEX").getByName(shardOf(entry.id));
    try {
      await (entry.buried ? index.drop(entry.id, entry.seq) : index.put(entry));
    } catch (thrown) {
      console.error("the index does not answer", thrown);
      throw new Problem(503, "index_unavailable", "the commit is stored, but not in the index yet");
    }
    this.#indexed = entry.seq;
    if (entry.buried && this.#rows.entry()?.seq === entry.seq) {
      this.#rows.forget();
      this.#alarmed = false;
      await this.ctx.storage.deleteAll();
    }
  }
}

function conflict(): Problem {
  return new Problem(409, "conflict", "another commit is stored");
}
