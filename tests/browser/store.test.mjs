// The store of an answer, in Node: what frameworks ask of a store, and when its listeners are called.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

const folder = new URL("../../tokenstream/relay/browser/", import.meta.url);
const { follow } = await import(new URL("tokenstream.js", folder));
const { answerStore } = await import(new URL("store.js", folder));

const settled = () => new Promise(resolve => setTimeout(resolve, 5));
/** An answer whose events the test sends. */
const sent = () => {
  let to;
  const made = { started: 0, closed: false };
  const body = new ReadableStream({ start: controller => (to = controller), cancel: () => (made.closed = true) });
  made.fetch = async (_, { signal }) => {
    signal.addEventListener("abort", () => (made.closed = true));
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  };
  made.send = async (...events) => {
    for (const event of events) to.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(event)}\n\n`));
    await settled();
  };
  made.start = () => (made.started++, follow(`http://localhost/${Math.random()}`, { fetch: made.fetch }));
  return made;
};

let frames;
/** Run what a page does before its next frame. */
const frame = () => frames.splice(0).forEach(draw => draw());
beforeEach(() => {
  frames = [];
  globalThis.requestAnimationFrame = draw => frames.push(draw);
});
afterEach(() => delete globalThis.requestAnimationFrame);

test("a snapshot stays the same object until something changes, and never changes itself", async () => {
  const answer = sent();
  const store = answerStore(answer.start);
  const empty = store.getSnapshot();
  assert.deepEqual([empty.state, empty.text, empty.parts, store.answer], ["connecting", "", [], null]);
  store.subscribe(() => {});
  await answer.send({ type: "text_delta", text: "Hel" }, { type: "part_done" }, { type: "tool_call_start", part: 1, id: "c", name: "f" });
  assert.equal(store.getSnapshot(), empty);
  frame();
  const first = store.getSnapshot();
  assert.equal(store.getSnapshot(), first);
  await answer.send({ type: "tool_call_delta", part: 1, id: "c", fragment: "{" }, { type: "media_delta", part: 2, data: "AQID" });
  frame();
  const second = store.getSnapshot();
  await answer.send({ type: "media_delta", part: 2, data: "BA==" }, { type: "patch", patch: [{ op: "replace", path: "", value: { a: [1] } }] });
  frame();
  const third = store.getSnapshot();
  await answer.send({ type: "patch", patch: [{ op: "add", path: "/a/-", value: 2 }] }, { type: "end", ending: "complete" });

  assert.deepEqual([first.text, first.toolCalls[0].arguments_text, second.toolCalls[0].arguments_text], ["Hel", "", "{"]);
  // What has not changed is the same object, so that it is not drawn again.
  assert.equal(first.parts[0], third.parts[0]);
  assert.equal(second.parts[1], third.parts[1]);
  assert.deepEqual([second.parts[2].chunks.length, third.parts[2].chunks.length], [1, 2]);
  assert.deepEqual([third.form, store.getSnapshot().form], [{ a: [1] }, { a: [1, 2] }]);
  assert.deepEqual([store.getSnapshot().ending, store.getSnapshot().state], ["complete", "ended"]);
});

test("a store that is left and subscribed again tells of changes", async () => {
  const answer = sent();
  const again = sent();
  const starts = [answer.start, again.start];
  const store = answerStore(() => starts.shift()());
  const leave = store.subscribe(() => {});
  await answer.send({ type: "text_delta", text: "a" });
  leave();
  await settled();
  frame();
  let told = 0;
  store.subscribe(() => (told += 1));
  await again.send({ type: "text_delta", text: "b" });
  frame();

  assert.deepEqual([told, store.getSnapshot().text], [1, "b"]);
});

test("listeners are called once per frame, and at the end without one", async () => {
  const answer = sent();
  const store = answerStore(answer.start);
  let told = 0;
  store.subscribe(() => (told += 1));
  for (let count = 0; count < 20; count++) await answer.send({ type: "text_delta", text: "a" });
  assert.equal(told, 0);
  frame();
  assert.deepEqual([told, store.getSnapshot().text], [1, "a".repeat(20)]);
  await answer.send({ type: "text_delta", text: "b" }, { type: "end", ending: "complete" });
  assert.deepEqual([told, store.getSnapshot().ending], [2, "complete"]);
  frame();
  assert.equal(told, 2);
});

test("an answer is followed while there are listeners, and one that changes places loses nothing", async () => {
  const answer = sent();
  const store = answerStore(answer.start);
  await settled();
  assert.equal(answer.started, 0);
  // React subscribes, leaves, and subscribes again in its strict mode.
  store.subscribe(() => {})();
  const leave = store.subscribe(() => {});
  const other = store.subscribe(() => {});
  await settled();
  assert.equal(answer.started, 1);
  leave();
  await settled();
  assert.ok(store.answer && !answer.closed);
  other();
  await settled();
  assert.deepEqual([store.answer, answer.closed], [null, true]);
});

test("a snapshot has the steps of a run, their messages, and what waits for an answer", async () => {
  const answer = sent();
  const store = answerStore(answer.start);
  store.subscribe(() => {});
  assert.deepEqual([store.getSnapshot().messages, store.getSnapshot().steps, store.getSnapshot().waiting], [[], [], []]);
  await answer.send(
    { type: "step_start", id: "1", name: "answer" },
    { type: "text_delta", text: "Hm.", step: "1" },
    { type: "tool_call_done", part: 1, call: { id: "c", name: "remove", arguments_text: "{}" }, step: "1" },
    { type: "step_start", id: "2", name: "remove", parent: "1", cause: { id: "c", name: "remove" } },
    { type: "step_start", id: "3", name: "Bash", parent: "1", cause: { id: "x", name: "Bash" } },
    { type: "step_waiting", id: "r", request: { command: "rm" }, step: "2" },
  );
  frame();
  const asked = store.getSnapshot();
  await answer.send({ type: "step_waiting", id: "r", request: { command: "rm" }, answered: true, step: "2" }, { type: "step_delta", id: "2", text: "removed" });
  await answer.send({ type: "tool_result", id: "c", output: 3, step: "2" }, { type: "tool_result", id: "x", output: 4, step: "3" }, { type: "end", ending: "complete" });
  const done = store.getSnapshot();

  const told = ({ waiting, messages, steps }) => {
    const [, { text, toolCalls: [call], step }] = messages;
    return [waiting.map(({ id }) => id), step, text, call.requests[0].answered, call.result?.output, steps.map(({ output, cause }) => [output, cause?.result?.output])];
  };
  assert.deepEqual(told(asked), [["r"], "1", "Hm.", false, undefined, [["", undefined], ["", undefined], ["", undefined]]]);
  assert.deepEqual(told(done), [[], "1", "Hm.", true, 3, [["", undefined], ["removed", 3], ["", 4]]]);
  // A step's call is the one in its message, and a step without changes is the same object.
  assert.equal(done.steps[1].cause, done.messages[1].toolCalls[0]);
  assert.equal(done.steps[0], asked.steps[0]);
  assert.equal(done.messages[1].parts[0], asked.messages[1].parts[0]);
});

test("no key of an event sets the prototype of a part", async () => {
  const proto = '"__proto__": {"evil": 1}';
  const lines = [
    `{"type": "tool_call_start", "part": 0, "id": "c", "name": "f"}`,
    `{"type": "tool_call_done", "part": 0, "call": {"id": "c", "name": "f", "arguments_text": "{}", ${proto}}}`,
    `{"type": "part_start", "part": 1, "content": {"kind": "text", "text": "a", ${proto}}}`,
    `{"type": "part_done", "part": 1, "content": {"kind": "text", "text": "ab", ${proto}}}`,
    `{"type": "citation_added", "part": 2, "citation": {"url": "http://localhost", ${proto}}}`,
    `{"type": "end", "ending": "complete"}`,
  ];
  const body = lines.map(line => `data: ${line}\n\n`).join("");
  const fetch = async () => new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  const { parts } = await follow("http://localhost/prototypes", { fetch }).done;

  assert.deepEqual(parts.map(part => part.kind), ["tool_call", "text", "citation"]);
  for (const part of parts) assert.deepEqual([part.evil, Object.getPrototypeOf(part)], [undefined, Object.prototype]);
  assert.deepEqual([parts[0].name, parts[1].text, parts[2].url], ["f", "ab", "http://localhost"]);
});

test("a body that is a text is sent as JSON, unless the page says otherwise", async () => {
  const asked = [];
  const fetch = async (_, { headers }) => {
    asked.push(headers.get("Content-Type"));
    return new Response('data: {"type": "end", "ending": "complete"}\n\n', { headers: { "Content-Type": "text/event-stream" } });
  };
  const options = { method: "POST", body: "{}", fetch };
  await follow("http://localhost/plain", options).done;
  await follow("http://localhost/named", { ...options, headers: { "content-type": "text/plain" } }).done;
  await follow("http://localhost/form", { ...options, body: new FormData() }).done;
  await follow("http://localhost/nothing", { fetch }).done;

  assert.deepEqual(asked, ["application/json", "text/plain", null, null]);
});
