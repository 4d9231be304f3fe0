import { Problem } from "./problem";

/** The most bytes that a request or a response may have: a record of 32 MiB, its ring and its header. */
export const maxBody = 36 * 1024 * 1024;

export const frameType = "application/vnd.vibesdk.frame";

/**
 * A frame is a JSON header and binary blobs in one body: the number of blobs, the length of the header and that of each
 * blob, as 32-bit big-endian numbers; the header; the blobs.
 */
export interface Frame<H> {
  header: H;
  blobs: Uint8Array[];
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function decodeFrame<H>(body: Uint8Array): Frame<H> {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let at = 0;
  const number = () => {
    if (at + 4 > body.byteLength) throw new Problem(400, "invalid", "the frame is cut short");
    at += 4;
    return view.getUint32(at - 4);
  };
  const count = number();
  if (count > 64) throw new Problem(400, "invalid", "a frame has at most 64 blobs");
  const sizes: number[] = [];
  for (let i = 0; i <= count; i++) sizes.push(number());
  const pieces = sizes.map((size) => {
    if (at + size > body.byteLength) throw new Problem(400, "invalid", "the frame is cut short");
    at += size;
    return body.subarray(at - size, at);
  });
  if (at !== body.byteLength) throw new Problem(400, "invalid", "the frame has bytes behind its end");
  const [head, ...blobs] = pieces;
  try {
    return { header: JSON.parse(utf8.decode(head)) as H, blobs };
  } catch {
    throw new Problem(400, "invalid", "the header of the frame is not JSON");
  }
}

/** Makes a frame whose blobs `fill` writes in place, so that a large one exists once in memory. */
export function encodeFrame(header: unknown, sizes: number[], fill: (i: number, blob: Uint8Array) => void): Uint8Array {
  const head = new TextEncoder().encode(JSON.stringify(header));
  const lengths = [sizes.length, head.byteLength, ...sizes];
  const body = new Uint8Array(4 * lengths.length + head.byteLength + sizes.reduce((a, b) => a + b, 0));
  const view = new DataView(body.buffer);
  lengths.forEach((n, i) => view.setUint32(4 * i, n));
  let at = 4 * lengths.length;
  body.set(head, at);
  at += head.byteLength;
  sizes.forEach((size, i) => {
    fill(i, body.subarray(at, at + size));
    at += size;
  });
  return body;
}

/** Reads a whole body, which must say its length. */
export async function readBody(request: Request, most: number): Promise<Uint8Array> {
  checkLength(request, most);
  return new Uint8Array(await request.arrayBuffer());
}

/** Throws unless the body says its length, and is not too large. */
export function checkLength(request: Request, most: number): void {
  if (request.body === null) return;
  const length = request.headers.get("content-length");
  if (length === null) throw new Problem(411, "length_required", "the request must say its Content-Length");
  if (!(Number(length) <= most)) throw new Problem(413, "too_large", `the body has ${length} bytes, the limit is ${most}`);
}
