// The parser of server-sent events, in Node: the cases beside the checkout, and npm's eventsource-parser.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { chunkings, read, wrongCases } from "./sse_cases.mjs";

const { Frames } = await import(new URL("../../tokenstream/relay/browser/sse.js", import.meta.url));
const CASES = new URL("../../../shared/cases/sse_cases.json", import.meta.url);

test("every case is read as the standard says, at every chunking", { skip: !existsSync(CASES) }, () => {
  const { cases } = JSON.parse(readFileSync(CASES, "utf8"));

  assert.ok(cases.length >= 195);
  assert.deepEqual(wrongCases(Frames, cases), []);
});

test("an event without an id has none of its own, and the last id stays", () => {
  const frames = new Frames();
  const [one, two] = frames.feed(Buffer.from("id: 7\ndata: a\n\ndata: b\n\n"));

  assert.deepEqual([one.id, one.own, two.id, two.own], ["7", true, "7", false]);
});

test("an event of more than 16 million characters ends the reading, of however many lines it is", () => {
  for (const line of ["data: " + "a".repeat(1000) + "\n", "a".repeat(1000), "data\n".repeat(200)]) {
    const frames = new Frames();
    const piece = Buffer.from(line);
    assert.throws(() => {
      for (let sent = 0; sent < 2 ** 27; sent += piece.length) frames.feed(piece);
    }, /an event is too long/);
  }
});

test("time grows with the length of a line, not with its square, whatever the pieces", () => {
  const seconds = length => {
    const frames = new Frames();
    const piece = Buffer.from("a");
    // Of the processor: the machine may be busy.
    const begun = process.cpuUsage();
    frames.feed(Buffer.from("data: "));
    for (let sent = 0; sent < length; sent++) frames.feed(piece);
    assert.equal(frames.feed(Buffer.from("\n\n"))[0].data.length, length);
    return process.cpuUsage(begun).user / 1_000;
  };
  const best = length => Math.min(...[1, 2, 3].map(() => seconds(length)));
  const [few, many] = [best(20_000), best(400_000)];
  // Twenty times as long: quadratic time would be 400 times as much.
  assert.ok(many < 100 * Math.max(few, 2), `${few} and ${many} ms`);
});

/** The standard, in the plainest way: the whole text, line by line. */
const oracle = bytes => {
  const text = new TextDecoder().decode(bytes);
  const lines = text.split(/\r\n|\n|\r/);
  lines.pop();
  let [data, event, id, lastId, retry] = ["", "", "", "", null];
  const events = [];
  for (const line of lines) {
    if (line === "") {
      lastId = id;
      if (data !== "") events.push({ event: event || "message", data: data.slice(0, -1), id: lastId });
      [data, event] = ["", ""];
      continue;
    }
    if (line.startsWith(":")) continue;
    const [, name, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
    if (name === "event") event = value;
    else if (name === "data") data += `${value}\n`;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) retry = Number(value);
  }
  return { events, lastId, retry };
};

const WORDS = ["data: a\n", "id: 1\n", "event: e\n", "retry: 5\n", "data", "event", "id", "retry", ":", ": ", " ", "\n", "\n", "\n\n", "\r", "\r\n", "\ufeff", "\0", "é", "🌧", "1", "07", "-1", "x", "\u2028", "\v", "message"];
/** Texts that the standard's rules are about, made of its words; the same for the same seed. */
const text = seed => {
  let state = seed;
  const next = bound => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) % bound;
  return Buffer.from(Array.from({ length: 2 + next(24) }, () => WORDS[next(WORDS.length)]).join(""));
};
const FUZZES = Number(process.env.TOKENSTREAM_FUZZES ?? 5_000);

test("any text is read as the standard says, however it is cut", () => {
  for (let seed = 0; seed < FUZZES; seed++) {
    const bytes = text(seed);
    const frames = new Frames();
    let count = 0;
    for (let at = 0; at < bytes.length; at++) {
      count += frames.feed(bytes.subarray(at, at + 1)).length;
      // At the first byte of its blank line, without waiting for a LF.
      assert.equal(count, oracle(bytes.subarray(0, at + 1)).events.length, JSON.stringify(String(bytes)));
    }
    for (const pieces of chunkings(bytes, 3, seed)) assert.deepEqual(read(Frames, pieces), oracle(bytes), JSON.stringify(String(bytes)));
  }
});

/** Every way in which eventsource-parser 4 differs, and what the standard (HTML, 9.2.6) says. */
const DIFFERENCES = {
  "an event without an id": "It has the last event id, which stays until an `id` field changes it. The parser gives it none.",
};

test("eventsource-parser differs in what has a name here, and nowhere else", { skip: !process.env.TOKENSTREAM_NODE }, () => {
  const { createParser } = createRequire(`${process.env.TOKENSTREAM_NODE}/`)("eventsource-parser");
  const met = new Set();
  const same = (theirs, ours, words) => {
    assert.deepEqual(theirs.events.map(({ event, data }) => [event || "message", data]), ours.events.map(({ event, data }) => [event, data]), words);
    assert.equal(theirs.retry, ours.retry, words);
    theirs.events.forEach(({ id }, at) => {
      if (id === undefined && ours.events[at].id) met.add("an event without an id");
      else assert.equal(id ?? "", ours.events[at].id, words);
    });
  };
  for (let seed = 0; seed < FUZZES; seed++) {
    const bytes = text(seed);
    const words = JSON.stringify(String(bytes));
    const theirs = { events: [], retry: null };
    const parser = createParser({ onEvent: event => theirs.events.push(event), onRetry: value => (theirs.retry = value) });
    parser.feed(new TextDecoder().decode(bytes));
    same(theirs, read(Frames, [bytes]), words);
  }
  assert.deepEqual([...met].sort(), Object.keys(DIFFERENCES).sort());
});
