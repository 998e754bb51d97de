// @ts-check
/**
 * An agent for AG-UI clients that survives cuts, reloads and sleep.
 *
 *     import { HttpAgent } from "@ag-ui/client";
 *     const Agent = relayAgent(HttpAgent);
 *     const agent = new Agent({ url: "/api/agent", threadId });
 *     await agent.connectAgent(); // after a reload: follows the run that goes on
 */
import { askToStop, openStream } from "./stream.js";

/** @import { Patience } from "./connection.js" */

const LAST = ["RUN_FINISHED", "RUN_ERROR"];

/**
 * Make a class of agents out of `HttpAgent` of `@ag-ui/client`, for relays that answer in the protocol `ag-ui`.
 *
 * `runAgent` continues after a cut, and `connectAgent` follows the run that goes on at `url/threadId/stream`,
 * or does nothing if there is none (status 204). `abortRun` stops following, and `stopRun` stops the run.
 *
 * @template {new (...given: any[]) => any} C
 * @param {C} HttpAgent
 * @param {Patience} [patience]
 */
export function relayAgent(HttpAgent, patience = {}) {
  return class RelayAgent extends HttpAgent {
    /** @param {any[]} given The configuration of `HttpAgent`. */
    constructor(...given) {
      const [config] = given;
      // The function has the given one, too, so that it reaches clones.
      const fetch = Object.assign(continuing(config.fetch, patience), { plain: config.fetch });
      super({ ...config, fetch });
    }

    /** Follow the run that goes on, from its beginning. @param {any} input @returns {any} */
    connect(input) {
      const agent = /** @type {any} */ (this);
      // A run that was aborted before has used its controller up.
      if (agent.abortController.signal.aborted) agent.abortController = new AbortController();
      const placeOf = (/** @type {string} */ run) => `${agent.url}/${encodeURIComponent(run)}`;
      const requestInit = () => ({ headers: agent.headers, signal: agent.abortController.signal, placeOf });
      const url = `${agent.url}/${encodeURIComponent(agent.threadId)}/stream`;
      return super.run.call(Object.assign(Object.create(agent), { url, requestInit }), input);
    }

    /** Stop the run for all its readers; resolves with the server's reply. @returns {Promise<any>} */
    stopRun() {
      return askToStop(`${this.url}/${encodeURIComponent(this.threadId)}/stop`, { headers: this.headers }, this.fetch.plain);
    }
  };
}

/** Return a `fetch` whose response goes on over cuts. @param {typeof globalThis.fetch | undefined} fetch @param {Patience} patience */
function continuing(fetch, patience) {
  /** @param {string} url @param {any} init */
  return async (url, init) => {
    const stream = await openStream(url, { ...patience, ...init, fetch }, data => LAST.includes(JSON.parse(data).type));
    const frame = new TransformStream({
      transform: (data, to) => to.enqueue(`data: ${data.replaceAll("\n", "\ndata: ")}\n\n`),
    });
    const body = stream && stream.pipeThrough(frame).pipeThrough(new TextEncoderStream());
    return new Response(body ?? "", { headers: { "Content-Type": "text/event-stream" } });
  };
}
