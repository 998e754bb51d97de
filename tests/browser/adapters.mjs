// The adapters with the packages that they are for, in Node, at a relay whose address the environment names.
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

const QUICK = { wait: 0.001, longest: 0.002 };
/** Connections are cut at every so many bytes. */
const STEP = Number(process.env.TOKENSTREAM_EVERY_CUT ?? 61);
const TEXT = "Let me look it up. 🌧 Done.";

/** A `fetch` each of whose first responses breaks after so many bytes. */
const cutting = (bytes, times = 3) => {
  const cut = async (url, init) => {
    const response = await fetch(url, init);
    cut.requests.push([init.method ?? "GET", new URL(url).pathname, new Headers(init.headers)]);
    if (!response.body || cut.requests.length > times) return response;
    let left = bytes;
    const body = response.body.pipeThrough(
      new TransformStream({
        transform(chunk, to) {
          if (left > 0) to.enqueue(chunk.subarray(0, left));
          left -= chunk.length;
          if (left <= 0) to.error(new TypeError("cut"));
        },
      }),
    );
    return new Response(body, { status: response.status, headers: response.headers });
  };
  cut.requests = [];
  return cut;
};
let made = 0;
const id = () => `${process.pid}-${++made}`;
const until = async condition => {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2));
};

// -- useChat -------------------------------------------------------------------

const chat = (options = {}, given = {}) => {
  const transport = new RelayChatTransport({ api: `${RELAY}/api/chat`, ...QUICK, ...options });
  return new Chat({ id: id(), transport, ...given });
};
const shown = message => message.parts.map(({ type, text, state, input }) => ({ type, text, state, input }));
const answerOf = ({ messages }) => shown(messages.at(-1));
const textOf = ({ messages }) => messages.at(-1).parts.map(part => (part.type === "text" ? part.text : "")).join("");

test("useChat shows one whole answer wherever its connections are cut", async () => {
  const whole = chat();
  await whole.sendMessage({ text: "Weather?" });
  const expected = answerOf(whole);
  assert.equal(textOf(whole), TEXT);
  assert.ok(expected.some(part => part.type === "tool-get_weather" && part.state === "input-available"));
  for (let bytes = 0; bytes < 2600; bytes += STEP) {
    const fetch = cutting(bytes);
    const cut = chat({ fetch });
    await cut.sendMessage({ text: "Weather?" });
    const posts = fetch.requests.filter(([method]) => method === "POST");

    // Before the answer's id has come, only another POST could ask again: that would be another answer.
    if (bytes === 0) assert.ok(cut.status === "error" || textOf(cut) === TEXT);
    else assert.deepEqual([cut.status, answerOf(cut), posts.length], ["ready", expected, 1], `cut after ${bytes} bytes`);
  }
});

test("a chat that is opened anew gets the running answer from its beginning, and nothing after its end", async () => {
  const first = chat();
  const sent = first.sendMessage({ text: "slowly" });
  await until(() => first.messages.length > 1 && textOf(first).length > 5);
  const transport = new RelayChatTransport({ api: `${RELAY}/api/chat`, ...QUICK, fetch: cutting(900, 1) });
  const again = new Chat({ id: first.id, transport, messages: [first.messages[0]] });
  await again.resumeStream();
  await sent;

  assert.deepEqual([again.status, again.messages.length], ["ready", 2]);
  assert.deepEqual(answerOf(again), answerOf(first));
  assert.equal(await transport.reconnectToStream({ chatId: first.id }), null);
  await again.resumeStream();
  assert.deepEqual([again.status, again.error, again.messages.length], ["ready", undefined, 2]);
});

/** A `fetch` whose first response breaks after so many bytes, and whose second request waits for something. */
const cutUntil = (bytes, over) => {
  const cut = cutting(bytes, 1);
  return async (url, init) => {
    if (cut.requests.length) await over;
    return cut(url, init);
  };
};

test("a chat that is opened anew gets the end of an answer that ends while its connection is cut", async () => {
  // Its address knows only the running answer at the one server, and any that is named at the other.
  for (const api of [`${RELAY}/api/chat`, `${RELAY}/api/named`]) {
    for (const bytes of [5, 200, 700, 1000]) {
      const first = chat({ api });
      const sent = first.sendMessage({ text: "slowly" });
      await until(() => first.messages.length > 1 && textOf(first));
      const transport = new RelayChatTransport({ api, ...QUICK, fetch: cutUntil(bytes, sent) });
      const again = new Chat({ id: first.id, transport, messages: [first.messages[0]] });
      await again.resumeStream();

      assert.deepEqual([again.status, again.error, again.messages.length], ["ready", undefined, 2]);
      assert.deepEqual(answerOf(again), answerOf(first));
    }
  }
});

test("a chat that is opened anew gets its own answer, even if the next one has begun while it was cut", async () => {
  for (const api of [`${RELAY}/api/chat`, `${RELAY}/api/named`]) {
    const first = chat({ api });
    const sent = first.sendMessage({ text: "slowly" });
    await until(() => first.messages.length > 1 && textOf(first));
    const other = chat({ api }, { id: first.id });
    const next = sent.then(() => void other.sendMessage({ text: "slowly" }));
    const begun = next.then(() => until(() => other.messages.length > 1 && textOf(other)));
    const transport = new RelayChatTransport({ api, ...QUICK, fetch: cutUntil(700, begun) });
    const again = new Chat({ id: first.id, transport, messages: [first.messages[0]] });
    await again.resumeStream();

    assert.deepEqual([again.status, again.error, answerOf(again)], ["ready", undefined, answerOf(first)]);
    await until(() => other.status === "ready");
  }
});

test("a chat is told if the end of its answer is nowhere", async () => {
  const first = chat();
  const sent = first.sendMessage({ text: "slowly" });
  await until(() => first.messages.length > 1 && textOf(first));
  const cut = cutUntil(700, sent);
  const asked = [];
  const fetch = async (url, init) => {
    asked.push(new URL(url).pathname);
    return asked.length > 2 ? new Response("{}", { status: 404 }) : cut(url, init);
  };
  const transport = new RelayChatTransport({ api: `${RELAY}/api/chat`, ...QUICK, fetch });
  const again = new Chat({ id: first.id, transport, messages: [first.messages[0]] });
  await again.resumeStream();

  assert.deepEqual([again.status, again.error.status], ["error", 404]);
  assert.ok(textOf(again));
  assert.notDeepEqual(answerOf(again), answerOf(first));
  assert.equal(asked.length, 3);
});

test("an answer to the result of a page's own tool goes on in the message with the call", async () => {
  for (const fetch of [globalThis.fetch, cutting(900, 1)]) {
    const one = chat({ fetch });
    await one.sendMessage({ text: "Weather?" });
    const { id, parts } = one.messages[1];
    const { toolCallId } = parts.find(part => part.type === "tool-get_weather");
    await one.addToolOutput({ tool: "get_weather", toolCallId, output: "7 °C" });
    await one.sendMessage();

    assert.deepEqual([one.status, one.messages.length, one.messages[1].id], ["ready", 2, id]);
    assert.equal(textOf(one), TEXT + TEXT);
    assert.deepEqual(one.messages[1].parts.map(({ output }) => output).filter(Boolean), ["7 °C"]);
    await one.sendMessage({ text: "Weather?" });
    assert.deepEqual([one.messages.length, textOf(one)], [4, TEXT]);
  }
});

test("stop ends an answer for all readers, and hanging up does not", async () => {
  const one = chat();
  const sent = one.sendMessage({ text: "slowly" });
  await until(() => one.messages.length > 1 && textOf(one));
  const transport = new RelayChatTransport({ api: `${RELAY}/api/chat`, ...QUICK });
  const other = new Chat({ id: one.id, transport, messages: [] });
  const followed = other.resumeStream();
  await until(() => other.messages.length && textOf(other));
  await one.stop();
  await sent;
  assert.equal(one.status, "ready");
  assert.deepEqual(await transport.stop(one.id), { state: "stopped" });
  await followed;

  assert.ok(textOf(other).length < TEXT.length);
  assert.ok(textOf(other).length >= textOf(one).length);
});

test("a refusal is the chat's error, and a lost connection is a disconnect", async () => {
  let ended;
  const onFinish = options => (ended = options);
  const refused = chat({ api: `${RELAY}/none` }, { onFinish });
  await refused.sendMessage({ text: "Weather?" });
  assert.deepEqual([refused.status, refused.error.status, refused.error.retryable], ["error", 404, false]);
  const lost = chat({ fetch: () => Promise.reject(new TypeError("gone")) }, { onFinish });
  await lost.sendMessage({ text: "Weather?" });
  assert.deepEqual([lost.status, ended.isDisconnect], ["error", true]);
  const broken = chat();
  await broken.sendMessage({ text: "break" });
  assert.equal(broken.status, "error");
});

test("another answer is never joined to the first", async () => {
  const other = async (url, init) => {
    const response = await fetch(url, init);
    const headers = new Headers(response.headers);
    if ((init.method ?? "GET") === "GET") headers.set("X-Answer-Id", "another");
    return new Response(response.body, { status: response.status, headers });
  };
  for (const missing of [false, true]) {
    let times = 0;
    const cut = cutting(900, 1);
    const joined = chat({
      fetch: async (url, init) => {
        const response = await (++times > 1 ? other : cut)(url, init);
        if (times > 1 && missing) response.headers.delete("X-Answer-Id");
        return response;
      },
    });
    await joined.sendMessage({ text: "Weather?" });
    assert.deepEqual([joined.status, joined.error.error, times], ["error", "PositionLost", 2]);
  }
});

test("requests have the names and values of the AI SDK's own transport", async () => {
  const { DefaultChatTransport } = require("ai");
  const asked = async (Transport, options) => {
    const requests = [];
    const fetch = async (url, init) => {
      const headers = [...new Headers(init.headers)].filter(([name]) => !["accept", "idempotency-key"].includes(name));
      requests.push([String(url), init.method ?? "GET", headers, init.body && JSON.parse(init.body), init.credentials]);
      return new Response("data: [DONE]\n\n", { headers: { "Content-Type": "text/event-stream" } });
    };
    const transport = new Transport({ api: "http://here.test/chat", fetch, ...options });
    const request = { chatId: "a/b", messages: [{ id: "1", role: "user", parts: [] }], headers: { "X-One": "1" }, body: { more: 1 }, metadata: { m: 1 } };
    await transport.sendMessages({ ...request, trigger: "submit-message", messageId: "1" });
    await transport.reconnectToStream(request);
    return requests;
  };
  const prepared = { api: "http://here.test/other", headers: { "X-Two": "2" }, body: { all: true }, credentials: "omit" };
  const told = [];
  const prepare = request => (told.push(request), prepared);
  for (const options of [
    { headers: { "X-Own": "a" }, body: { own: 2 }, credentials: "include" },
    { headers: async () => ({ "X-Own": "a" }), body: () => ({ own: 2 }), credentials: () => "include" },
    { prepareSendMessagesRequest: prepare, prepareReconnectToStreamRequest: prepare },
  ]) {
    assert.deepEqual(await asked(RelayChatTransport, options), await asked(DefaultChatTransport, options));
  }
  const [ours, ourReconnect, theirs, theirReconnect] = told;
  const plain = request => ({ ...request, headers: [...new Headers(request.headers)] });
  assert.deepEqual([plain(ours), plain(ourReconnect)], [plain(theirs), plain(theirReconnect)]);
});

// -- AG-UI ---------------------------------------------------------------------

const Agent = relayAgent(HttpAgent, QUICK);
const agent = (config = {}) => new Agent({ url: `${RELAY}/api/agent`, threadId: id(), ...config });
const said = ({ messages }) => messages.map(({ role, content, toolCalls }) => [role, content, toolCalls?.map(call => call.function)]);

test("an agent of AG-UI has one whole run wherever its connections are cut", async () => {
  const whole = agent();
  await whole.runAgent();
  const expected = said(whole);
  assert.equal(expected.map(([, content]) => content ?? "").join(""), TEXT);
  assert.ok(expected.some(([, , calls]) => calls?.[0].name === "get_weather"));
  for (let bytes = STEP; bytes < 2600; bytes += STEP) {
    const fetch = cutting(bytes);
    const cut = agent({ fetch });
    await cut.runAgent();

    assert.deepEqual(said(cut), expected, `cut after ${bytes} bytes`);
    assert.equal(fetch.requests.filter(([method]) => method === "POST").length, 1);
  }
});

test("connectAgent follows the run that goes on, and is over at once if there is none", async () => {
  const first = agent({ headers: { "X-Own": "a" } });
  const ran = first.runAgent({ forwardedProps: { pace: "slowly" } });
  await until(() => first.messages.length);
  const fetch = cutting(900, 1);
  const again = agent({ threadId: first.threadId, headers: { "X-Own": "b" }, fetch }).clone();
  await again.connectAgent();
  await ran;

  assert.deepEqual(said(again), said(first));
  assert.equal(fetch.requests[0][2].get("X-Own"), "b");
  const late = agent({ threadId: first.threadId });
  await late.connectAgent();
  assert.deepEqual(late.messages, []);
  const none = agent();
  await none.connectAgent();
  assert.deepEqual(none.messages, []);
});

test("connectAgent gets the end of a run that ends while its connection is cut", async () => {
  for (const bytes of [5, 300, 900]) {
    const first = agent();
    const ran = first.runAgent({ forwardedProps: { pace: "slowly" } });
    await until(() => first.messages.length);
    const again = agent({ threadId: first.threadId, fetch: cutUntil(bytes, ran) });
    await again.connectAgent();

    assert.deepEqual(said(again), said(first));
  }
});

test("stopRun stops the run, and a refusal is the run's error", async () => {
  const one = agent();
  const ran = one.runAgent({ forwardedProps: { pace: "slowly" } });
  await until(() => one.messages.length);
  assert.deepEqual(await one.stopRun(), { state: "stopped" });
  await ran.catch(() => {});
  assert.ok(said(one).map(([, content]) => content ?? "").join("").length < TEXT.length);
  await assert.rejects(agent({ url: `${RELAY}/none` }).runAgent(), { status: 404 });
});

test("abortRun ends the run for this reader, which may follow it again", async () => {
  const one = agent();
  const ran = one.runAgent({ forwardedProps: { pace: "slowly" } });
  await until(() => one.messages.length);
  one.abortRun();
  await ran;
  one.messages = [];
  await one.connectAgent();

  assert.equal(said(one).map(([, content]) => content ?? "").join(""), TEXT);
});
