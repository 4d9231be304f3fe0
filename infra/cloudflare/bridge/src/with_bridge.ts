import type { DurableObject } from "cloudflare:workers";
import { readDump, writeDump } from "./dump";

/** The words in the error that ends an import: the object restarts, so no answer can come. */
export const importedReason = "bridge: imported, restarting";

type Constructor = new (ctx: DurableObjectState, env: never) => DurableObject<never>;

/**
 * Adds to an agent's class what moves its content: `export class CodeGenObject extends withBridge(CodeGeneratorAgent) {}`. The methods
 * can only be called through a binding, never by a request from outside.
 */
export function withBridge<T extends new (...args: any[]) => DurableObject<any>>(Base: T) {
  class Bridged extends (Base as unknown as Constructor) {
    /** All tables and the key-value store as they are at one moment. */
    bridgeExport(): ReadableStream<Uint8Array> {
      return writeDump(this.ctx.storage);
    }

    /** Replaces all of it, or nothing, and restarts the object: its caller gets an error with importedReason. */
    async bridgeImport(stream: ReadableStream<Uint8Array>): Promise<void> {
      const text = await new Response(stream).text();
      await this.ctx.blockConcurrencyWhile(async () => {
        const storage = this.ctx.storage;
        storage.transactionSync(() => readDump(storage, text));
        // The SDK finds in its tables when to wake up next, once it is woken.
        await storage.setAlarm(Date.now());
        await storage.sync();
        this.ctx.abort(importedReason);
      });
    }
  }
  // The SDK tells clients the name of the class.
  Object.defineProperty(Bridged, "name", { value: Base.name });
  return Bridged as unknown as T & (new (...args: any[]) => { bridgeExport(): ReadableStream<Uint8Array>; bridgeImport(stream: ReadableStream<Uint8Array>): Promise<void> });
}
