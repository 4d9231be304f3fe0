/** A table that the platform makes for queued items that wait for a person. No class knows it, so an import makes it. */
const parkedTable = "vibesdk_parked_jobs";

type Row = Record<string, SqlStorageValue>;

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** The dump {"tables": {name: [rows]}, "storage": {key: value}}, read at once and written piece by piece. */
export function writeDump(storage: DurableObjectStorage): ReadableStream<Uint8Array> {
  const pieces = dumpPieces(storage);
  const encoder = new TextEncoder();
  let next = 0;
  const source: UnderlyingByteSource = {
    type: "bytes",
    pull(controller) {
      let text = "";
      while (text.length < 1 << 18 && next < pieces.length) text += pieces[next++];
      if (text !== "") controller.enqueue(encoder.encode(text));
      else controller.close();
    },
  };
  return new ReadableStream(source);
}

function dumpPieces(storage: DurableObjectStorage): string[] {
  const pieces = ['{"tables":{'];
  tableNames(storage).forEach((table, i) => {
    checkNumbers(storage, table);
    pieces.push(`${i > 0 ? "," : ""}${JSON.stringify(table)}:[`);
    let first = true;
    for (const row of storage.sql.exec<Row>(`SELECT * FROM ${quote(table)}`)) {
      const columns = Object.entries(row).map(([column, value]) => `${JSON.stringify(column)}:${toJSON(`${table}.${column}`, value)}`);
      pieces.push(`${first ? "" : ","}{${columns.join(",")}}`);
      first = false;
    }
    pieces.push("]");
  });
  pieces.push('},"storage":{');
  let first = true;
  for (const [key, value] of storage.kv.list()) {
    pieces.push(`${first ? "" : ","}${JSON.stringify(key)}:${toJSON(`storage ${key}`, value)}`);
    first = false;
  }
  pieces.push("}}");
  return pieces;
}

/** Replaces all tables and the key-value store. For use inside a transaction: it throws on anything that it would lose. */
export function readDump(storage: DurableObjectStorage, text: string): void {
  const dump = JSON.parse(text) as { tables?: Record<string, Record<string, unknown>[]>; storage?: Record<string, unknown> };
  if (typeof dump?.tables !== "object" || dump.tables === null) throw new Error("the dump has no tables");
  const here = new Set(tableNames(storage));
  for (const table of here) storage.sql.exec(`DELETE FROM ${quote(table)}`);
  for (const [table, rows] of Object.entries(dump.tables)) {
    if (!Array.isArray(rows)) throw new Error(`table ${table} is not an array`);
    if (rows.length === 0) continue;
    if (!here.has(table)) {
      if (table !== parkedTable) throw new Error(`the agent has no table ${table}`);
      storage.sql.exec(`CREATE TABLE ${quote(table)} (${[...new Set(rows.flatMap((row) => Object.keys(row)))].map(quote).join(", ")})`);
    }
    for (const row of rows) {
      const columns = Object.keys(row);
      storage.sql.exec(
        `INSERT INTO ${quote(table)} (${columns.map(quote).join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
        ...columns.map((column) => sqlValue(`${table}.${column}`, fromJSON(row[column]))),
      );
    }
  }
  if (dump.storage === undefined) return;
  for (const [key] of [...storage.kv.list()]) storage.kv.delete(key);
  for (const [key, value] of Object.entries(dump.storage)) storage.kv.put(key, fromJSON(value));
}

function tableNames(storage: DurableObjectStorage): string[] {
  const names: string[] = [];
  for (const { name, sql } of storage.sql.exec<{ name: string; sql: string | null }>(
    "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name",
  )) {
    if (name.startsWith("_cf_") || name.startsWith("sqlite_")) continue;
    if (/^\s*CREATE\s+VIRTUAL/i.test(sql ?? "")) throw new Error(`table ${name} is virtual and cannot be moved`);
    names.push(name);
  }
  return names;
}

// SQLite's integers have 64 bits, and JavaScript would round them without a word.
function checkNumbers(storage: DurableObjectStorage, table: string): void {
  for (const { name } of storage.sql.exec<{ name: string }>(`PRAGMA table_info(${quote(table)})`).toArray()) {
    const column = quote(name);
    const found = storage.sql.exec(
      `SELECT 1 FROM ${quote(table)} WHERE typeof(${column}) = 'integer' AND (${column} > 9007199254740991 OR ${column} < -9007199254740991) LIMIT 1`,
    );
    if (found.toArray().length > 0) throw new Error(`${table}.${name} has an integer that cannot be moved exactly`);
  }
}

/** JSON of a value, with bytes as {"$base64": …}. It throws on anything that would not come back the same. */
function toJSON(where: string, value: unknown): string {
  const bytes = value instanceof ArrayBuffer ? new Uint8Array(value) : value;
  if (bytes instanceof Uint8Array) return `{"$base64":"${base64(bytes)}"}`;
  switch (typeof value) {
    case "string":
    case "boolean":
      return JSON.stringify(value);
    case "number":
      if (Number.isFinite(value)) return Object.is(value, -0) ? "-0.0" : String(value);
      break;
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return `[${value.map((item) => toJSON(where, item)).join(",")}]`;
      if (Object.getPrototypeOf(value) === Object.prototype && !Object.hasOwn(value, "$base64")) {
        const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}:${toJSON(where, member)}`);
        return `{${members.join(",")}}`;
      }
  }
  throw new Error(`${where} has a value that JSON cannot carry`);
}

function fromJSON(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromJSON);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value);
  if (members.length === 1 && members[0]![0] === "$base64" && typeof members[0]![1] === "string") {
    return Uint8Array.from(atob(members[0]![1]), (c) => c.charCodeAt(0));
  }
  return Object.fromEntries(members.map(([name, member]) => [name, fromJSON(member)]));
}

function sqlValue(where: string, value: unknown): unknown {
  if (value === null || typeof value === "string" || typeof value === "number" || value instanceof Uint8Array) return value;
  throw new Error(`${where} has a value that SQL cannot hold`);
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}
