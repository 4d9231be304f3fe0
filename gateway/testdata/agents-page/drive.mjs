// Opens pages with useAgent in a browser, as a test says on standard input, one JSON command in a line, and tells what they report on
// standard output, one JSON event in a line. The argument is the path of a Chromium.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const tell = (event) => process.stdout.write(JSON.stringify(event) + "\n");

const bundle = await build({
	entryPoints: ["page.jsx"], bundle: true, write: false, format: "esm", target: "es2022", jsx: "automatic",
	define: { "process.env.NODE_ENV": '"production"' }, logLevel: "error",
});
const script = bundle.outputFiles[0].contents;

const server = createServer((request, response) => {
	const isScript = request.url === "/page.js";
	response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
	response.end(isScript ? script : '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/page.js"></script>');
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = `http://127.0.0.1:${server.address().port}/`;

// Containers of tests run as root, whose browsers have no sandbox of their own.
const browser = await chromium.launch({ executablePath: process.argv[2], args: ["--no-sandbox"] });
const pages = new Map();

async function connect({ conn, ...options }) {
	const page = await browser.newPage();
	pages.set(conn, page);
	page.on("pageerror", (error) => tell({ conn, event: "pageError", error: String(error) }));
	await page.exposeFunction("tell", (event, more) => tell({ conn, event, ...more }));
	delete options.op;
	await page.goto(address + "#" + encodeURIComponent(JSON.stringify(options)));
}

const commands = {
	connect,
	call: ({ conn, call, method, args }) => pages.get(conn).evaluate((a) => window.run(...a), [call, method, args, false]),
	stream: ({ conn, call, method, args }) => pages.get(conn).evaluate((a) => window.run(...a), [call, method, args, true]),
	get: ({ conn, call }) => pages.get(conn).evaluate((call) => window.get(call), call),
	setState: ({ conn, state }) => pages.get(conn).evaluate((state) => window.agent.setState(state), state),
	show: async ({ conn, call }) => tell({ conn, event: "shown", call, data: await pages.get(conn).textContent("#state") }),
};

tell({ event: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
	const command = JSON.parse(line);
	commands[command.op](command).catch((error) => tell({ conn: command.conn, event: "pageError", error: String(error) }));
}
await browser.close();
server.close();
process.exit(0);
