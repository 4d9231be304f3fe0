import type { CommitHeader, IndexEntry } from "./session_wire";

/** A row of SQLite takes 2 MB on Cloudflare, so larger blobs are cut. */
const chunkSize = 1_800_000;

const schema = `
  CREATE TABLE record (
    id TEXT NOT NULL, seq INTEGER NOT NULL, buried INTEGER NOT NULL, commit_no TEXT NOT NULL, tag TEXT NOT NULL, head TEXT NOT NULL,
    present INTEGER NOT NULL, alarm TEXT NOT NULL, expires TEXT NOT NULL, ring INTEGER NOT NULL
  );
  CREATE TABLE parts (name TEXT PRIMARY KEY, tag TEXT NOT NULL, size INTEGER NOT NULL);
  CREATE TABLE chunks (name TEXT NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (name, n));`;

export interface HeadRow {
  commit: string;
  tag: string;
  head: string;
  /** Size of the ring in bytes. */
  ring: number;
}

/** The tables of one session. All methods are synchronous, so what they do between two awaits is one step. */
export class SessionRows {
  readonly #storage: DurableObjectStorage;
  #made = false;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  #sql<T extends Record<string, SqlStorageValue>>(query: string, ...values: unknown[]): SqlStorageCursor<T> {
    return this.#storage.sql.exec<T>(query, ...values);
  }

  // A session that is only asked for leaves nothing behind.
  #exists(): boolean {
    this.#made ||= this.#sql("SELECT 1 FROM sqlite_master WHERE name = 'record'").toArray().length > 0;
    return this.#made;
  }

  /** The record that is stored, if any. */
  head(): HeadRow | undefined {
    if (!this.#exists()) return undefined;
    const [row] = this.#sql<{ commit: string; tag: string; head: string; ring: number }>(
      "SELECT commit_no AS \"commit\", tag, head, ring FROM record WHERE NOT buried",
    ).toArray();
    return row;
  }

  /** What the index must have. */
  entry(): (IndexEntry & { buried: boolean }) | undefined {
    if (!this.#exists()) return undefined;
    const [row] = this.#sql<{ id: string; seq: number; buried: number; head: string; present: number; alarm: string; expires: string }>(
      "SELECT id, seq, buried, head, present, alarm, expires FROM record",
    ).toArray();
    return row && { ...row, buried: row.buried !== 0, present: row.present !== 0 };
  }

  parts(): { name: string; tag: string; size: number }[] {
    return this.#sql<{ name: string; tag: string; size: number }>("SELECT name, tag, size FROM parts ORDER BY name").toArray();
  }

  /** Copies a blob; "" is the ring. */
  copy(name: string, into: Uint8Array): void {
    let at = 0;
    for (const { data } of this.#sql<{ data: ArrayBuffer }>("SELECT data FROM chunks WHERE name = ? ORDER BY n", name)) {
      into.set(new Uint8Array(data), at);
      at += data.byteLength;
    }
    if (at !== into.byteLength) throw new Error(`blob ${JSON.stringify(name)} has ${at} bytes, its row says ${into.byteLength}`);
  }

  /** Replaces the record, and returns false when a part that should be kept is not there. For use inside a transaction. */
  write(id: string, header: CommitHeader, blobs: Uint8Array[]): boolean {
    const seq = this.#begin();
    const [ring, ...written] = blobs;
    const stored = new Map(this.parts().map((p) => [p.name, p.tag]));
    for (const part of header.parts) {
      if (part.write) this.#put(part.name, part.tag, written.shift()!);
      else if (stored.get(part.name) !== part.tag) return false;
      stored.delete(part.name);
    }
    for (const name of stored.keys()) {
      this.#sql("DELETE FROM parts WHERE name = ?", name);
      this.#sql("DELETE FROM chunks WHERE name = ?", name);
    }
    this.#chunks("", ring!);
    this.#sql("DELETE FROM record");
    this.#sql(
      "INSERT INTO record VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?)",
      id, seq, header.commit, header.tag, header.head, header.present ? 1 : 0, header.alarm, header.expires, ring!.byteLength,
    );
    return true;
  }

  /** Removes everything but what the index must still be told. For use inside a transaction. */
  bury(id: string): void {
    const seq = this.#begin();
    for (const table of ["record", "parts", "chunks"]) this.#sql(`DELETE FROM ${table}`);
    this.#sql("INSERT INTO record VALUES (?, ?, 1, '0', '', '', 0, '', '', 0)", id, seq);
  }

  /** Notes that the storage is emptied. */
  forget(): void {
    this.#made = false;
  }

  /** Makes the tables, and returns a seq above all before, also above those of a session that was removed. */
  #begin(): number {
    if (!this.#exists()) this.#sql(schema);
    return Math.max(1000 * Date.now(), (this.entry()?.seq ?? 0) + 1);
  }

  #put(name: string, tag: string, data: Uint8Array): void {
    this.#sql("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", name, tag, data.byteLength);
    this.#chunks(name, data);
  }

  #chunks(name: string, data: Uint8Array): void {
    this.#sql("DELETE FROM chunks WHERE name = ?", name);
    for (let n = 0; n * chunkSize < data.byteLength; n++) {
      this.#sql("INSERT INTO chunks VALUES (?, ?, ?)", name, n, data.subarray(n * chunkSize, (n + 1) * chunkSize));
    }
  }
}
