// What the gateway's agents are measured against: an agent of the SDK in a Durable Object.
import { Agent, callable, routeAgentRequest } from "agents";

interface Env {
  SpeedAgent: DurableObjectNamespace<SpeedAgent>;
}

interface State {
  n: number;
}

export class SpeedAgent extends Agent<Env, State> {
  override initialState: State = { n: 0 };

  @callable()
  ping(): string {
    return "pong";
  }

  @callable()
  set(state: State): void {
    this.setState(state);
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    return (await routeAgentRequest(request, env)) ?? new Response("Not found", { status: 404 });
  },
} satisfies ExportedHandler<Env>;
