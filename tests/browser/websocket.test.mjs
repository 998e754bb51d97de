// `followSocket` by itself, in Node, over a socket that the test holds the other end of.
import assert from "node:assert/strict";
import { test } from "node:test";

const { followSocket } = await import(new URL("../../tokenstream/relay/browser/websocket.js", import.meta.url));

class Socket extends EventTarget {
  readyState = 1;
  sent = [];
  send(data) {
    this.sent.push(JSON.parse(data));
  }
  close() {
    this.readyState = 3;
  }
  give(...events) {
    for (const event of events) this.dispatchEvent(Object.assign(new Event("message"), { data: typeof event === "string" ? event : JSON.stringify(event) }));
  }
  break(code, reason = "") {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
  }
}
const END = { type: "end", ending: "complete" };

test("answers come one after the other over one socket", async () => {
  const socket = new Socket();
  for (const word of ["one", "two"]) {
    const heard = [];
    const answer = followSocket(socket, { ask: { question: word }, onEvent: event => heard.push([event.type, event.position, event.replayed]) });
    socket.give('{"type":"ping"}', { type: "text_delta", text: word, at: 1 }, { type: "finish", reason: "stop", at: 2 }, END);
    const message = await answer.done;

    assert.deepEqual([message.text, message.ending, message.error, answer.state], [word, "complete", null, "ended"]);
    assert.deepEqual(heard, [["text_delta", 1, false], ["finish", 2, false]]);
  }
  assert.deepEqual([socket.sent, socket.readyState], [[{ question: "one" }, { question: "two" }], 1]);
});

test("a question waits until the socket is open", async () => {
  const socket = new Socket();
  socket.readyState = 0;
  const answer = followSocket(socket, { ask: "Why?" });
  assert.deepEqual([answer.state, socket.sent], ["connecting", []]);
  socket.readyState = 1;
  socket.dispatchEvent(new Event("open"));
  assert.deepEqual([answer.state, socket.sent], ["open", ["Why?"]]);
  socket.give(END);
  assert.equal((await answer.done).ending, "complete");
});

test("stop is a message, after which the rest still comes; one that comes too late is not sent", async () => {
  const socket = new Socket();
  const answer = followSocket(socket);
  await answer.stop();
  socket.give({ type: "text_delta", text: "rest" }, { type: "stopped", reason: "enough" }, { type: "end", ending: "stopped" });
  const { ending, text } = await answer.done;
  await answer.stop();

  assert.deepEqual([ending, text, answer.stopReason], ["stopped", "rest", "enough"]);
  assert.deepEqual([socket.sent, socket.readyState], [[{ type: "stop" }], 1]);
});

test("closing before the end closes the socket: the rest would be taken for the next answer", async () => {
  const closed = new Socket();
  followSocket(closed).close();
  const aborted = new Socket();
  const controller = new AbortController();
  const answer = followSocket(aborted, { signal: controller.signal });
  controller.abort();

  assert.deepEqual([closed.readyState, aborted.readyState, (await answer.done).ending], [3, 3, "streaming"]);
});

test("an answer whose socket is lost is truncated, and what had come stays", async () => {
  const lost = new Socket();
  const answer = followSocket(lost);
  lost.give({ type: "text_delta", text: "half" });
  lost.break(1012, "the server is being restarted");
  const { ending, error, text } = await answer.done;
  assert.deepEqual([ending, error.error, error.kind, error.retryable, text], ["truncated", "StreamInterrupted", "network", true, "half"]);
  assert.match(error.message, /1012: the server is being restarted/);

  const gone = new Socket();
  gone.break(1006);
  assert.equal((await followSocket(gone).done).ending, "truncated");
  const silent = new Socket();
  assert.match((await followSocket(silent, { silence: 0.02 }).done).error.message, /nothing came for 0.02 s/);
  assert.equal(silent.readyState, 3);
});

test("what is no event ends the answer and the socket", async () => {
  for (const data of ["null", "{", "{}", new ArrayBuffer(2)]) {
    const socket = new Socket();
    const answer = followSocket(socket);
    socket.dispatchEvent(Object.assign(new Event("message"), { data }));
    const { ending, error } = await answer.done;
    assert.deepEqual([ending, error.kind, socket.readyState], ["failed", "protocol", 3]);
  }
});

test("a socket has one follower at a time: the next one is refused until the answer has ended", async () => {
  const socket = new Socket();
  const first = followSocket(socket, { ask: "one" });
  assert.throws(() => followSocket(socket, { ask: "two" }), /wait for `done`/);
  socket.give({ type: "text_delta", text: "1" }, END);
  assert.equal((await first.done).text, "1");
  const second = followSocket(socket, { ask: "three" });
  socket.give({ type: "text_delta", text: "3" }, END);

  assert.equal((await second.done).text, "3");
  assert.deepEqual([socket.sent, socket.readyState], [["one", "three"], 1]);
  // Another socket is another conversation.
  followSocket(new Socket());
  followSocket(new Socket());
});

const opening = () => Object.assign(new Socket(), { readyState: 0 });
const open = socket => {
  socket.readyState = 1;
  socket.dispatchEvent(new Event("open"));
};

test("a question that is stopped or left before the socket is open is not asked, and the socket stays", async () => {
  for (const leave of [answer => answer.stop(), answer => answer.close(), answer => answer.controller.abort()]) {
    const socket = opening();
    const controller = new AbortController();
    const answer = Object.assign(followSocket(socket, { ask: "never", signal: controller.signal }), { controller });
    await leave(answer);
    assert.deepEqual([answer.state, socket.readyState], ["ended", 0]);
    assert.equal((await answer.done).text, "");
    const next = followSocket(socket, { ask: "next" });
    open(socket);
    socket.give({ type: "text_delta", text: "yes" }, END);

    assert.deepEqual([(await next.done).text, socket.sent], ["yes", ["next"]]);
  }
  const socket = opening();
  const answer = followSocket(socket, { ask: "never" });
  await answer.stop();
  assert.equal((await answer.done).ending, "stopped");

  const late = new Socket();
  assert.equal(followSocket(late, { ask: "never", signal: AbortSignal.abort() }).state, "ended");
  assert.deepEqual([late.sent, late.readyState], [[], 1]);
});

test("a stop before the socket is open is sent once it is, if the server answers without a question", async () => {
  const socket = opening();
  const answer = followSocket(socket);
  assert.equal(await answer.stop(), null);
  assert.equal(answer.ended, false);
  open(socket);
  assert.deepEqual(socket.sent, [{ type: "stop" }]);
  socket.give({ type: "stopped", reason: "enough" }, { type: "end", ending: "stopped" });

  assert.deepEqual([(await answer.done).ending, socket.readyState], ["stopped", 1]);
});

test("a question that is no JSON is refused at once, and nothing is followed", () => {
  const socket = new Socket();
  assert.throws(() => followSocket(socket, { ask: 1n }), TypeError);
  followSocket(socket, { ask: 1 });
  assert.deepEqual(socket.sent, [1]);
});

test("a limit of silence may be longer than any timer", async () => {
  const socket = new Socket();
  const answer = followSocket(socket, { silence: 1e9 });
  await new Promise(resolve => setTimeout(resolve, 20));
  assert.equal(answer.state, "open");
  answer.close();
});
