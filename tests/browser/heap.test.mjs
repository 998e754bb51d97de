// 100,000 deltas in Node: how much memory they keep, and that time grows with their number. Needs --expose-gc.
import assert from "node:assert/strict";
import { test } from "node:test";

const { follow } = await import(new URL("../../tokenstream/relay/browser/tokenstream.js", import.meta.url));
const { answerStore } = await import(new URL("../../tokenstream/relay/browser/store.js", import.meta.url));

const encoder = new TextEncoder();
/** A `fetch` that sends an answer of so many deltas, made as they are read. */
const sends = deltas => async () => {
  let at = 0;
  const body = new ReadableStream({
    pull(to) {
      let piece = "";
      for (const end = Math.min(at + 50, deltas); at < end; ) piece += `id: ${++at}\ndata: {"type":"text_delta","text":"word ${at} "}\n\n`;
      if (at === deltas) piece += 'data: {"type":"end","ending":"complete"}\n\n';
      to.enqueue(encoder.encode(piece));
      if (at === deltas) to.close();
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
};
const heap = () => {
  gc();
  gc();
  return process.memoryUsage().heapUsed;
};
const read = async (deltas, use = () => {}) => {
  // Of the processor: the machine may be busy.
  const begun = process.cpuUsage();
  const answer = follow("http://localhost/", { fetch: sends(deltas) });
  const used = use(answer);
  assert.equal((await answer.done).ending, "complete");
  await used;
  return [answer, process.cpuUsage(begun).user / 1_000];
};

test("100,000 deltas keep at most 10 MB", { skip: !globalThis.gc }, async () => {
  await read(1_000);
  const before = heap();
  let most = 0;
  const [answer] = await read(100_000, answer => answer.subscribe(() => {
    if (answer.position % 20_000 === 0) most = Math.max(most, heap());
  }));
  const after = heap();

  assert.equal(answer.message.text.split(" ").length, 200_001);
  const used = (Math.max(most, after) - before) / 1e6;
  assert.ok(used <= 10, `${used} MB`);
});

test("time grows with the number of deltas, whoever looks at each of them", async () => {
  const uses = {
    "nobody": () => {},
    "a listener": answer => answer.subscribe(() => answer.message.text.length + answer.message.parts.length),
    "a loop": async answer => {
      let seen = 0;
      for await (const event of answer) seen += event.text.length;
      return seen;
    },
    "a store": answer => {
      const store = answerStore(() => answer);
      store.subscribe(() => store.getSnapshot().text);
    },
  };
  for (const [name, use] of Object.entries(uses)) {
    await read(10_000, use);
    const best = async deltas => Math.min((await read(deltas, use))[1], (await read(deltas, use))[1]);
    const [few, many] = [await best(10_000), await best(100_000)];
    // Ten times as many: quadratic time would be a hundred times as much.
    assert.ok(many < 40 * Math.max(few, 20), `${name}: ${few} and ${many} ms`);
  }
});

test("a loop that begins too late is told, and misses nothing in silence", async () => {
  const few = async answer => {
    const positions = [];
    for await (const { position } of answer) positions.push(position);
    return positions;
  };
  const heard = [];
  const answer = follow("http://localhost/", { fetch: sends(5_000), keep: 100, onEvent: event => heard.push(event.position) });
  const early = few(answer);
  await answer.done;

  assert.equal((await early).length, 5_000);
  assert.equal(heard.length, 5_000);
  await assert.rejects(few(answer), /no longer kept/);
});
