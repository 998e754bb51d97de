// An answer in another protocol than ours, as the adapters read it, in Node.
import assert from "node:assert/strict";
import { test } from "node:test";

const page = Object.assign(new EventTarget(), { visibilityState: "visible", baseURI: "http://localhost/" });
const frame = new EventTarget();
Object.assign(globalThis, {
  document: page,
  addEventListener: frame.addEventListener.bind(frame),
  removeEventListener: frame.removeEventListener.bind(frame),
});
const { openStream } = await import(new URL("../../tokenstream/relay/browser/stream.js", import.meta.url));

const FRAMES = new TextEncoder().encode('id: 1\ndata: {"n":1}\n\n');
const opened = (...responses) =>
  openStream("http://localhost/stream", { wait: 0.001, longest: 0.002, fetch: async () => responses.shift() }, () => false);

test("there may be nothing to follow", async () => {
  assert.equal(await opened(new Response(null, { status: 204 })), null);
});

test("a stream that was given out ends with an error if there is nothing more to follow", async () => {
  const headers = { "Content-Type": "text/event-stream", "X-Answer-Id": "a" };
  const cut = new Response(FRAMES, { headers });
  const reader = (await opened(cut, new Response(null, { status: 204 }))).getReader();

  assert.equal((await reader.read()).value, '{"n":1}');
  await assert.rejects(reader.read());
});
