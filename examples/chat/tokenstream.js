// @ts-check
/**
 * Follows an answer sent by a tokenstream relay, across cuts, reloads and sleeping phones.
 *
 *     const answer = follow("/api/answers/7Jx…");
 *     answer.subscribe(() => show(answer.message.text));
 *     await answer.done;
 *
 * No build step, no dependencies: copy the file. Runs in browsers and in Node 20.
 */

/**
 * @typedef {object} Part A part of a message, with the keys of docs/protocol.md.
 * @property {string} kind "text", "reasoning", "refusal", "tool_call", "citation", "media", …
 * @property {boolean} complete True once the part no longer changes.
 * @property {string} [text] Text, reasoning, refusal: the text so far.
 * @property {string} [id] Tool call: its id.
 * @property {string} [name] Tool call: the tool's name.
 * @property {string} [arguments_text] Tool call: its JSON so far.
 * @property {any} [arguments] Complete tool call: the parsed arguments.
 * @property {Uint8Array[]} [chunks] Media: its bytes, in pieces.
 * @property {string} [transcript] Media: the spoken words.
 * @property {any} [content] Result of a server tool: its value.
 */
/**
 * @typedef {object} Failure
 * @property {string} error The class of the error, such as "StreamInterrupted".
 * @property {string} kind "network", "protocol", "provider", …
 * @property {string} message A sentence that describes the error.
 * @property {boolean} retryable True if asking again may help.
 * @property {number | null} [retry_after] Seconds to wait before that.
 * @property {number} [status] The HTTP status, if the server answered with an error.
 */
/** @typedef {"streaming" | "complete" | "stopped" | "truncated" | "failed"} Ending */
/**
 * @typedef {Record<string, any> & {type: string, position: number | null, replayed: boolean}} AnswerEvent
 * An event as sent, its position, and whether the journal had it before this page first asked.
 */
/**
 * @typedef {object} Following Options besides those of `fetch`.
 * @property {string | URL} [stop] Address to which a POST stops the answer; by default its own plus "/stop".
 * @property {string} [key] Calls with the same key share one follower; by default the address of a GET.
 * @property {boolean} [fresh] True if the page has just started the answer: no event counts as replayed.
 * @property {number} [after] The position after which to begin; 0 is the start.
 * @property {number} [attempts] Most attempts in a row without an event; 10 by default.
 * @property {number} [wait] Seconds before the second attempt, doubled for each more; 0.5 by default.
 * @property {number} [longest] The longest such wait, in seconds; 10 by default.
 * @property {number} [silence] Seconds without a byte after which the connection is dead; 35 by default.
 * @property {() => HeadersInit | Promise<HeadersInit>} [authorize] Makes further headers for each attempt.
 */

const LONGEST_EVENT = 2 ** 24;
const LONGEST_WAIT = 300;
const AGAIN = [408, 425, 429, 500, 502, 503, 504];
/** @type {Map<string, Answer>} */
const followed = new Map();

/**
 * Follow an answer; a second call for the same answer joins the first.
 *
 * @param {string | URL} url
 * @param {Omit<RequestInit, "signal"> & Following} [options]
 * @returns {Answer}
 */
export function follow(url, options = {}) {
  const get = (options.method ?? "GET").toUpperCase() === "GET";
  const key = options.key ?? (get ? new Request(absolute(url)).url : null);
  const known = key === null ? undefined : followed.get(key);
  if (known) return known.join();
  const answer = new Answer(absolute(url), options);
  if (key !== null) followed.set(key, answer);
  return answer;
}

/** A message of an answer, as far as it has arrived. */
export class Message {
  /** @type {Map<number, Part>} */
  #parts = new Map();
  /** @type {string | null} */ model = null;
  role = "assistant";
  /** @type {Record<string, any> | null} */ usage = null;
  /** @type {string | null} */ finish_reason = null;
  /** @type {Ending} */ ending = "streaming";
  /** @type {Failure | null} */ error = null;

  /** @param {number} choice @param {string | null} step */
  constructor(choice = 0, step = null) {
    this.choice = choice;
    /** The id of its step in a run. */
    this.step = step;
  }

  get parts() {
    return [...this.#parts.values()];
  }
  get text() {
    return this.#joined("text");
  }
  get reasoning() {
    return this.#joined("reasoning");
  }
  get refusal() {
    return this.#joined("refusal");
  }
  get toolCalls() {
    return this.parts.filter(part => part.kind === "tool_call");
  }

  /** @param {string} kind */
  #joined(kind) {
    return this.parts.map(part => (part.kind === kind ? part.text : "")).join("");
  }

  /** @param {Record<string, any>} event @param {Record<string, any>} start @returns {Record<string, any>} */
  #part(event, start) {
    const at = event.part ?? 0;
    let part = this.#parts.get(at);
    if (!part) this.#parts.set(at, (part = /** @type {Part} */ ({ complete: false, ...start })));
    return part;
  }

  /** @param {Record<string, any>} event */
  take(event) {
    switch (event.type) {
      case "message_start":
        this.model = event.model ?? this.model;
        this.role = event.role ?? this.role;
        break;
      case "text_delta":
      case "reasoning_delta":
      case "refusal_delta":
        this.#part(event, { kind: event.type.slice(0, -"_delta".length), text: "" }).text += event.text ?? "";
        break;
      case "tool_call_start":
        this.#part(event, { kind: "tool_call", id: event.id, name: event.name, arguments_text: "" });
        break;
      case "tool_call_delta":
        this.#part(event, { kind: "tool_call", id: event.id, name: "", arguments_text: "" }).arguments_text += event.fragment;
        break;
      case "tool_call_done": {
        const call = this.#part(event, { kind: "tool_call" });
        Object.assign(call, { arguments_text: "" }, event.call, { complete: true });
        try {
          call.arguments = JSON.parse(call.arguments_text || "{}");
        } catch {
          // The input of a custom tool is free text.
        }
        break;
      }
      case "part_start": {
        const part = this.#part(event, {});
        Object.assign(part, event.content);
        if (["text", "reasoning", "refusal"].includes(part.kind)) part.text ??= "";
        break;
      }
      case "part_delta": {
        const part = this.#part(event, { kind: "opaque" });
        part.arguments_text = (part.arguments_text ?? "") + event.fragment;
        break;
      }
      case "part_done": {
        const part = this.#part(event, {});
        Object.assign(part, { complete: true }, event.content);
        break;
      }
      case "citation_added":
        Object.assign(this.#part(event, {}), event.citation, { kind: "citation", complete: true });
        break;
      case "media_delta": {
        const part = this.#part(event, { kind: "media" });
        part.transcript = (part.transcript ?? "") + (event.transcript ?? "");
        if (event.data) (part.chunks ??= []).push(Uint8Array.from(atob(event.data), byte => byte.charCodeAt(0)));
        break;
      }
      case "usage_update":
        this.usage = { ...this.usage, ...event.usage };
        break;
      case "finish":
        this.finish_reason = event.reason;
        break;
    }
  }

  /** @param {Ending} ending @param {Failure | null} error */
  end(ending, error) {
    this.ending = ending;
    this.error = error;
  }
}

/** An answer being followed, as `follow` returns it. */
export class Answer {
  /** @type {string | null} The answer's id in its journal; null until the server has sent it. */
  id = null;
  /** The position of the last event received; 0 before the first. */
  position = 0;
  /** @type {"connecting" | "open" | "waiting" | "ended"} */
  state = "connecting";
  /** The message: the first of several choices; in a run, the one outside all steps. */
  message = new Message();
  /** All messages, one for each choice and for each step of a run, in the order in which they began. */
  messages = [this.message];
  /** @type {Map<string, Record<string, any>>} The steps of a run by id: name, state, parent, agent, error. */
  steps = new Map();
  /** @type {Message | null} The message that was abandoned when the answer restarted. */
  discarded = null;
  /** @type {any} The document built by the patches received; see `applyPatch`. */
  form;
  /** @type {string | null} The reason for which it was stopped. */
  stopReason = null;
  /** Number of connections tried. */
  connections = 0;
  /** @type {Promise<Message>} Resolves with the message once the answer has ended in any way. */
  done;

  #url;
  /** @type {RequestInit & Following} */ #options;
  /** @type {[string, RequestInit & Following] | null} The request that started the answer, until its address has been read. */ #started = null;
  /** True if the header with the answer's id can be read, and so may be sent, too. */ #exposed = false;
  /** True until the first event of a connection has been checked. */ #unchecked = false;
  /** True if the connection must name the answer: it might be a new one. */ #mustName = false;
  #finished;
  /** @type {AnswerEvent[]} */ #events = [];
  #open = new Map([["0 null", this.message]]);
  /** @type {Set<() => void>} */ #listeners = new Set();
  /** @type {AbortController | null} */ #connection = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #watch;
  #users = 1;
  #failures = 0;
  #news = false;
  /** @type {number | null} Last position the journal had when this page first asked; null until known. */ #replayed = null;
  #hurry = false;
  #woken = -Infinity;
  #go = () => {};

  /** @param {string} url @param {RequestInit & Following} options */
  constructor(url, options) {
    new Request(url, options); // Invalid options throw here, instead of looking like a cut later.
    this.#url = url;
    this.#options = options;
    this.position = options.after ?? 0;
    if (options.fresh) this.#replayed = 0;
    /** @type {(message: Message) => void} */
    let finished = () => {};
    this.done = new Promise(resolve => (finished = resolve));
    this.#finished = finished;
    for (const [target, name] of wakers()) target.addEventListener(name, this.#wake);
    this.#run();
  }

  get ended() {
    return this.state === "ended";
  }

  /** Call a function after each change; returns a function that unsubscribes it. @param {() => void} listener */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Yields all events, from the first one received, until the answer has ended. */
  async *[Symbol.asyncIterator]() {
    for (let at = 0; ; at++) {
      while (at === this.#events.length) {
        if (this.ended) return;
        await new Promise(resolve => {
          const leave = this.subscribe(() => resolve(leave()));
        });
      }
      yield this.#events[at];
    }
  }

  /**
   * Stop the answer for all its readers.
   *
   * Resolves with the server's reply. Events already sent still arrive, and then the end.
   * An answer without positions is not in a journal; it ends by closing the connection.
   */
  async stop() {
    const beside = new URL(this.#url);
    beside.pathname = `${beside.pathname.replace(/\/$/, "")}/stop`;
    const address = this.#options.stop ?? (this.#gets && this.#resumable ? beside : null);
    if (address === null) {
      this.#end("stopped", null);
      return null;
    }
    const headers = await this.#headers();
    const { credentials } = this.#options;
    const response = await fetch(absolute(address), { method: "POST", headers, credentials });
    const said = await response.json().catch(() => null);
    if (!response.ok && this.position === 0 && !this.#options.stop && [404, 405].includes(response.status)) {
      // No event has shown yet whether the answer is in a journal; this status shows that it is not.
      this.#end("stopped", null);
      return null;
    }
    if (!response.ok) throw new Error(said?.error?.message ?? `stopping failed with status ${response.status}`);
    return said;
  }

  /** Stop following, once every caller of `follow` has closed it. An answer in a journal goes on. */
  close() {
    this.#users -= 1;
    if (this.#users <= 0 && !this.ended) this.#end(this.message.ending, null);
  }

  /** Count one more user; `follow` calls it. */
  join() {
    this.#users += 1;
    return this;
  }

  get #gets() {
    return (this.#options.method ?? "GET").toUpperCase() === "GET";
  }

  /** True if the request can be repeated without starting another answer. */
  get #resumable() {
    // Without the answer's id, a repeated POST would ask for another answer.
    return (this.position > 0 || this.#events.length === 0) && (this.#gets || this.id !== null);
  }

  /** @param {Event} event */
  #wake = event => {
    // The first `pageshow` comes with loading, when the page has not slept.
    if (event.type === "pageshow" && !(/** @type {PageTransitionEvent} */ (event).persisted)) return;
    // Several of these events come together when a page wakes up; one new connection is enough.
    if (hidden() || this.ended || Date.now() - this.#woken < 100) return;
    this.#woken = Date.now();
    this.#failures = 0;
    this.#go();
    if (!this.#resumable) return;
    this.#hurry = true;
    this.#connection?.abort();
  };

  async #run() {
    const attempts = this.#options.attempts ?? 10;
    const wait = this.#options.wait ?? 0.5;
    const longest = this.#options.longest ?? 10;
    while (!this.ended) {
      // In the background the system may block the network, so failed attempts there mean nothing.
      while (hidden() && this.connections > 0) await this.#pause(null);
      this.#news = this.#hurry = false;
      const asked = Math.min(await this.#connect(), LONGEST_WAIT);
      clearTimeout(this.#watch);
      this.#connection = null;
      if (this.ended) return;
      if (!this.#resumable) return this.#break("the connection broke, and the answer can't be asked for again");
      if (this.#news) this.#failures = 0;
      if (this.#hurry) continue;
      // The first attempt after a cut comes at once, with some jitter, since all readers of a server may be cut together.
      const seconds = this.#news ? Math.min(0.1, wait) : Math.min(longest, wait * 2 ** this.#failures);
      if (!hidden() && globalThis.navigator?.onLine !== false) this.#failures += 1;
      if (this.#failures > attempts) return this.#break(`no connection after ${attempts} attempts`);
      await this.#pause(Math.max(asked, seconds * (0.5 + Math.random() / 2)));
    }
  }

  /** @param {number | null} seconds Longest wait; null waits to be woken. */
  async #pause(seconds) {
    this.#become("waiting");
    /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
    await new Promise(resolve => {
      this.#go = () => resolve(null);
      if (seconds !== null) timer = setTimeout(resolve, seconds * 1000);
    });
    clearTimeout(timer);
    this.#go = () => {};
  }

  async #headers() {
    const headers = new Headers(this.#options.headers);
    new Headers(await this.#options.authorize?.()).forEach((value, name) => headers.set(name, value));
    return headers;
  }

  /** Read one connection to its end; returns the seconds that the server asks to wait. @returns {Promise<number>} */
  async #connect() {
    this.#become("connecting");
    this.connections += 1;
    const { signal } = (this.#connection = new AbortController());
    // The browser may reuse a dead socket for the request. A journal answers at once, so the timeout can be short.
    this.#heard(this.position > 0 ? 2 * 2 ** this.#failures : Infinity);
    let response;
    try {
      const headers = await this.#headers();
      headers.set("Accept", "text/event-stream");
      if (this.position > 0) headers.set("Last-Event-ID", String(this.position));
      if (this.id !== null && (this.#exposed || !this.#gets)) headers.set("X-Answer-Id", encodeURIComponent(this.id));
      response = await fetch(this.#url, { cache: "no-store", ...this.#options, headers, signal });
    } catch {
      // A missing network is a TypeError, whose message differs between browsers.
      return 0;
    }
    if (!response.ok || response.status === 204 || !response.body) return this.#refused(response);
    const type = response.headers.get("Content-Type") ?? "none";
    if (!type.startsWith("text/event-stream")) {
      // A login page, or that of a captive portal.
      this.#fail("protocol", `an event stream was asked for, and ${type} came`);
      return 0;
    }
    const named = response.headers.get("X-Answer-Id");
    this.#exposed ||= named !== null;
    this.#mustName = !this.#gets && this.id !== null && named === null;
    this.#unchecked = true;
    if (named !== null && !this.#isSame(decoded(named))) return 0;
    const posts = !this.#gets;
    const place = response.headers.get("Location");
    this.#started = posts && place !== null ? [this.#url, this.#options] : null;
    if (place !== null) {
      // The POST has started an answer, which now has its own address.
      this.#url = new URL(place, this.#url).href;
      this.#options = { ...this.#options, method: "GET", body: null };
      if (!followed.has(this.#url)) followed.set(this.#url, this);
    }
    this.#become("open");
    this.#heard();
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const frames = new Frames();
    while (!this.ended) {
      let chunk;
      try {
        chunk = await reader.read();
      } catch {
        chunk = { done: true, value: undefined };
      }
      // The answer that this page has started has no replays, even if its first events come over the next connection.
      if (chunk.done && posts) this.#replayed ??= 0;
      // Anything after the last empty line is half an event, and will be sent again.
      if (chunk.done) return (frames.retry ?? 0) / 1000;
      this.#heard();
      try {
        for (const frame of frames.feed(decoder.decode(chunk.value, { stream: true }))) {
          if (this.ended) break;
          this.#frame(frame);
        }
      } catch (error) {
        this.#fail("protocol", /** @type {Error} */ (error).message);
      }
    }
    // A connection read to its end can be reused; if the answer did not end by itself, it was aborted already.
    this.#heard(1);
    try {
      while (!(await reader.read()).done);
    } catch {
      // How it ends no longer matters.
    }
    return 0;
  }

  /** @param {Response} response */
  async #refused(response) {
    const { status } = response;
    if (this.#started !== null && this.id !== null && [404, 405].includes(status)) {
      // Nothing is served at the answer's address: the request that started it continues it, too.
      await response.body?.cancel().catch(() => {});
      followed.delete(this.#url);
      [this.#url, this.#options] = this.#started;
      this.#started = null;
      return 0;
    }
    const wait = Number(response.headers.get("Retry-After")) || 0;
    if (this.#gets && AGAIN.includes(status)) {
      await response.body?.cancel().catch(() => {});
      return wait;
    }
    const said = await response.json().catch(() => null);
    const words = status === 204 ? "there is nothing to follow" : `the server answered with status ${status}`;
    const told = said?.error instanceof Object ? said.error : said;
    this.#fail(told?.kind ?? told?.type ?? "status", told?.message ?? words, { retryable: AGAIN.includes(status), ...told, status, retry_after: wait || null });
    return 0;
  }

  /** Restart the silence timer. @param {number} [seconds] A shorter limit for this wait. */
  #heard(seconds = Infinity) {
    clearTimeout(this.#watch);
    const longest = Math.min(seconds, this.#options.silence ?? 35);
    this.#watch = setTimeout(() => (this.ended || this.#resumable) && this.#connection?.abort(), longest * 1000);
  }

  /** Check the answer's id in the first event of a connection. @param {unknown} answer */
  #isNamed(answer) {
    this.#unchecked = false;
    if (typeof answer === "string") return this.#isSame(answer);
    return !this.#mustName || this.#lose();
  }

  /** Check that a connection continues this answer. @param {string} id */
  #isSame(id) {
    this.id ??= id;
    return this.id === id || this.#lose();
  }

  /** Events of another answer are never joined to this one. */
  #lose() {
    this.#fail("protocol", "the server sent another answer than the one to continue", { error: "PositionLost" }, "truncated");
    return false;
  }

  /** @param {{id: string | null, data: string}} frame */
  #frame({ id, data }) {
    if (data && this.#unchecked && !this.#isNamed(JSON.parse(data)?.answer)) return;
    const position = id !== null && /^[0-9]{1,15}$/.test(id) ? Number(id) : null;
    if (position !== null) {
      if (position <= this.position) return;
      this.position = position;
      // No `live` event has come first, so nothing is replayed.
      this.#replayed ??= 0;
    }
    if (!data) return;
    const event = JSON.parse(data);
    if (typeof event?.type !== "string") throw new Error("what came is no event: it has no type");
    if (event.type === "live") return void (this.#replayed ??= event.at);
    this.#news = true;
    if (event.type === "end") return this.#finish(event.ending, null);
    if (event.type === "error") return this.#finish(event.ending ?? "failed", event);
    this.#take(event);
    this.#events.push({ ...event, position, replayed: position !== null && position <= (this.#replayed ?? 0) });
    this.#changed();
  }

  /** @param {Record<string, any>} event */
  #take(event) {
    switch (event.type) {
      case "restarted": {
        // In a run only one step restarts; the messages of the others stay.
        const step = event.step ?? null;
        this.discarded = this.#messageOf(0, step);
        this.messages = this.messages.filter(message => message.step !== step);
        this.#begin(0, step);
        if (step === null) this.form = undefined;
        break;
      }
      case "stopped":
        this.stopReason = event.reason;
        break;
      case "patch":
        this.form = applyPatch(this.form, event.patch);
        break;
      case "step_start":
        this.steps.set(event.id, { parent: null, agent: null, error: null, ...event, state: "running" });
        break;
      case "step_done":
        this.steps.set(event.id, { ...this.steps.get(event.id), state: "done", error: null, ...event });
        break;
      case "step_delta":
      case "step_update":
      case "step_waiting":
      case "tool_result":
        // These belong to no message; they are among the events.
        break;
      default: {
        const choice = event.choice ?? 0;
        const step = event.step ?? null;
        const message = event.another ? this.#begin(choice, step) : this.#messageOf(choice, step);
        message.take(event);
      }
    }
  }

  /** @param {number} choice @param {string | null} step */
  #messageOf(choice, step) {
    return this.#open.get(`${choice} ${step}`) ?? this.#begin(choice, step);
  }

  /** @param {number} choice @param {string | null} step */
  #begin(choice, step) {
    const message = new Message(choice, step);
    this.messages.push(message);
    this.#open.set(`${choice} ${step}`, message);
    if (choice === 0 && step === null) this.message = message;
    return message;
  }

  /** @param {string} message */
  #break(message) {
    this.#fail("network", message, { error: "StreamInterrupted", retryable: true }, "truncated");
  }

  /** @param {string} kind @param {string} message @param {Partial<Failure>} [more] @param {Ending} [ending] */
  #fail(kind, message, more = {}, ending = "failed") {
    this.#end(ending, { error: "StreamError", retryable: false, ...more, kind, message });
  }

  /** Hang up. @param {Ending} ending @param {Failure | null} error */
  #end(ending, error) {
    this.#finish(ending, error);
    this.#connection?.abort();
  }

  /** @param {Ending} ending @param {Failure | null} error */
  #finish(ending, error) {
    for (const message of this.messages) message.end(ending, error);
    for (const [target, name] of wakers()) target.removeEventListener(name, this.#wake);
    for (const [key, answer] of followed) if (answer === this) followed.delete(key);
    this.#become("ended");
    this.#go();
    this.#finished(this.message);
  }

  /** @param {Answer["state"]} state */
  #become(state) {
    if (this.ended || this.state === state) return;
    this.state = state;
    this.#changed();
  }

  #changed() {
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch (error) {
        // A failing listener must not end the reading.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** Parses server-sent events from text in arbitrary pieces, as the HTML standard defines them. */
class Frames {
  /** @type {number | null} Milliseconds to wait before reconnecting, as sent by the server. */
  retry = null;
  #rest = "";
  #after = false;
  #size = 0;
  /** @type {string[]} */ #data = [];
  /** @type {string | null} */ #id = null;

  /** @param {string} text */
  *feed(text) {
    if (!text) return;
    if (this.#after && text[0] === "\n") text = text.slice(1);
    this.#after = text.endsWith("\r");
    const lines = text.split(/\r\n|\n|\r/);
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length) yield { id: this.#id, data: this.#data.join("\n") };
        this.#data = [];
        this.#id = null;
        this.#size = 0;
      } else this.#line(line);
    }
    if (this.#size + this.#rest.length > LONGEST_EVENT) throw new Error(`an event is longer than ${LONGEST_EVENT} characters`);
  }

  /** @param {string} line */
  #line(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") {
      this.#data.push(value);
      this.#size += value.length + 1;
    } else if (name === "id") this.#id = value;
    else if (name === "retry" && /^[0-9]{1,9}$/.test(value)) this.retry = Number(value);
  }
}

/**
 * Apply a JSON patch (RFC 6902), with the additional operation `append`, which extends a string.
 *
 * The document is changed in place; a new one is returned only if the patch replaces the whole.
 * Keys come from the model: `__proto__` is an ordinary key, and reaches no prototype.
 *
 * @param {any} document
 * @param {{op: string, path: string, from?: string, value?: any}[]} patch
 * @returns {any}
 */
export function applyPatch(document, patch) {
  const root = { "": document };
  for (const { op, path, from, value } of patch) {
    const { holder, key } = place(root, path);
    const there = Array.isArray(holder) ? Number(key) < holder.length : Object.hasOwn(holder, key);
    if (op === "add") set(holder, key, value, true);
    else if (op === "move" || op === "copy") {
      const source = place(root, from ?? "");
      const moved = get(source.holder, source.key);
      if (op === "copy") set(holder, key, structuredClone(moved), true);
      else if (path !== from) {
        if (`${path}/`.startsWith(`${from}/`)) throw new Error(`${from} can't be moved into itself`);
        remove(source.holder, source.key);
        const target = place(root, path);
        set(target.holder, target.key, moved, true);
      }
    } else if (!there && !(path === "" && op === "replace")) throw new Error(`there is nothing at ${path} to ${op}`);
    else if (op === "replace") set(holder, key, value, false);
    else if (op === "remove") remove(holder, key);
    else if (op === "append") set(holder, key, `${get(holder, key)}${value}`, false);
    else if (op === "test") {
      if (!same(get(holder, key), value)) throw new Error(`the value at ${path} is another one`);
    } else throw new Error(`there is no operation ${op}`);
  }
  return root[""];
}

/** @param {any} root @param {string} path */
function place(root, path) {
  const keys = path.split("/").map(key => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const key = keys.pop() ?? "";
  const holder = keys.reduce(get, root);
  if (!(holder instanceof Object)) throw new Error(`there is nothing that ${path} could be in`);
  if (Array.isArray(holder) && !/^(0|[1-9][0-9]*|-)$/.test(key)) throw new Error(`${path} ends in no index`);
  return { holder, key };
}

/** @param {any} holder @param {string} key */
function get(holder, key) {
  if (!(holder instanceof Object) || !Object.hasOwn(holder, key) || (Array.isArray(holder) && key === "length")) {
    throw new Error(`there is nothing at ${key}`);
  }
  return holder[key];
}

/** @param {any} holder @param {string} key @param {any} value @param {boolean} add */
function set(holder, key, value, add) {
  if (Array.isArray(holder) && add) {
    const at = key === "-" ? holder.length : Number(key);
    if (at > holder.length) throw new Error(`${key} is behind the end of the array`);
    holder.splice(at, 0, value);
  } else Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
}

/** @param {any} holder @param {string} key */
function remove(holder, key) {
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
}

/** @param {any} one @param {any} other @returns {boolean} */
function same(one, other) {
  if (!(one instanceof Object && other instanceof Object)) return one === other;
  const keys = Object.keys(one);
  if (Array.isArray(one) !== Array.isArray(other) || keys.length !== Object.keys(other).length) return false;
  return keys.every(key => Object.hasOwn(other, key) && same(one[key], other[key]));
}

/** @param {string | URL} url */
function absolute(url) {
  return new URL(url, globalThis.document?.baseURI).href;
}

/** @param {string} header A percent-encoded header. */
function decoded(header) {
  try {
    return decodeURIComponent(header);
  } catch {
    return header;
  }
}

function hidden() {
  return globalThis.document?.visibilityState === "hidden";
}

/** Events that signal that the page has woken up or the network is back. @returns {[EventTarget, string][]} */
function wakers() {
  if (!globalThis.document || !globalThis.addEventListener) return [];
  return [
    [globalThis.document, "visibilitychange"],
    [globalThis.document, "resume"],
    [/** @type {EventTarget} */ (globalThis), "pageshow"],
    [/** @type {EventTarget} */ (globalThis), "online"],
  ];
}
