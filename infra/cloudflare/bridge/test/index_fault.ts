// The bridge with an index that misbehaves as FAULT says: "down" does not answer, "slow" takes its time, "late" is told of an
// older commit after a newer one.
import { IndexObject as Index } from "../src/index";
import type { IndexEntry } from "../src/session_wire";

export { default } from "../src/index";
export * from "../src/index";

export class IndexObject extends Index {
  get #fault(): string | undefined {
    return (this.env as { FAULT?: string }).FAULT;
  }

  override async put(e: IndexEntry): Promise<void> {
    await this.#misbehave();
    super.put(e);
    if (this.#fault === "late") super.put({ ...e, seq: e.seq - 1, head: '{"id":"late"}' });
  }

  override async drop(id: string, seq: number): Promise<void> {
    await this.#misbehave();
    super.drop(id, seq);
  }

  async #misbehave(): Promise<void> {
    if (this.#fault === "down") throw new Error("fault");
    if (this.#fault === "slow") await scheduler.wait(300);
  }
}
