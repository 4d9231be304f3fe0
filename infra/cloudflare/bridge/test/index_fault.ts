// The bridge with an index that does not answer while FAULT is set.
import { IndexObject as Index } from "../src/index";
import type { IndexEntry } from "../src/session_wire";

export { default } from "../src/index";
export * from "../src/index";

export class IndexObject extends Index {
  override put(e: IndexEntry): void {
    this.#fail();
    super.put(e);
  }

  override drop(id: string, seq: number): void {
    this.#fail();
    super.drop(id, seq);
  }

  #fail(): void {
    if ((this.env as { FAULT?: string }).FAULT !== "") throw new Error("fault");
  }
}
