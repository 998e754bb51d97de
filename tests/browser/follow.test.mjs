// `follow` by itself, in Node: a server that cuts, repeats, is silent, refuses.
import assert from "node:assert/strict";
import { setMaxListeners } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

// What a page has and Node has not: only what the reader asks of it.
const page = Object.assign(new EventTarget(), { visibilityState: "visible", baseURI: "http://localhost/" });
const frame = new EventTarget();
setMaxListeners(0, page, frame);
Object.assign(globalThis, {
  document: page,
  addEventListener: frame.addEventListener.bind(frame),
  removeEventListener: frame.removeEventListener.bind(frame),
});
const { applyPatch, follow } = await import(new URL("../../tokenstream/relay/browser/tokenstream.js", import.meta.url));

const CALL = { id: "call_1", name: "get_weather", arguments_text: '{"city": "Oslo"}', complete: true };
const EVENTS = [
  { type: "message_start", model: "m" },
  { type: "reasoning_delta", text: "Hm, " },
  { type: "reasoning_delta", text: "rain?" },
  { type: "part_done" },
  { type: "text_delta", part: 1, text: "Grüße, " },
  { type: "text_delta", part: 1, text: "🌧\ud83c" },
  { type: "text_delta", part: 1, text: "\udf08 für <b>dich</b>\n" },
  { type: "part_done", part: 1 },
  { type: "tool_call_start", part: 2, id: "call_1", name: "get_weather" },
  { type: "tool_call_delta", part: 2, id: "call_1", fragment: '{"city": ' },
  { type: "tool_call_delta", part: 2, id: "call_1", fragment: '"Oslo"}' },
  { type: "tool_call_done", part: 2, call: CALL },
  { type: "usage_update", usage: { input_tokens: 9 } },
  { type: "usage_update", usage: { output_tokens: 21 } },
  { type: "finish", reason: "tool_calls" },
];
const END = { type: "end", ending: "complete" };
const TEXT = "Grüße, 🌧🌈 für <b>dich</b>\n";

const sse = (event, id) => Buffer.from(`${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(event)}\n\n`);
/** The answer behind a position, as a relay sends it. */
const body = (position = 0, events = [...EVENTS, END]) =>
  Buffer.concat(events.map((event, at) => sse(event, at + 1)).slice(position));
/** The answer up to a position. */
const start = position => body().subarray(0, body().length - body(position).length);
const head = (response, status = 200, more = {}) =>
  response.writeHead(status, { "Content-Type": "text/event-stream", ...more });
const position = request => Number(request.headers["last-event-id"] ?? 0);
const bare = answer => [...answer].map(({ position, replayed, ...event }) => event);
const collected = async answer => {
  const events = [];
  for await (const event of answer) events.push(event);
  return events;
};
const until = async condition => {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2));
};
const QUICK = { wait: 0.001, longest: 0.002 };

let server, base, routes;
before(async () => {
  routes = new Map();
  server = createServer((request, response) => {
    const route = routes.get(request.url);
    route.requests.push(request);
    route.answer(request, response, route.requests.length);
  });
  await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});
let made = 0;
/** A new address of the server, and what it is asked for there. */
const serve = answer => {
  const path = `/${++made}`;
  const route = { answer, requests: [], url: base + path };
  routes.set(path, route);
  return route;
};

const whole = answer => {
  const { message } = answer;
  assert.equal(message.text, TEXT);
  assert.equal(message.reasoning, "Hm, rain?");
  assert.deepEqual(
    message.toolCalls.map(({ name, arguments: given, complete }) => [name, given, complete]),
    [["get_weather", { city: "Oslo" }, true]],
  );
  assert.deepEqual(message.usage, { input_tokens: 9, output_tokens: 21 });
  assert.deepEqual([message.model, message.finish_reason], ["m", "tool_calls"]);
  assert.deepEqual([message.ending, message.error, answer.state], ["complete", null, "ended"]);
};

test("wherever a connection is cut, each event comes once", async () => {
  const length = body().length;
  const cut = at => async () => {
    const route = serve((request, response, times) => {
      head(response);
      if (times > 1) return response.end(body(position(request)));
      if (at % 2) return response.end(body().subarray(0, at));
      response.write(body().subarray(0, at), () => response.destroy());
    });
    const answer = follow(route.url, QUICK);
    assert.deepEqual(bare(await collected(answer)), EVENTS, `cut at ${at}`);
    whole(answer);
    assert.ok(answer.connections <= 2);
  };
  // An odd step meets both ways to cut.
  const every = Number(process.env.TOKENSTREAM_EVERY_CUT ?? 29);
  const cuts = Array.from({ length: Math.ceil(length / every) }, (_, at) => cut(at * every));
  // A few at a time: as many sockets as there are cuts would take longer.
  await Promise.all(Array.from({ length: 16 }, async () => { while (cuts.length) await cuts.pop()(); }));
});

test("pieces of any size give the same, and lines may end in any way", async () => {
  for (const [size, ending] of [[1, "\n"], [2, "\r\n"], [3, "\r"], [7, "\n"], [5, "\r\n"]]) {
    const bytes = Buffer.from("\ufeff: hello\nid: 0\ndata:\n\n" + body().toString().replaceAll("data: ", "data:"), "utf8");
    const sent = Buffer.from(bytes.toString().replaceAll("\n", ending));
    // Node may join what is written at once: the reader is given the pieces by a `fetch` of its own.
    const pieces = Array.from({ length: Math.ceil(sent.length / size) }, (_, at) => sent.subarray(at * size, (at + 1) * size));
    const real = globalThis.fetch;
    globalThis.fetch = async () =>
      new Response(new ReadableStream({ start(to) { pieces.forEach(piece => to.enqueue(new Uint8Array(piece))); to.close(); } }), {
        headers: { "Content-Type": "text/event-stream" },
      });
    try {
      const answer = follow(`${base}/pieces-${size}`);
      assert.deepEqual(bare(await collected(answer)), EVENTS);
      whole(answer);
    } finally {
      globalThis.fetch = real;
    }
  }
});

test("what a server sends twice comes once", async () => {
  const route = serve((_, response, times) => {
    head(response);
    response.end(times === 1 ? start(8) : Buffer.concat([start(5), body()]));
  });
  const answer = follow(route.url, QUICK);

  assert.deepEqual(bare(await collected(answer)), EVENTS);
  assert.deepEqual(route.requests.map(request => request.headers["last-event-id"]), [undefined, "8"]);
});

test("replayed is what the journal had before the page asked first", async () => {
  const live = at => sse({ type: "live", at });
  const answers = (request, response, times) => {
    head(response);
    if (times === 1) return response.end(Buffer.concat([live(4), start(6)]));
    response.end(Buffer.concat([live(12), body(position(request))]));
  };
  const events = await collected(follow(serve(answers).url, QUICK));
  const own = await collected(follow(serve(answers).url, { ...QUICK, fresh: true }));

  assert.deepEqual(events.map(event => event.replayed), EVENTS.map((_, at) => at < 4));
  assert.deepEqual(events.map(event => event.position), EVENTS.map((_, at) => at + 1));
  assert.ok(own.every(event => !event.replayed));
});

for (const [name, target, event] of [
  ["visibilitychange", page, new Event("visibilitychange")],
  ["pageshow", frame, Object.assign(new Event("pageshow"), { persisted: true })],
  ["online", frame, new Event("online")],
]) {
  test(`${name} reconnects at once, though the socket looks open`, async () => {
    const route = serve((request, response, times) => {
      head(response);
      const rest = body(position(request));
      if (times > 1) response.end(rest);
      else response.write(rest.subarray(0, 700));
    });
    const answer = follow(route.url, { wait: 60, longest: 60 });
    await until(() => answer.message.text);
    frame.dispatchEvent(new Event("pageshow"));
    assert.equal(answer.connections, 1);
    target.dispatchEvent(event);
    page.dispatchEvent(new Event("visibilitychange"));

    assert.deepEqual(bare(await collected(answer)), EVENTS);
    assert.equal(answer.connections, 2);
    // The next test's event is another moment's.
    await new Promise(resolve => setTimeout(resolve, 110));
  });
}

test("a page that wakes up leaves several dead sockets within a second each", async () => {
  const route = serve((request, response, times) => {
    if (times === 1) head(response).write(start(5));
    // A dead socket answers nothing.
    else if (times > 4) head(response).end(body(position(request)));
  });
  const answer = follow(route.url, { wait: 60, longest: 60 });
  await until(() => answer.position === 5);
  const begun = performance.now();
  frame.dispatchEvent(new Event("online"));

  assert.deepEqual(bare(await collected(answer)), EVENTS);
  assert.equal(answer.connections, 5);
  assert.ok(performance.now() - begun < 10_000);
  await new Promise(resolve => setTimeout(resolve, 110));
});

test("attempts are not spent while hidden", async () => {
  let up = false;
  const route = serve((request, response) => (up ? head(response).end(body(position(request))) : response.destroy()));
  page.visibilityState = "hidden";
  try {
    const answer = follow(route.url, { ...QUICK, attempts: 2 });
    await until(() => answer.state === "waiting");
    await new Promise(resolve => setTimeout(resolve, 50));
    assert.deepEqual([answer.state, answer.connections], ["waiting", 1]);
    up = true;
    page.visibilityState = "visible";
    page.dispatchEvent(new Event("visibilitychange"));
    whole({ message: await answer.done, state: answer.state });
    assert.equal(answer.connections, 2);
  } finally {
    page.visibilityState = "visible";
  }
});

test("a page that becomes visible twice within a moment tries twice", async () => {
  let up = false;
  const route = serve((request, response) => (up ? head(response).end(body(position(request))) : response.destroy()));
  const answer = follow(route.url, { ...QUICK, wait: 60, longest: 60 });
  await until(() => answer.state === "waiting");
  page.dispatchEvent(new Event("visibilitychange"));
  await until(() => answer.state === "waiting" && answer.connections === 2);
  up = true;
  page.dispatchEvent(new Event("visibilitychange"));

  whole({ message: await answer.done, state: answer.state });
  assert.equal(answer.connections, 3);
  await new Promise(resolve => setTimeout(resolve, 110));
});

test("attempts are not counted while the browser is offline", async () => {
  let up = false;
  const route = serve((request, response) => (up ? head(response).end(body(position(request))) : response.destroy()));
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { onLine: false }, configurable: true });
  try {
    const answer = follow(route.url, { ...QUICK, attempts: 2 });
    await until(() => answer.connections > 5);
    up = true;
    whole({ message: await answer.done, state: answer.state });
  } finally {
    if (before) Object.defineProperty(globalThis, "navigator", before);
    else delete globalThis.navigator;
  }
});

test("a request on a dead socket is given up after 2 seconds, and the next one after 4", async () => {
  const real = globalThis.setTimeout;
  const waits = [];
  let watch;
  let times = 0;
  const route = serve((request, response) => head(response).end(position(request) ? body(position(request)) : start(5)));
  const fetch = (url, { signal, ...init }) => {
    if (![2, 3].includes(++times)) return globalThis.fetch(url, { signal, ...init });
    // A dead socket answers nothing; its seconds pass at once.
    waits.push(watch.ms);
    watch.call();
    return Promise.reject(signal.reason);
  };
  globalThis.setTimeout = (call, ms, ...more) => {
    if (ms >= 1_000) watch = { call, ms };
    return real(call, ms, ...more);
  };
  try {
    whole({ message: await follow(route.url, { ...QUICK, fetch }).done, state: "ended" });
  } finally {
    globalThis.setTimeout = real;
  }
  assert.deepEqual(waits, [2_000, 4_000]);
});

test("a connection without a sign of life is given up", async () => {
  const route = serve((request, response, times) => {
    head(response);
    if (times > 1) return response.end(body(position(request)));
    response.write(start(5));
    // Comments are signs of life.
    let signs = 0;
    const timer = setInterval(() => (++signs < 4 ? response.write(": keep-alive\n\n") : clearInterval(timer)), 30);
  });
  const begun = Date.now();
  const answer = follow(route.url, { ...QUICK, silence: 0.08 });

  assert.deepEqual(bare(await collected(answer)), EVENTS);
  assert.ok(Date.now() - begun > 150);
});

test("one answer has one follower, until the last one leaves", async () => {
  let hungUp = false;
  const route = serve((request, response) => {
    head(response);
    response.write(body().subarray(0, 300));
    request.socket.on("close", () => (hungUp = true));
  });
  const one = follow(route.url);
  const other = follow(route.url);
  assert.equal(one, other);
  await until(() => one.position > 0);
  one.close();
  assert.equal(one.state, "open");
  other.close();
  assert.equal(one.state, "ended");
  assert.equal((await one.done).ending, "streaming");
  await until(() => hungUp);
  assert.equal(route.requests.length, 1);

  const asked = serve((_, response) => head(response).end(body()));
  const posts = ["a", "b"].map(question => follow(asked.url, { method: "POST", body: question }));
  await Promise.all(posts.map(post => post.done));
  assert.equal(asked.requests.length, 2);
});

test("a POST goes out as it was made, again with the position", async () => {
  const bodies = [];
  const route = serve(async (request, response, times) => {
    let sent = "";
    for await (const piece of request) sent += piece;
    bodies.push([request.method, sent, request.headers["content-type"], request.headers["x-token"], request.headers["x-answer-id"]]);
    head(response, 200, { "X-Answer-Id": "a%2Fb" });
    response.end(times === 1 ? body().subarray(0, 600) : body(position(request)));
  });
  let tokens = 0;
  const answer = follow(route.url, {
    ...QUICK,
    method: "POST",
    body: "{}",
    headers: async () => ({ "Content-Type": "application/json", "X-Token": String(++tokens) }),
  });
  whole({ message: await answer.done, state: answer.state });

  assert.equal(answer.id, "a/b");
  assert.deepEqual(bodies, [["POST", "{}", "application/json", "1", undefined], ["POST", "{}", "application/json", "2", "a%2Fb"]]);
});

/** The first events of an answer, which name it. */
const naming = (answer, events = [...EVENTS, END]) => body(0, events.map((event, at) => (at ? event : { ...event, answer })));

test("another answer is never joined", async () => {
  const other = [{ type: "message_start" }, ...EVENTS.slice(1).map(() => ({ type: "text_delta", part: 1, text: "no" })), END];
  const live = (at, answer) => sse({ type: "live", at, ...(answer && { answer }) });
  const seconds = {
    "a header": response => head(response, 200, { "X-Answer-Id": "2" }).end(body(6, other)),
    "the first event": response => head(response).end(naming("2", other)),
    "the live event": response => head(response).end(Buffer.concat([live(3, "2"), body(6, other)])),
  };
  for (const [name, second] of Object.entries(seconds)) {
    for (const method of ["GET", "POST"]) {
      for (const inHeader of [true, false]) {
        const route = serve((_, response, times) => {
          if (times > 1) return second(response);
          const first = naming("1").subarray(0, naming("1").length - body(6).length);
          head(response, 200, inHeader ? { "X-Answer-Id": "1" } : {}).end(first);
        });
        const { ending, error, text } = await follow(route.url, { ...QUICK, method }).done;
        assert.deepEqual([ending, error.error, text], ["truncated", "PositionLost", "Grüße, 🌧\ud83c"], `${name}, ${method}`);
        assert.equal(route.requests.length, 2);
      }
    }
  }
});

test("a repeated POST whose answer does not say which it is is not joined", async () => {
  const route = serve((request, response, times) => head(response, 200, times === 1 ? { "X-Answer-Id": "1" } : {}).end(times === 1 ? start(6) : body(position(request))));
  const { ending, error } = await follow(route.url, { ...QUICK, method: "POST" }).done;
  assert.deepEqual([ending, error.error, route.requests.length], ["truncated", "PositionLost", 2]);
});

test("a POST is not repeated where the answer has no id: it might be paid for twice", async () => {
  const route = serve((_, response) => head(response).end(start(6)));
  const { ending, error, text } = await follow(route.url, { ...QUICK, method: "POST" }).done;
  assert.deepEqual([ending, error.error, text.slice(0, 7)], ["truncated", "StreamInterrupted", "Grüße, "]);
  assert.equal(route.requests.length, 1);
});

test("an answer whose address serves nothing is gone on with by its own POST", async () => {
  const none = serve((_, response) => response.writeHead(404).end("{}"));
  const place = new URL(none.url).pathname;
  const begin = serve((request, response, times) => {
    head(response, 200, { "X-Answer-Id": "1", Location: place }).end(times === 1 ? start(6) : body(position(request)));
  });
  const answer = follow(begin.url, { ...QUICK, method: "POST", body: "{}" });
  whole({ message: await answer.done, state: answer.state });
  assert.deepEqual(begin.requests.map(request => [request.method, request.headers["x-answer-id"]]), [["POST", undefined], ["POST", "1"]]);
  assert.equal(none.requests.length, 1);
  // An answer that is gone there, too, is gone.
  const gone = serve((_, response, times) => {
    if (times > 1) return response.writeHead(404).end("{}");
    head(response, 200, { "X-Answer-Id": "1", Location: place }).end(start(6));
  });
  const { error } = await follow(gone.url, { ...QUICK, method: "POST", body: "{}" }).done;
  assert.deepEqual([error.status, gone.requests.length], [404, 2]);
});

test("a page of another origin sends no header that its server did not let it read", async () => {
  const route = serve((request, response, times) => head(response).end(times === 1 ? naming("1").subarray(0, 300) : body(position(request))));
  const answer = follow(route.url, QUICK);
  whole({ message: await answer.done, state: answer.state });
  assert.deepEqual(route.requests.map(request => request.headers["x-answer-id"]), [undefined, undefined]);
});

test("a POST that has begun an answer is gone on with by a GET at its address", async () => {
  let finish;
  const asked = new Promise(resolve => (finish = resolve));
  // The answer goes on once its follower has been looked up: one that has ended is followed anew.
  const answer = serve(async (request, response) => {
    await asked;
    head(response).end(body(position(request)));
  });
  const stop = serve((_, response) => response.writeHead(200).end("{}"));
  const place = new URL(answer.url).pathname;
  routes.set(`${place}/stop`, stop);
  const begin = serve((_, response) => head(response, 200, { Location: place }).end(start(8)));
  const followed = follow(begin.url, { ...QUICK, method: "POST", body: "{}" });
  await until(() => followed.position > 0);
  assert.equal(follow(answer.url), followed);
  finish();
  whole({ message: await followed.done, state: followed.state });
  assert.deepEqual(begin.requests.map(request => request.method), ["POST"]);
  assert.deepEqual(answer.requests.map(request => [request.method, request.headers["last-event-id"]]), [["GET", "8"]]);
  await followed.stop();
  assert.deepEqual(stop.requests.map(request => request.method), ["POST"]);
});

test("an address of another origin gets neither a request nor the page's headers", async () => {
  const asked = [];
  const headers = { "Content-Type": "text/event-stream", "X-Answer-Id": "a", Location: "http://other.example/answers/a" };
  const fetch = async (url, init) => {
    asked.push([init.method, new URL(url).host]);
    return new Response(asked.length > 1 ? body(8) : start(8), { headers });
  };
  const answer = follow("http://localhost/chat", { ...QUICK, fetch, method: "POST", body: "{}", headers: { Authorization: "secret" } });

  whole({ message: await answer.done, state: answer.state });
  assert.deepEqual(asked, [["POST", "localhost"], ["POST", "localhost"]]);
});

test("a page that has begun an answer sees no replays, wherever the connection broke", async () => {
  const live = sse({ type: "live", at: EVENTS.length });
  for (const cut of [0, 8]) {
    const answer = serve((request, response) => head(response).end(Buffer.concat([live, body(position(request))])));
    const place = new URL(answer.url).pathname;
    const begin = serve((_, response) => head(response, 200, { Location: place }).end(Buffer.concat([Buffer.from(": keep-alive\n\n"), start(cut)])));
    const events = await collected(follow(begin.url, { ...QUICK, method: "POST", body: "{}" }));
    assert.deepEqual(events.map(event => event.replayed), EVENTS.map(() => false));
  }
  // The server says so if the answer existed already: this request was sent twice.
  const twice = serve((_, response) => head(response, 200, { Location: "/none" }).end(Buffer.concat([live, body()])));
  const events = await collected(follow(twice.url, { ...QUICK, method: "POST", body: "{}" }));
  assert.ok(events.every(event => event.replayed));
});

test("what has no positions is not asked for twice", async () => {
  for (const method of ["POST", "GET"]) {
    const route = serve((_, response) => head(response).end(Buffer.concat(EVENTS.slice(0, 6).map(event => sse(event)))));
    const { ending, error, text } = await follow(route.url, { ...QUICK, method }).done;
    assert.deepEqual([ending, error.error, error.kind, error.retryable], ["truncated", "StreamInterrupted", "network", true]);
    assert.equal(route.requests.length, 1);
    assert.equal(text.slice(0, 7), "Grüße, ");
  }
});

test("attempts that bring nothing are counted, and those that do count anew", async () => {
  const route = serve((request, response, times) => {
    if (times % 3 === 0) return head(response).end(body(position(request)).subarray(0, 220));
    response.destroy();
  });
  const answer = follow(route.url, { ...QUICK, attempts: 3 });
  whole({ message: await answer.done, state: answer.state });
  const dead = serve((_, response) => response.destroy());
  const { ending, error } = await follow(dead.url, { ...QUICK, attempts: 3 }).done;

  assert.deepEqual([ending, error.kind, dead.requests.length], ["truncated", "network", 4]);
});

test("a status says whether to ask again", async () => {
  for (const status of [429, 503]) {
    const route = serve((_, response, times) =>
      times > 1 ? head(response).end(body()) : response.writeHead(status, { "Retry-After": "0" }).end());
    assert.equal((await follow(route.url, QUICK).done).ending, "complete");
  }
  for (const [status, method] of [[404, "GET"], [410, "GET"], [204, "GET"], [429, "POST"]]) {
    const route = serve((_, response) =>
      response.writeHead(status, { "Content-Type": "application/json", "Retry-After": "7" }).end('{"message": "No.", "kind": "k"}'));
    const { ending, error } = await follow(route.url, { ...QUICK, method }).done;
    assert.deepEqual([ending, error.status, error.retry_after, route.requests.length], ["failed", status, 7, 1]);
    assert.equal(error.message, status === 204 ? "there is nothing to follow" : "No.");
    assert.equal(error.retryable, status === 429);
  }
  const page = serve((_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<h1>Log in</h1>"));
  assert.match((await follow(page.url).done).error.message, /text\/html came/);
});

const refusal = (type, more) => JSON.stringify({ error: { type, message: "No.", retryable: true, ...more } });
const KEEPS = { "Idempotency-Key": "kept" };
/** Responses that come in place of an answer. */
const FAILURES = {
  shutdown: response => response.writeHead(503, { "Retry-After": "0" }).end(refusal("shutdown", { may_repeat: true })),
  "a journal that is gone": response => response.writeHead(503).end(refusal("journal_unavailable", { may_repeat: true })),
  "a 503 of a proxy": response => response.writeHead(503).end("upstream connect error"),
  "a 502 of a proxy": response => response.writeHead(502, { "Content-Type": "text/html" }).end("<h1>Bad Gateway</h1>"),
  "a 504 of a proxy": response => response.writeHead(504).end(),
  "a reset": response => response.destroy(),
  "a cut before the first event": response => void head(response).write(": hi\n\n", () => response.destroy()),
  "an interruption": response => response.writeHead(503).end(refusal("shutdown", { may_repeat: false })),
  "the provider's words": response => response.writeHead(503).end(refusal("overloaded")),
  "the application's words": response => response.writeHead(503).end('{"detail": "busy"}'),
};
const [UNASKED, LOST] = [Object.keys(FAILURES).slice(0, 3), Object.keys(FAILURES).slice(3, 7)];

test("a question is repeated, under its key, if no model was asked, or a journal keeps the key", async () => {
  const first = new Set();
  for (const name of [...UNASKED, ...LOST]) {
    const route = serve((request, response) => {
      const times = route.requests.filter(({ method }) => method === "POST").length;
      if (request.method === "HEAD") return response.writeHead(200, LOST.includes(name) ? KEEPS : {}).end();
      return times < 3 ? FAILURES[name](response) : head(response, 200, { "X-Answer-Id": "1" }).end(body());
    });
    const answer = follow(route.url, { ...QUICK, method: "POST", body: "{}" });
    whole({ message: await answer.done, state: answer.state });
    const [key, ...again] = route.requests.filter(({ method }) => method === "POST").map(({ headers }) => headers["idempotency-key"]);
    assert.match(key, /^[0-9a-f]+$/);
    assert.deepEqual(again, [key, key], name);
    first.add(key);
  }
  assert.equal(first.size, 7);
  const own = serve((_, response) => head(response).end(body()));
  await follow(own.url, { ...QUICK, method: "POST", body: "{}", headers: { "idempotency-key": "mine" } }).done;
  assert.equal(own.requests[0].headers["idempotency-key"], "mine");
});

test("a page whose question may have reached a model is told at once", async () => {
  for (const [name, refuse] of Object.entries(FAILURES).slice(3)) {
    const route = serve((request, response) => (request.method === "HEAD" ? response.writeHead(405).end() : refuse(response)));
    const answer = follow(route.url, { method: "POST", body: "{}" });
    const states = new Set();
    answer.subscribe(() => states.add(answer.state));
    await answer.done;
    assert.deepEqual(route.requests.map(({ method }) => method), LOST.includes(name) ? ["POST", "HEAD"] : ["POST"], name);
    assert.ok(!states.has("waiting"));
    if (name === "a reset") assert.match(answer.message.error.message, /CORS/);
  }
  // As to a server that stays away: the question may be in its journal, but nobody says so.
  const methods = [];
  const fetch = async (_, { method }) => methods.push(method) && Promise.reject(new TypeError());
  const { ending } = await follow(base, { ...QUICK, fetch, method: "POST", body: "{}" }).done;
  assert.deepEqual([ending, ...methods], ["truncated", "POST", ...Array(4).fill("HEAD")]);
});

test("a question that stays refused ends with the server's words", async () => {
  const restarting = serve((_, response) => FAILURES.shutdown(response));
  const { ending, error } = await follow(restarting.url, { ...QUICK, method: "POST", body: "{}", attempts: 2 }).done;
  assert.deepEqual([ending, error.message, error.status, restarting.requests.length], ["failed", "No.", 503, 3]);
  // A GET may ask a model, too.
  const busy = serve((_, response) => FAILURES["the provider's words"](response));
  const told = (await follow(busy.url, QUICK).done).error;
  assert.deepEqual([told.kind, told.retryable, busy.requests.length], ["overloaded", true, 1]);
});

test("a POST whose answer has begun asks again after a 503, and waits as long as the server says", async () => {
  const moments = [];
  const route = serve((request, response, times) => {
    moments.push(Date.now());
    if (times === 2) return response.writeHead(503, { "Retry-After": "1" }).end("{}");
    head(response, 200, { "X-Answer-Id": "1" }).end(times === 1 ? start(6) : body(position(request)));
  });
  const answer = follow(route.url, { ...QUICK, method: "POST", body: "{}" });
  whole({ message: await answer.done, state: answer.state });
  assert.equal(route.requests.length, 3);
  assert.ok(moments[2] - moments[1] >= 990);
});

test("a retry field is how long a server asks to wait", async () => {
  const moments = [];
  const route = serve((request, response, times) => {
    moments.push(Date.now());
    head(response);
    if (times === 1) return response.end(Buffer.concat([start(5), Buffer.from("retry: 80\n\n")]));
    response.end(body(position(request)));
  });
  assert.equal((await follow(route.url, QUICK).done).ending, "complete");
  assert.ok(moments[1] - moments[0] >= 75);
});

test("stop is a request of its own, and the rest still comes", async () => {
  let waiting;
  const route = serve((_, response) => {
    head(response).write(start(9));
    waiting = response;
  });
  const stop = serve((request, response) => {
    response.writeHead(200, { "Content-Type": "application/json" }).end('{"state": "stopped"}');
    waiting.end(Buffer.concat([sse({ type: "stopped", reason: "enough" }, 10), sse({ type: "end", ending: "stopped" }, 11)]));
  });
  const answer = follow(route.url, { stop: stop.url });
  await until(() => answer.position > 5);
  assert.deepEqual(await answer.stop(), { state: "stopped" });
  const { ending } = await answer.done;
  assert.deepEqual([ending, answer.stopReason, stop.requests[0].method], ["stopped", "enough", "POST"]);

  const plain = serve((_, response) => head(response).write(sse(EVENTS[0])));
  // Nothing has a position: it is in no journal.
  const other = follow(plain.url);
  await until(() => other.message.model);
  await other.stop();
  assert.equal((await other.done).ending, "stopped");
});

test("an answer that is stopped before the POST that starts it is answered is stopped once it has an address", async () => {
  const stop = { requests: [], answer: (_, response) => response.end('{"state": "stopped"}') };
  let begin;
  const answered = new Promise(resolve => (begin = resolve));
  const route = serve(async (_, response) => {
    await answered;
    head(response, 200, { Location: "/begun", "X-Answer-Id": "a" }).write(start(3));
  });
  routes.set("/begun/stop", stop);
  const answer = follow(route.url, { ...QUICK, method: "POST", body: "{}" });
  await until(() => route.requests.length);
  const stopped = answer.stop();
  await new Promise(resolve => setTimeout(resolve, 20));
  assert.equal(stop.requests.length, 0);
  begin();
  assert.deepEqual([await stopped, stop.requests.length, answer.ended], [{ state: "stopped" }, 1, false]);
  answer.close();

  // One without a journal ends as its connection does, and one that is refused is not asked for again.
  const plain = serve((_, response) => void setTimeout(() => head(response).write(sse(EVENTS[0])), 20));
  const other = follow(plain.url, { method: "POST", body: "{}" });
  assert.equal(await other.stop(), null);
  assert.equal((await other.done).ending, "stopped");
  const refused = follow(serve((_, response) => void setTimeout(() => response.writeHead(502).end("{}"), 20)).url, { method: "POST" });
  assert.equal(await refused.stop(), null);
  assert.equal((await refused.done).ending, "stopped");
});

test("an answer is stopped beside its own address, also before anything of it has come", async () => {
  for (const status of [200, 404]) {
    const route = serve((_, response) => head(response).flushHeaders());
    const stop = { requests: [], answer: (_, response) => response.writeHead(status).end('{"state": "stopped"}') };
    routes.set(`${new URL(route.url).pathname}/stop`, stop);
    const answer = follow(route.url);
    await until(() => answer.state === "open");
    const said = await answer.stop();

    assert.equal(stop.requests.length, 1);
    // Where nothing is there to be stopped, it is in no journal, and ends as the connection does.
    assert.deepEqual([said, answer.ended], status === 200 ? [{ state: "stopped" }, false] : [null, true]);
    answer.close();
  }
});

test("an answer whose address ends with a slash is stopped at the same place", async () => {
  const route = serve((_, response) => head(response).flushHeaders());
  const path = new URL(route.url).pathname;
  const stop = { requests: [], answer: (_, response) => response.end('{"state": "stopped"}') };
  routes.set(`${path}/`, route).set(`${path}/stop`, stop);
  const answer = follow(`${route.url}/`);
  await until(() => answer.state === "open");

  assert.deepEqual(await answer.stop(), { state: "stopped" });
  answer.close();
});

test("what is no event ends the answer with an error, and what had come stays", async () => {
  for (const data of ["null", "5", "[]", '"x"', "{}", '{"type": 1}', "{"]) {
    const route = serve((_, response) => head(response).end(Buffer.concat([start(6), Buffer.from(`data: ${data}\n\n`), body(6)])));
    const { ending, error, text } = await follow(route.url, QUICK).done;

    assert.deepEqual([ending, error.kind, text], ["failed", "protocol", "Grüße, 🌧\ud83c"], data);
    assert.match(error.message, /no event|JSON/);
  }
});

test("a connection whose answer has ended is used again, and hung up where it does not end", async () => {
  const sockets = new Set();
  const route = serve((request, response, times) => {
    sockets.add(request.socket);
    head(response).write(body());
    if (times < 3) setTimeout(() => response.end(), 20);
  });
  for (let times = 0; times < 2; times++) {
    assert.equal((await follow(route.url).done).ending, "complete");
    await new Promise(resolve => setTimeout(resolve, 60));
  }
  assert.equal(sockets.size, 1);
  assert.equal((await follow(route.url).done).ending, "complete");
  const begun = Date.now();
  await new Promise(resolve => route.requests[2].socket.on("close", resolve));
  assert.ok(Date.now() - begun < 5_000);
});

test("an error is the end, with what had come", async () => {
  const failed = { type: "error", error: "ProviderError", kind: "provider", message: "overloaded", retryable: true, ending: "truncated" };
  const route = serve((_, response) => head(response).end(Buffer.concat([body(0, EVENTS.slice(0, 6)), sse(failed, 7)])));
  const { ending, error, text } = await follow(route.url).done;

  assert.deepEqual([ending, error.error, error.retryable, text], ["truncated", "ProviderError", true, "Grüße, 🌧\ud83c"]);
});

test("what begins again, other choices and steps have messages of their own", async () => {
  const events = [
    { type: "text_delta", text: "One" },
    { type: "text_delta", text: "other", choice: 1 },
    { type: "step_start", id: "1", name: "search", agent: "a" },
    { type: "text_delta", text: "found", step: "1" },
    { type: "restarted", step: "1" },
    { type: "text_delta", text: "sought", step: "1" },
    { type: "step_delta", id: "2", text: "1 passed", step: "2" },
    { type: "step_update", id: "2", data: { type: "plan", entries: [] }, step: "2" },
    { type: "step_waiting", id: "r", request: { command: "ls" }, step: "2" },
    { type: "tool_result", id: "c", output: { n: 1 }, step: "2" },
    { type: "step_done", id: "1", state: "failed", error: "E" },
    { type: "restarted" },
    { type: "text_delta", text: "Two" },
    { type: "part_start", part: 3, content: { kind: "server_tool_call", id: "s", name: "web" } },
    { type: "part_delta", part: 3, fragment: "{}" },
    { type: "citation_added", part: 4, citation: { url: "https://example.com" } },
    { type: "media_delta", part: 5, data: "AQID", transcript: "hi" },
    { type: "part_done", part: 5 },
    { type: "refusal_delta", part: 6, text: "No" },
    { type: "of another version" },
    END,
  ];
  const answer = follow(serve((_, response) => head(response).end(body(0, events))).url);
  const message = await answer.done;

  assert.deepEqual(answer.messages.map(({ choice, step, text }) => [choice, step, text]), [[0, "1", "sought"], [0, null, "Two"]]);
  assert.deepEqual([answer.discarded.text, message.text, message.refusal], ["One", "Two", "No"]);
  assert.deepEqual(answer.steps.get("1").error, "E");
  const news = [];
  for await (const { type, text, data, request } of answer) if (/^step_[duw]/.test(type)) news.push(text ?? data?.type ?? request);
  assert.deepEqual(news.slice(0, 3), ["1 passed", "plan", { command: "ls" }]);
  const [, search, citation, media] = message.parts;
  assert.deepEqual([search.name, search.arguments_text, citation.kind], ["web", "{}", "citation"]);
  assert.deepEqual([media.chunks, media.transcript, media.complete], [[new Uint8Array([1, 2, 3])], "hi", true]);
});

/** The events of an agent whose tool asks for a permission, prints, and returns. */
const AGENT = [
  { type: "step_start", id: "1", name: "answer", step: "1" },
  { type: "text_delta", text: "Let me look. ", step: "1" },
  { type: "part_done", step: "1" },
  { type: "tool_call_start", part: 1, id: "c", name: "remove", step: "1" },
  { type: "tool_call_done", part: 1, call: { kind: "tool_call", id: "c", name: "remove", arguments_text: "{}", complete: true }, step: "1" },
  { type: "finish", reason: "tool_calls", step: "1" },
  { type: "step_start", id: "2", name: "remove", parent: "1", cause: { kind: "tool_call", id: "c", name: "remove" }, step: "2" },
  { type: "step_waiting", id: "r", request: { command: "rm -r build" }, step: "2" },
  { type: "step_waiting", id: "r", request: { command: "rm -r build" }, answered: true, step: "2" },
  { type: "step_delta", id: "2", text: "removed ", step: "2" },
  { type: "step_delta", id: "2", text: "build", step: "2" },
  { type: "step_update", id: "2", data: { type: "progress", progress: 1 }, step: "2" },
  { type: "step_update", id: "2", data: { type: "progress", progress: 2 }, step: "2" },
  { type: "tool_progress", id: "c", name: "remove", output: "1 of 3", step: "2" },
  { type: "tool_progress", id: "c", name: "remove", step: "2" },
  { type: "tool_progress", id: "another", output: 1, step: "2" },
  { type: "tool_result", id: "c", output: { files: 3 }, step: "2" },
  { type: "step_done", id: "2", step: "2" },
  { type: "step_done", id: "1", step: "1" },
  END,
];

test("a call has the requests of its step and its result, and the step what it printed", async () => {
  const seen = [];
  const route = serve((request, response, times) => {
    const rest = body(position(request), AGENT);
    head(response).end(times === 1 ? rest.subarray(0, rest.length - body(8, AGENT).length) : rest);
  });
  const answer = follow(route.url, { ...QUICK, onEvent: ({ type }) => {
    if (!/step_waiting|tool_result/.test(type)) return;
    const [call] = answer.messages.find(message => message.step === "1").toolCalls;
    seen.push([answer.waiting.map(({ id, step }) => [id, step]), call.requests[0].answered, call.result]);
  } });
  await answer.done;

  const result = { output: { files: 3 }, error: null, provider_executed: false };
  assert.deepEqual(seen, [[[["r", "2"]], false, undefined], [[], true, undefined], [[], true, result]]);
  const step = answer.steps.get("2");
  assert.deepEqual([step.state, step.output, step.updates], ["done", "removed build", { progress: { type: "progress", progress: 2 } }]);
  assert.deepEqual([step.requests, step.cause.result], [[{ id: "r", request: { command: "rm -r build" }, answered: true, step: "2" }], result]);
  assert.deepEqual(step.cause.progress, ["1 of 3", null]);
  assert.equal(answer.connections, 2);
});

test("a call has the last thousand values that its tool has shown", async () => {
  const call = { type: "tool_call_done", call: { id: "c", name: "f", arguments_text: "{}" } };
  const shown = Array.from({ length: 1_500 }, (_, output) => ({ type: "tool_progress", id: "c", output }));
  const message = await follow(serve((_, response) => head(response).end(body(0, [call, ...shown, END]))).url).done;

  assert.deepEqual(message.toolCalls[0].progress, shown.slice(500).map(({ output }) => output));
});

test("results are at the calls that they belong to, wherever a run has them", async () => {
  const call = (id, more) => ({ type: "tool_call_done", call: { id, name: "f", arguments_text: "{}" }, ...more });
  const result = (id, output, more) => ({ type: "tool_result", id, output, ...more });
  const events = [
    // Outside a run; failed; of another choice; of a call that nobody knows.
    call("a", { part: 0 }), call("b", { part: 1 }), call("c", { choice: 1 }),
    result("b", undefined, { error: "TimeoutError" }), result("a", 1), result("c", 2), result("none", 3),
    // Two agents: a tool has run in a step, and another one could not be run.
    { type: "step_start", id: "1", name: "one" }, call("d", { step: "1" }),
    { type: "step_start", id: "2", name: "two" }, call("d-2", { step: "2" }),
    { type: "step_start", id: "3", name: "f", parent: "1", cause: { id: "d" } }, result("d", "first", { step: "3" }),
    result("d-2", undefined, { error: "there is no such tool", step: "2" }),
    // A call that only its step names, as with the tools of coding agents.
    { type: "step_start", id: "4", name: "Bash", cause: { id: "x" } }, result("x", "ok", { step: "4", provider_executed: true }),
    // A step that has ended, and one that never began.
    { type: "step_start", id: "5", name: "f" },
    { type: "step_waiting", id: "r", request: {}, step: "none" }, { type: "step_delta", id: "none", text: "a" }, { type: "step_done", id: "none" },
    { type: "step_waiting", id: "q", request: {}, step: "5" }, { type: "step_done", id: "5", state: "stopped" },
    END,
  ];
  const answer = follow(serve((_, response) => head(response).end(body(0, events))).url);
  await answer.done;
  const found = answer.messages.flatMap(({ toolCalls }) => toolCalls.map(({ result }) => result.error ?? result.output));

  assert.deepEqual(found, [1, "TimeoutError", 2, "first", "there is no such tool"]);
  assert.deepEqual(answer.steps.get("4").cause.result, { output: "ok", error: null, provider_executed: true });
  assert.deepEqual([[...answer.steps.keys()], answer.waiting], [["1", "2", "3", "4", "5"], []]);
});

test("a call that was cut is left out where the answer goes on", async () => {
  const call = { id: "c2", name: "look", arguments_text: "{}", complete: true };
  const events = [
    { type: "text_delta", text: "I look. " },
    { type: "tool_call_start", id: "c1", name: "look", part: 1 },
    { type: "tool_call_delta", id: "c1", fragment: '{"a', part: 1 },
    { type: "resumed", mode: "continue", text_at: 0, discarded: [{ id: "c1", name: "look", arguments_text: '{"a' }] },
    { type: "tool_call_start", id: "c2", name: "look", part: 1 },
    { type: "tool_call_delta", id: "c2", fragment: "{}", part: 1 },
    { type: "tool_call_done", call, part: 1 },
    END,
  ];
  const answer = follow(serve((_, response) => head(response).end(body(0, events))).url);
  const message = await answer.done;
  assert.deepEqual([message.text, message.toolCalls.map(({ id, arguments_text }) => [id, arguments_text])], ["I look. ", [["c2", "{}"]]]);
  assert.deepEqual([...message.calls.keys()], ["c2"]);
});

test("choices begin anew as well if their answer does", async () => {
  const events = [
    { type: "text_delta", text: "a" }, { type: "text_delta", text: "b", choice: 1 }, { type: "restarted" },
    { type: "text_delta", text: "c" }, { type: "text_delta", text: "d", choice: 1 }, END,
  ];
  const answer = follow(serve((_, response) => head(response).end(body(0, events))).url);
  await answer.done;
  assert.deepEqual(answer.messages.map(({ choice, text }) => [choice, text]), [[0, "c"], [1, "d"]]);
});

test("an answer that goes on after its tools is one message", async () => {
  const events = [
    { type: "message_start", model: "m" },
    { type: "text_delta", text: "Let me see. " },
    { type: "part_done" },
    { type: "finish", reason: "tool_calls" },
    { type: "message_start", model: "m", another: true },
    { type: "text_delta", part: 1, text: "It is cold." },
  ];
  for (const [last, reason] of [[{ type: "finish", reason: "stop" }, "stop"], [END, null]]) {
    const answer = follow(serve((_, response) => head(response).end(body(0, [...events, last, END]))).url);
    const message = await answer.done;

    assert.deepEqual([answer.messages.length, message.text, message.finish_reason], [1, "Let me see. It is cold.", reason]);
  }
});

test("a form is what its patches make, over a cut, too", async () => {
  const patches = [
    [{ op: "replace", path: "", value: { name: "Crê" } }],
    [{ op: "append", path: "/name", value: "pes" }, { op: "add", path: "/steps", value: [{ title: "Whi" }] }],
    [{ op: "append", path: "/steps/0/title", value: "sk" }],
  ];
  const events = [...patches.map(patch => ({ type: "patch", patch })), END];
  const route = serve((request, response, times) => {
    head(response);
    const rest = body(position(request), events);
    response.end(times === 1 ? rest.subarray(0, rest.length - 90) : rest);
  });
  const answer = follow(route.url, QUICK);
  await answer.done;
  assert.deepEqual(answer.form, { name: "Crêpes", steps: [{ title: "Whisk" }] });
  assert.equal(answer.connections, 2);

  const wrong = serve((_, response) => head(response).end(body(0, [{ type: "patch", patch: [{ op: "append", path: "/a", value: "" }] }])));
  assert.equal((await follow(wrong.url).done).error.kind, "protocol");
});

test("patches follow RFC 6902, appendix A, and no key has a meaning", () => {
  const rows = [
    [{ foo: "bar" }, [{ op: "add", path: "/baz", value: "qux" }], { baz: "qux", foo: "bar" }],
    [{ foo: ["bar", "baz"] }, [{ op: "add", path: "/foo/1", value: "qux" }], { foo: ["bar", "qux", "baz"] }],
    [{ baz: "qux", foo: "bar" }, [{ op: "remove", path: "/baz" }], { foo: "bar" }],
    [{ foo: ["bar", "qux", "baz"] }, [{ op: "remove", path: "/foo/1" }], { foo: ["bar", "baz"] }],
    [{ baz: "qux", foo: "bar" }, [{ op: "replace", path: "/baz", value: "boo" }], { baz: "boo", foo: "bar" }],
    [{ foo: { bar: "baz", waldo: "fred" }, qux: { corge: "grault" } }, [{ op: "move", from: "/foo/waldo", path: "/qux/thud" }], { foo: { bar: "baz" }, qux: { corge: "grault", thud: "fred" } }],
    [{ foo: ["all", "grass", "cows", "eat"] }, [{ op: "move", from: "/foo/1", path: "/foo/3" }], { foo: ["all", "cows", "eat", "grass"] }],
    [{ baz: "qux", foo: ["a", 2, "c"] }, [{ op: "test", path: "/baz", value: "qux" }, { op: "test", path: "/foo/1", value: 2 }], { baz: "qux", foo: ["a", 2, "c"] }],
    [{ baz: "qux" }, [{ op: "test", path: "/baz", value: "bar" }], Error],
    [{ foo: "bar" }, [{ op: "add", path: "/child", value: { grandchild: {} } }], { foo: "bar", child: { grandchild: {} } }],
    [{ foo: "bar" }, [{ op: "add", path: "/baz", value: "qux", xyz: 123 }], { foo: "bar", baz: "qux" }],
    [{ foo: "bar" }, [{ op: "add", path: "/baz/bat", value: "qux" }], Error],
    [{ "/": 9, "~1": 10 }, [{ op: "test", path: "/~01", value: 10 }], { "/": 9, "~1": 10 }],
    [{ "/": 9, "~1": 10 }, [{ op: "test", path: "/~01", value: "10" }], Error],
    [{ foo: ["bar"] }, [{ op: "add", path: "/foo/-", value: ["abc", "def"] }], { foo: ["bar", ["abc", "def"]] }],
    // Beside the appendix.
    [{ a: [{ b: 1 }] }, [{ op: "copy", from: "/a/0", path: "/a/-" }, { op: "replace", path: "/a/0/b", value: 2 }], { a: [{ b: 2 }, { b: 1 }] }],
    [undefined, [{ op: "replace", path: "", value: [] }, { op: "add", path: "/0", value: 1 }], [1]],
    [[1], [{ op: "add", path: "/2", value: 1 }], Error],
    [[1], [{ op: "add", path: "/length", value: 9 }], Error],
    [[1], [{ op: "replace", path: "/1", value: 1 }], Error],
    [{ a: "b" }, [{ op: "append", path: "/a", value: "c" }], { a: "bc" }],
    [{}, [{ op: "append", path: "/a", value: "c" }], Error],
    [{}, [{ op: "remove", path: "/toString" }], Error],
    [{}, [{ op: "add", path: "/__proto__/polluted", value: 1 }], Error],
    [{}, [{ op: "add", path: "/constructor/prototype/polluted", value: 1 }], Error],
    [{ a: {} }, [{ op: "move", from: "/a", path: "/a/b" }], Error],
    [{}, [{ op: "no", path: "" }], Error],
  ];
  for (const [document, patch, expected] of rows) {
    if (expected === Error) assert.throws(() => applyPatch(document, patch), JSON.stringify(patch));
    else assert.deepEqual(applyPatch(document, patch), expected);
  }
  const own = applyPatch({}, [{ op: "add", path: "/__proto__", value: { polluted: 1 } }]);
  assert.equal(JSON.stringify(own), '{"__proto__":{"polluted":1}}');
  assert.equal({}.polluted, undefined);
});

test("what no request can be made of is told at once", () => {
  assert.throws(() => follow("http://["));
  assert.throws(() => follow(base, { headers: { "no header": "x" } }));
});

test("a listener that fails stops nothing", async () => {
  const thrown = [];
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", error => thrown.push(error.message));
  const answer = follow(serve((_, response) => head(response).end(body())).url);
  const leave = answer.subscribe(() => {
    throw new Error("mine");
  });
  await until(() => thrown.length);
  leave();
  whole({ message: await answer.done, state: answer.state });
  process.removeAllListeners("uncaughtException");
  listeners.forEach(listener => process.on("uncaughtException", listener));
  assert.equal(thrown[0], "mine");
});

test("a signal stops following, for the caller that has passed it", async () => {
  let hungUp = false;
  const route = serve((request, response) => {
    head(response).write(start(6));
    request.socket.on("close", () => (hungUp = true));
  });
  const [one, other] = [new AbortController(), new AbortController()];
  const answer = follow(route.url, { signal: one.signal });
  assert.equal(follow(route.url, { signal: other.signal }), answer);
  await until(() => answer.position > 5);
  one.abort();
  assert.equal(answer.state, "open");
  other.abort();
  assert.deepEqual([answer.state, (await answer.done).ending, answer.message.error], ["ended", "streaming", null]);
  await until(() => hungUp);
  assert.equal(route.requests.length, 1);

  const never = serve(() => assert.fail("it was asked for"));
  assert.equal(follow(never.url, { signal: AbortSignal.abort() }).state, "ended");
});

test("onEvent is called with each event once, over cuts, and with those that a second call has missed", async () => {
  const route = serve((request, response, times) => head(response).end(times === 1 ? start(6) : body(position(request))));
  const [first, second, thrown] = [[], [], []];
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", error => thrown.push(error.message));
  const answer = follow(route.url, { ...QUICK, onEvent: event => first.push(event) });
  await until(() => answer.position >= 6);
  follow(route.url, { onEvent: event => second.push(event) });
  follow(route.url, { onEvent() { throw new Error("mine"); } });
  await answer.done;
  await new Promise(resolve => setTimeout(resolve, 5));
  process.removeAllListeners("uncaughtException");
  listeners.forEach(listener => process.on("uncaughtException", listener));

  assert.deepEqual(bare(first), EVENTS);
  assert.deepEqual(bare(second), EVENTS);
  assert.equal(thrown.length, EVENTS.length);
});

test("a fetch of the caller's makes every request, and gets nothing but what fetch takes", async () => {
  const route = serve((request, response, times) => head(response).end(times === 1 ? start(6) : body(position(request))));
  routes.set(`${new URL(route.url).pathname}/stop`, { requests: [], answer: (_, response) => response.end('{"state": "ended"}') });
  const asked = [];
  const own = (url, init) => (asked.push([url, Object.keys(init).sort()]), fetch(url, init));
  const answer = follow(route.url, { ...QUICK, fetch: own, credentials: "include", onEvent() {}, keep: 5, silence: Infinity });
  whole({ message: await answer.done, state: answer.state });
  await answer.stop();

  const keys = ["cache", "credentials", "headers", "signal"];
  assert.deepEqual(asked, [[route.url, keys], [route.url, keys], [`${route.url}/stop`, ["credentials", "headers", "method"]]]);
});
