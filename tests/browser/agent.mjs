// The agent of examples/agent_page with useChat's chat and AG-UI's agent, in Node, at a relay that the environment names.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

const require = createRequire(`${process.env.TOKENSTREAM_NODE}/`);
const RELAY = process.env.TOKENSTREAM_RELAY;
const { Chat } = require("@ai-sdk/react");
const { HttpAgent } = require("@ag-ui/client");
const folder = new URL("../../tokenstream/relay/browser/", import.meta.url);
const { RelayChatTransport } = await import(new URL("use-chat.js", folder));
const { relayAgent } = await import(new URL("ag-ui.js", folder));

const DENIED = "The user has denied this call.";
const until = async condition => {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2));
};
const decide = async (id, approved) => {
  const body = JSON.stringify({ approved });
  const response = await fetch(`${RELAY}/requests/${id}`, { method: "POST", body });
  assert.equal(response.status, 200);
};

for (const [approved, state, said] of [
  [true, "output-available", "deleted milk"],
  [false, "output-error", DENIED],
]) {
  test(`useChat shows a call, that it waits for approval, and that it was ${approved ? "approved" : "denied"}`, async () => {
    const chat = new Chat({ transport: new RelayChatTransport({ api: `${RELAY}/api/chat` }) });
    const parts = () => chat.messages.at(-1)?.parts ?? [];
    const call = () => parts().find(({ type }) => type === "tool-delete_note");
    const sent = chat.sendMessage({ text: "Delete" });
    await until(() => call()?.state === "approval-requested");
    assert.deepEqual(call().input, { title: "milk" });
    const waiting = parts().find(({ type }) => type === "data-waiting");
    assert.deepEqual([waiting.id, waiting.data.answered], [call().approval.id, false]);
    assert.equal(waiting.data.toolCallId, call().toolCallId);

    // The page shows at once what was decided, and tells the agent.
    await chat.addToolApprovalResponse({ id: call().approval.id, approved });
    assert.deepEqual([call().state, call().approval.approved], ["approval-responded", approved]);
    await decide(call().approval.id, approved);
    await sent;
    assert.deepEqual([chat.status, chat.error, call().state], ["ready", undefined, state]);
    assert.equal(approved ? call().output : call().errorText, said);
    assert.equal(parts().filter(({ type }) => type.startsWith("tool-")).length, 1);
    assert.equal(parts().findLast(({ type }) => type === "text").text, `The tool says: ${said}`);
    assert.ok(parts().find(({ type }) => type === "data-waiting").data.answered);
  });

  test(`an agent of AG-UI has the call, the question and its ${approved ? "result" : "denial"}`, async () => {
    const Agent = relayAgent(HttpAgent);
    const agent = new Agent({ url: `${RELAY}/api/agent` });
    agent.addMessage({ id: "1", role: "user", content: "Delete" });
    const waiting = () => agent.messages.find(({ activityType }) => activityType === "WAITING")?.content;
    const ran = agent.runAgent();
    await until(waiting);
    assert.deepEqual([waiting().answered, waiting().request.arguments], [false, { title: "milk" }]);
    await decide(waiting().id, approved);
    await ran;
    const call = agent.messages.find(({ toolCalls }) => toolCalls).toolCalls[0];
    const result = agent.messages.find(({ role }) => role === "tool");
    assert.deepEqual([call.function.name, call.function.arguments], ["delete_note", '{"title": "milk"}']);
    assert.deepEqual([result.toolCallId, result.content], [call.id, said]);
    assert.equal(waiting().answered, true);
    assert.equal(agent.messages.findLast(({ role }) => role === "assistant").content, `The tool says: ${said}`);
    assert.deepEqual(agent.pendingInterrupts, []);
  });
}

test("a run that ends while a call waits leaves it open in useChat, and is an interrupt in AG-UI", async () => {
  const chat = new Chat({ transport: new RelayChatTransport({ api: `${RELAY}/api/chat` }) });
  await chat.sendMessage({ text: "Ask and leave" });
  const call = chat.messages.at(-1).parts.find(({ type }) => type === "tool-delete_note");
  assert.deepEqual([chat.status, call.state], ["ready", "approval-requested"]);

  const agent = new HttpAgent({ url: `${RELAY}/api/agent` });
  agent.addMessage({ id: "1", role: "user", content: "Ask and leave" });
  await agent.runAgent();
  const [interrupt] = agent.pendingInterrupts;
  const { toolCalls } = agent.messages.find(message => message.toolCalls);
  assert.deepEqual([interrupt.reason, interrupt.toolCallId], ["tool_call", toolCalls[0].id]);
});
