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

test("a page that wakes up leaves a stream's dead connection, and each event comes once", async () => {
  const silent = new ReadableStream({ start: controller => controller.enqueue(new TextEncoder().encode("data: a\nid: 1\n\n")) });
  const headers = { "Content-Type": "text/event-stream", "X-Answer-Id": "a" };
  const bodies = [silent, "data: b\nid: 2\n\ndata: [DONE]\nid: 3\n\n"];
  const asked = [];
  const fetch = async (_, init) => {
    asked.push(init.headers.get("Last-Event-ID"));
    const response = new Response(bodies.shift(), { headers });
    // As with a real request: its body fails if it is aborted.
    const cut = new TransformStream({ start: controller => init.signal.addEventListener("abort", () => controller.error(init.signal.reason)) });
    return new Response(response.body.pipeThrough(cut), { headers });
  };
  const stream = await openStream("http://localhost/stream", { wait: 60, longest: 60, fetch }, data => data === "[DONE]");
  const reader = stream.getReader();
  assert.equal((await reader.read()).value, "a");
  page.dispatchEvent(new Event("visibilitychange"));

  assert.deepEqual([(await reader.read()).value, (await reader.read()).value, (await reader.read()).done], ["b", "[DONE]", true]);
  assert.deepEqual(asked, [null, "1"]);
});

test("a status says whether a stream goes on, and errors tell what the server said", async () => {
  const first = () => new Response("data: a\nid: 1\n\n", { headers: { "Content-Type": "text/event-stream", "X-Answer-Id": "a" } });
  const rest = () => new Response("data: b\nid: 2\n\n", { headers: { "Content-Type": "text/event-stream", "X-Answer-Id": "a" } });
  const refused = (status, more) => () => new Response('{"error": {"type": "k", "message": "No."}}', { status, headers: more });
  const reader = (await opened(first(), refused(503, { "Retry-After": "0" })(), refused(429)(), rest())).getReader();
  assert.deepEqual([(await reader.read()).value, (await reader.read()).value], ["a", "b"]);
  await reader.cancel();
  for (const status of [401, 403, 404, 410]) {
    const stream = (await opened(first(), refused(status)())).getReader();
    assert.equal((await stream.read()).value, "a");
    await assert.rejects(stream.read(), { message: "No.", status, kind: "k", retryable: false });
    await assert.rejects(opened(refused(status)()), { message: "No.", status });
  }
});

// -- events without a position -----------------------------------------------------

const HEADERS = { "Content-Type": "text/event-stream", "X-Answer-Id": "a" };
/** Frames of events: a number is the position of the event named before it. */
const frames = (...events) =>
  events.map((event, at) => (typeof event === "number" ? "" : `data: ${event}\n${typeof events[at + 1] === "number" ? `id: ${events[at + 1]}\n` : ""}\n`)).join("");
/** What comes of responses, each of which breaks off at its end, and the error if there is one. */
const came = async (...bodies) => {
  const requests = [];
  const fetch = async (_, { headers }) => {
    requests.push(headers.get("Last-Event-ID"));
    return new Response(bodies.shift(), { headers: HEADERS });
  };
  const stream = await openStream("http://localhost/stream", { wait: 0.001, longest: 0.002, fetch }, data => data === "[DONE]");
  const events = [];
  let error = null;
  try {
    for await (const data of stream) events.push(data);
  } catch (thrown) {
    error = thrown;
  }
  return { events, error, requests };
};

test("a server that begins an answer anew gives each event once, also those without a position", async () => {
  const begun = ["start", "step", 1, "a", 2];
  const rest = ["sources", "b", 3, "finish", "[DONE]", 4];
  const expected = ["start", "step", "a", "sources", "b", "finish", "[DONE]"];
  for (const cut of [frames(...begun), frames(...begun, "sources"), frames("start"), frames(...begun, "sources", "b", 3, "finish")]) {
    assert.deepEqual((await came(cut, frames(...begun, ...rest))).events, expected);
  }
  // So does one that sends again what it has sent over the same connection.
  assert.deepEqual((await came(frames(...begun, "sources", ...begun, ...rest))).events, expected);
});

test("a POST that is only named, and not kept, is read as it comes, and goes out once wherever it is cut", async () => {
  for (const words of [[], ["start"], ["start", "a", "b"]]) {
    const methods = [];
    const fetch = async (_, { method }) => (methods.push(method), new Response(frames(...words), { headers: HEADERS }));
    const stream = await openStream("http://localhost/stream", { wait: 0.001, method: "POST", body: "{}", fetch }, () => false);
    const events = [];
    await assert.rejects(async () => {
      for await (const data of stream) events.push(data);
    }, TypeError);
    assert.deepEqual([methods, events], [["POST"], words]);
  }
});

test("an answer with an id but without positions is read as it comes, and isn't continued", async () => {
  let to;
  const fetch = async () => new Response(new ReadableStream({ start: controller => void (to = controller) }), { headers: HEADERS });
  const stream = await openStream("http://localhost/stream", { fetch }, data => data === "[DONE]");
  const reader = stream.getReader();
  const words = Array.from({ length: 300 }, (_, at) => `word${at}`);
  to.enqueue(new TextEncoder().encode(frames(...words)));
  // The reader can't know at first that no position will come.
  for (const word of words) assert.equal((await reader.read()).value, word);
  to.enqueue(new TextEncoder().encode(frames("more")));
  assert.equal((await reader.read()).value, "more");
  await reader.cancel();

  const { events, error, requests } = await came(frames(...words));
  assert.deepEqual([events, error.name, requests], [words, "TypeError", [null]]);
});

test("an answer with many events at one position is continued after them", async () => {
  const many = Array.from({ length: 300 }, (_, at) => `end${at}`);
  const whole = await came(frames("a", 1, ...many, 2), frames("b", 3, "[DONE]", 4));
  assert.deepEqual([whole.events, whole.requests], [["a", ...many, "b", "[DONE]"], [null, "2"]]);
  // Some of them were given out, and would come again.
  const torn = await came(frames("a", 1, ...many), frames(...many, 2, "[DONE]", 3));
  assert.deepEqual([torn.events, torn.error.name, torn.requests], [["a", ...many], "TypeError", [null]]);
});
