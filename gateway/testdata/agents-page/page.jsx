// A page with one agent. What it is to do comes from outside, and what happens is told to window.tell.
import { useState } from "react";
import { createRoot } from "react-dom/client";
import { agentFetch } from "agents/client";
import { useAgent } from "agents/react";

const given = JSON.parse(decodeURIComponent(location.hash.slice(1)));

function Page() {
	const [state, setState] = useState(null);
	const agent = useAgent({
		...given,
		onStateUpdate: (state, source) => {
			setState(state);
			window.tell("state", { state, source });
		},
		onStateUpdateError: (error) => window.tell("stateError", { error }),
		onIdentity: (name, agent) => window.tell("identity", { name, agent }),
		onOpen: () => window.tell("open"),
		// An attempt that failed has no code.
		onClose: (e) => typeof e.code === "number" && window.tell("close", { code: e.code, reason: e.reason }),
		onMessage: (e) => window.tell("message", { data: String(e.data) }),
	});
	window.agent = agent;
	return <pre id="state">{JSON.stringify(state)}</pre>;
}

window.run = async (call, method, args, streaming) => {
	const chunks = [];
	try {
		const options = streaming ? { stream: { onChunk: (c) => chunks.push(c) } } : undefined;
		const result = await window.agent.call(method, args, options);
		window.tell("result", { call, result: result === undefined ? "<undefined>" : result, chunks });
	} catch (error) {
		window.tell("failure", { call, error: error.message, chunks });
	}
};

// The header is one that a page of another origin must ask for first.
window.get = async (call) => {
	try {
		const { host, agent, name } = given;
		const response = await agentFetch({ host, agent, name }, { headers: { "X-Own": "page" } });
		window.tell("fetched", { call, code: response.status, data: await response.text() });
	} catch (error) {
		window.tell("failure", { call, error: error.message });
	}
};

createRoot(document.getElementById("root")).render(<Page />);
