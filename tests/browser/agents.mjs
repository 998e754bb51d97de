// An agent that asks for a permission and runs a tool, at a real relay, read by our page, the AI SDK and AG-UI.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

const require = createRequire(`${process.env.TOKENSTREAM_NODE}/`);
const RELAY = process.env.TOKENSTREAM_RELAY;
const { Chat } = require("@ai-sdk/react");
const { HttpAgent } = require("@ag-ui/client");
const folder = new URL("../../tokenstream/relay/browser/", import.meta.url);
const { follow } = await import(new URL("tokenstream.js", folder));
const { RelayChatTransport } = await import(new URL("use-chat.js", folder));
const { relayAgent } = await import(new URL("ag-ui.js", folder));

const QUICK = { wait: 0.001, longest: 0.002 };
/** A `fetch` each of whose first responses breaks after so many bytes. */
const cutting = bytes => {
  let requests = 0;
  return async (url, init) => {
    const response = await fetch(url, init);
    if ((requests += 1) > 4 || !response.body) return response;
    let left = bytes;
    const cut = (chunk, to) => {
      to.enqueue(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) to.error(new TypeError("cut"));
    };
    return new Response(response.body.pipeThrough(new TransformStream({ transform: cut })), response);
  };
};
const CUTS = [Infinity, 150, 333, 471, 704, 951];
const until = async condition => {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2));
};
const reply = (id, allowed) => fetch(`${RELAY}/replies/${id}`, { method: "POST", body: JSON.stringify({ allowed }) });

for (const allowed of [true, false]) {
  const error = allowed ? null : "the user has refused";
  test(`our page shows a question, its answer, and ${allowed ? "the result" : "the failure"} at the call`, async () => {
    for (const bytes of CUTS) {
      const answer = follow(`${RELAY}/agent/tokenstream`, { ...QUICK, method: "POST", body: "{}", fetch: cutting(bytes) });
      await until(() => answer.waiting.length);
      const [call] = answer.messages.find(({ step }) => step === "1").toolCalls;
      assert.deepEqual([call.name, call.arguments, call.result], ["remove", { path: "build" }, undefined]);
      assert.deepEqual(call.requests, [{ id: "r1", request: { command: "rm -r build" }, answered: false, step: "2" }]);
      await reply(answer.id, allowed);
      await answer.done;

      assert.deepEqual([answer.message.ending, answer.waiting, call.requests[0].answered], ["complete", [], true]);
      assert.deepEqual([call.result.output, call.result.error], [allowed ? { files: 3 } : null, error]);
      assert.equal(answer.messages.map(({ text }) => text).join(""), "Let me see. Done.");
      const step = answer.steps.get("2");
      assert.deepEqual([step.cause, step.state, step.output], [call, allowed ? "done" : "failed", allowed ? "removed build\n" : ""]);
    }
  });

  test(`useChat shows a question, its answer, and ${allowed ? "the result" : "the failure"} at the call`, async () => {
    for (const bytes of CUTS) {
      const transport = new RelayChatTransport({ api: `${RELAY}/agent/ui-message`, ...QUICK, fetch: cutting(bytes) });
      const chat = new Chat({ transport });
      const parts = type => chat.messages.at(-1).parts.filter(part => part.type === type);
      const sent = chat.sendMessage({ text: "Clean up" });
      await until(() => chat.messages.length > 1 && parts("data-waiting").length);
      const [waiting] = parts("data-waiting");
      assert.deepEqual([waiting.data.request, waiting.data.answered], [{ command: "rm -r build" }, false]);
      const [{ toolCallId, state, input }] = parts("tool-remove");
      assert.deepEqual([toolCallId, state, input], [waiting.data.toolCallId, "input-available", { path: "build" }]);
      await reply(chat.messages.at(-1).id, allowed);
      await sent;

      assert.deepEqual([chat.status, parts("data-waiting").map(({ data }) => data.answered)], ["ready", [true]]);
      const [part] = parts("tool-remove");
      const expected = allowed ? ["output-available", { files: 3 }, undefined] : ["output-error", undefined, error];
      assert.deepEqual([part.state, part.output, part.errorText], expected);
    }
  });

  test(`an agent of AG-UI shows a question, its answer, and ${allowed ? "the result" : "the failure"} at the call`, async () => {
    const Agent = relayAgent(HttpAgent, QUICK);
    for (const bytes of CUTS) {
      const agent = new Agent({ url: `${RELAY}/agent/ag-ui`, fetch: cutting(bytes) });
      let run;
      const started = { onRunStartedEvent: ({ event }) => void (run = event.runId) };
      const ran = agent.runAgent({}, started);
      const waiting = () => agent.messages.find(({ activityType }) => activityType === "WAITING");
      await until(waiting);
      assert.deepEqual([waiting().content.request, waiting().content.answered], [{ command: "rm -r build" }, false]);
      await reply(run, allowed);
      await ran;

      assert.equal(waiting().content.answered, true);
      const calls = agent.messages.flatMap(({ toolCalls }) => toolCalls ?? []);
      const results = agent.messages.filter(({ role }) => role === "tool");
      assert.deepEqual(results.map(({ toolCallId }) => toolCallId), calls.map(({ id }) => id));
      assert.deepEqual(results.map(({ content }) => content), [allowed ? '{"files":3}' : error]);
    }
  });
}
