import { Problem } from "./problem";

/** The header of a commit. Its first blob is the ring, the others are the parts of `write`, in order. */
export interface CommitHeader {
  /** What must be stored: a commit, "0" for nothing; and its tag, "" for any. */
  base: string;
  baseTag: string;
  commit: string;
  tag: string;
  /** JSON text that lists give back as it is. */
  head: string;
  present: boolean;
  /** Times as text that sorts; "" is none. */
  alarm: string;
  expires: string;
  /** All parts there are afterwards. Those without `write` must be stored with this tag. */
  parts: { name: string; tag: string; write: boolean }[];
}

/** The header of a record that is read. Its first blob is the ring; then come the parts that the caller did not know, in order. */
export interface RecordHeader {
  commit: string;
  tag: string;
  head: string;
  parts: { name: string; tag: string; sent: boolean }[];
}

/** What a watcher is told. Commit "0" means that nothing is stored. */
export interface Notice {
  commit: string;
  tag: string;
}

/** An entry of the index. Entries of one session are told apart by `seq`, which only rises. */
export interface IndexEntry {
  id: string;
  seq: number;
  head: string;
  present: boolean;
  alarm: string;
  expires: string;
}

const decimal = /^(0|[1-9][0-9]{0,18})$/;
const sortable = /^([0-9a-f]{16})?$/;

/** Throws unless the header is one that can be stored. */
export function checkCommit(h: CommitHeader, blobs: number): void {
  const name = (s: unknown) => typeof s === "string" && s.length > 0 && s.length <= 128;
  const fault =
    typeof h !== "object" || h === null ? "header"
    : !decimal.test(h.base) ? "base"
    : typeof h.baseTag !== "string" ? "baseTag"
    : !decimal.test(h.commit) || h.commit === "0" ? "commit"
    : !name(h.tag) ? "tag"
    : typeof h.head !== "string" || h.head.length > 4096 || !isJSON(h.head) ? "head"
    : typeof h.present !== "boolean" ? "present"
    : !sortable.test(h.alarm) ? "alarm"
    : !sortable.test(h.expires) ? "expires"
    : !Array.isArray(h.parts) || h.parts.length > 32 ? "parts"
    : h.parts.some((p) => !name(p?.name) || !name(p.tag) || typeof p.write !== "boolean") ? "parts"
    : new Set(h.parts.map((p) => p.name)).size !== h.parts.length ? "parts"
    : h.parts.filter((p) => p.write).length + 1 !== blobs ? "blobs"
    : undefined;
  if (fault !== undefined) throw new Problem(400, "invalid", `the commit's ${fault} is not valid`);
}

// A head that is no JSON would make every list that has it unreadable.
function isJSON(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Throws unless id is one that a session can have. */
export function checkID(id: string | null): string {
  if (id === null || id === "" || new TextEncoder().encode(id).byteLength > 128) {
    throw new Problem(400, "invalid", "id must have 1 to 128 bytes");
  }
  return id;
}
