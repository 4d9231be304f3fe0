// Runs clients of agents as a test says on standard input, one JSON command in a line, and tells what they report on
// standard output, one JSON event in a line.
import { createInterface } from "node:readline";
import { AgentClient, agentFetch } from "agents/client";
import WebSocket from "ws";

const clients = new Map();
const tell = (event) => process.stdout.write(JSON.stringify(event) + "\n");

function connect({ conn, host, agent, name, query, id }) {
	const told = (event, more) => tell({ conn, event, ...more });
	const client = new AgentClient({
		host, agent, name, query, id, WebSocket, minReconnectionDelay: 50, maxReconnectionDelay: 200,
		connectionTimeout: 30_000, // a busy machine is none of the client's business
		onStateUpdate: (state, source) => told("state", { state, source }),
		onStateUpdateError: (error) => told("stateError", { error }),
		onIdentity: (name, agent) => told("identity", { name, agent }),
		onConnectionError: (error) => told("connectionError", { error: String(error?.message ?? error) }),
	});
	clients.set(conn, client);
	client.addEventListener("open", () => told("open"));
	client.addEventListener("close", (e) => told("close", { code: e.code, reason: e.reason }));
	client.addEventListener("message", (e) => told("message", { data: String(e.data) }));
	client.ready.then(() => told("ready", { state: client.state ?? null }), () => {});
}

async function call({ conn, call, method, args }) {
	const chunks = [];
	try {
		const result = await clients.get(conn).call(method, args);
		tell({ conn, event: "result", call, result: result === undefined ? "<undefined>" : result });
	} catch (error) {
		tell({ conn, event: "failure", call, error: error.message, chunks });
	}
}

async function stream({ conn, call, method, args }) {
	const chunks = [];
	try {
		const result = await clients.get(conn).call(method, args, { stream: { onChunk: (c) => chunks.push(c) } });
		tell({ conn, event: "result", call, result: result === undefined ? "<undefined>" : result, chunks });
	} catch (error) {
		tell({ conn, event: "failure", call, error: error.message, chunks });
	}
}

async function get({ call, host, agent, name }) {
	try {
		const response = await agentFetch({ host, agent, name });
		tell({ event: "fetched", call, code: response.status, data: await response.text() });
	} catch (error) {
		tell({ event: "failure", call, error: error.message });
	}
}

const commands = {
	connect, call, stream, get,
	setState: ({ conn, state }) => clients.get(conn).setState(state),
	close: ({ conn }) => clients.get(conn).close(),
};

createInterface({ input: process.stdin })
	.on("line", (line) => {
		const command = JSON.parse(line);
		commands[command.op](command);
	})
	.on("close", () => process.exit(0));
