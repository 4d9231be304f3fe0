/** A refusal with the words that the caller gets. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  response(): Response {
    const headers = new Headers({ "x-bridge-error": this.code });
    if (this.status === 401) headers.set("www-authenticate", "Bearer");
    return Response.json({ code: this.code, message: this.message }, { status: this.status, headers });
  }
}

/** What a caller gets for anything that was thrown. Only a Problem says in its own words what happened. */
export function answer(thrown: unknown): Response {
  if (thrown instanceof Problem) return thrown.response();
  const fault = thrown as { overloaded?: unknown; retryable?: unknown } | null | undefined;
  if (fault?.overloaded === true) return new Problem(503, "overloaded", "the object has too many requests").response();
  console.error(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
  if (fault?.retryable === true) return new Problem(503, "unavailable", "the object was moved or restarted").response();
  return new Problem(500, "internal", "the bridge failed; its log says why").response();
}

/** The message of anything that was thrown. */
export function reason(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
