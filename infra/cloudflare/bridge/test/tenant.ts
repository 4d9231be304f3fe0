// A Worker of a dispatch namespace: it says what it got, or echoes on a WebSocket.
export default {
  async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/throws") throw new Error("tenant failed");
    if (request.headers.get("upgrade") === "websocket") {
      const { 0: client, 1: server } = new WebSocketPair();
      server.accept();
      server.addEventListener("message", (event) => server.send(`tenant heard ${event.data as string}`));
      return new Response(null, { status: 101, webSocket: client });
    }
    const told = { method: request.method, url: request.url, headers: Object.fromEntries(request.headers) };
    if (url.pathname === "/body") return new Response(request.body, { status: 201, headers: { "x-told": JSON.stringify(told), "x-bridge-error": "mine" } });
    if (url.pathname === "/redirect") return Response.redirect("https://elsewhere.example/", 302);
    return Response.json(told);
  },
};
