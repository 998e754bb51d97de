// @ts-check
import { Frames } from "./sse.js";

/** @import { Ending, Failure } from "./message.js" */
/**
 * @typedef {object} Requesting Options of each request, besides those of `fetch`.
 * @property {typeof globalThis.fetch} [fetch] A function to use in place of the global `fetch`.
 * @property {HeadersInit | (() => HeadersInit | Promise<HeadersInit>)} [headers]
 * The request's headers; a function makes them anew for each attempt.
 */
/**
 * @typedef {object} Patience Options that say when to reconnect, and when to give up.
 * @property {number} [attempts] Most attempts in a row without an event; 10 by default.
 * @property {number} [wait] Seconds before the second attempt, doubled for each more; 0.5 by default.
 * @property {number} [longest] The longest such wait, in seconds; 10 by default.
 * @property {number} [silence] Seconds without a byte after which the connection is dead; 35 by default.
 */
/** @typedef {Omit<RequestInit, "headers" | "signal"> & Requesting & Patience} ConnectionOptions */
/** @typedef {"connecting" | "open" | "waiting" | "ended"} State */
/**
 * @typedef {object} Listener What a connection tells.
 * @property {(data: string, position: number | null) => boolean} take
 * Takes the data of an event; returns false if the answer is no further by it. An error that it throws ends the answer.
 * @property {() => void} [repeated] Called when an event has come that came before; it is not taken again.
 * @property {() => boolean} [isLoose] Returns true if the answer can't be continued after the event taken last.
 * @property {(data: string) => unknown} [findId]
 * Returns the answer's id if an event tells it. Without this function, only the response's header does.
 * @property {() => Promise<void>} [settle] Awaited before more is read.
 * @property {() => void} changed Called when the state has changed.
 * @property {(ending: Ending, error: Failure) => void} fail Called when no more will come, and the answer has not ended.
 */
/**
 * @typedef {object} Line What an answer needs of a connection.
 * @property {string | null} id
 * @property {number} position
 * @property {State} state
 * @property {number} connections
 * @property {() => void} finish Notes that the answer has ended.
 * @property {() => void} hangUp Ends the connection.
 * @property {() => Promise<any>} stop Asks to stop the answer; resolves with false if only hanging up stops it.
 */

const LONGEST_WAIT = 300;
const LONGEST_TIMER = 2e9;
const MOST_SOCKETS = 6;
/** Events that signal that the page has woken up or the network is back. */
const WAKERS = ["visibilitychange", "resume", "pageshow", "online"];
/** Statuses after which it may help to ask again; 0 stands for no response. */
const AGAIN = /^(0|408|425|429|50[0234])$/;
/** Most failed attempts to find out if a lost question may be repeated. */
const MOST_PROBES = 3;
/** @type {Set<string>} Addresses whose responses have said that a journal keeps the keys of questions. */
const KEEPERS = new Set();
const NO_ANSWER = "no answer came; a server of another origin must allow Idempotency-Key (CORS)";

/** An answer's connections over HTTP, one after the other: each continues where the one before it broke. */
export class Connection {
  /** @type {string | null} The answer's id; null until the server has sent it. */
  id = null;
  /** True once the server has shown that it keeps the answer: it has an address or positions, or an event names it. */
  kept = false;
  /** The position of the last event received; 0 before the first. */
  position;
  /** @type {State} */
  state = "connecting";
  /** Number of connections tried. */
  connections = 0;

  #url;
  #init;
  #options;
  #listener;
  #stopAddress;
  /** @type {[string, RequestInit] | null} The request that started the answer, until its address has been read. */ #started = null;
  /** True if the header with the answer's id can be read, and so may be sent, too. */ #exposed = false;
  /** True until the first event of a connection has been checked. */ #unchecked = false;
  /** True if the connection must name the answer: it might be a new one. */ #mustName = false;
  /** True if the answer has begun. */ #begun = false;
  /** @type {AbortController | null} */ #open = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #watch;
  #failures = 0;
  /** The `Idempotency-Key` of a request that starts an answer: repeated, it gets the same one. */
  #key = crypto.getRandomValues(new Uint32Array(4)).reduce((key, part) => key + part.toString(16), "");
  /** @type {Partial<Failure> | undefined} What the server has said instead of an answer. */ #refusal;
  /** True if the question may have reached the model, and no words say what became of it. */ #lost = false;
  /** True if the connection has brought something. */ #news = false;
  /** True if the next attempt comes at once. */ #hurry = false;
  /** After a sleep, the number of sockets that the browser may still hold for open though they are dead. */ #suspects = 0;
  #woken = -Infinity;
  #over = new AbortController();
  #go = () => {};
  /** @type {(state: State) => void} */ #reached = () => {};
  /** Resolved once the server has answered, or never will. */ #answered = new Promise(resolve => (this.#reached = resolve));

  /**
   * @param {string | URL} url
   * @param {ConnectionOptions} options
   * @param {Listener} listener
   * @param {{stop?: string | URL, after?: number}} [place] The address to stop at, and the position to begin after.
   */
  constructor(url, options, listener, { stop, after = 0 } = {}) {
    const { fetch, headers, attempts, wait, longest, silence, ...init } = options;
    // Invalid options throw here, instead of looking like a cut later.
    this.#url = new Request(absolute(url), { ...init, headers: typeof headers === "function" ? undefined : headers }).url;
    this.#init = /** @type {RequestInit} */ (init);
    this.#options = options;
    this.#listener = listener;
    this.#stopAddress = stop;
    this.position = after;
    const { signal } = this.#over;
    // Some of the events come to the document, others to the window.
    for (const target of globalThis.document ? [globalThis.document, globalThis] : []) {
      for (const name of WAKERS) target.addEventListener(name, this.#wake, { signal });
    }
    // Later than the constructor's end, so that the listener knows the connection when it is told of it.
    queueMicrotask(() => this.#run());
  }

  /** The address at which a GET follows the answer; null if there is none yet. */
  get address() {
    return this.#gets ? this.#url : null;
  }

  async stop() {
    // The response to the POST that starts an answer has the answer's address.
    if (!this.#gets && !this.#stopAddress) await this.#answered;
    const beside = new URL(this.#url);
    beside.pathname = beside.pathname.replace(/\/?$/, "/stop");
    const address = this.#stopAddress ?? (this.#gets && this.#resumable && beside);
    if (!address) return false;
    const headers = await this.#headers();
    const { credentials } = this.#init;
    const response = await this.#fetch(absolute(address), { method: "POST", headers, credentials });
    const said = await response.json().catch(() => null);
    // No event has shown yet whether the answer is in a journal; this status shows that it is not.
    if (this.position === 0 && !this.#stopAddress && [404, 405].includes(response.status)) return false;
    if (!response.ok) throw new Error(said?.error?.message ?? `the server answered with status ${response.status}`);
    return said;
  }

  finish() {
    this.#over.abort();
    this.#become("ended");
    this.#go();
  }

  hangUp() {
    this.finish();
    this.#open?.abort();
  }

  get #ended() {
    return this.state === "ended";
  }

  get #gets() {
    return (this.#init.method ?? "GET").toUpperCase() === "GET";
  }

  /** True if the request can be repeated without starting another answer. */
  get #resumable() {
    if ((this.#begun && this.position === 0) || this.#listener.isLoose?.()) return false;
    // A repeated POST would ask for another answer, unless the server keeps this one.
    return (this.id !== null && this.kept) || (this.#gets && (!this.#begun || this.#listener.findId !== undefined));
  }

  /** @param {string} url @param {RequestInit} init */
  #fetch(url, init) {
    const { fetch = globalThis.fetch } = this.#options;
    return fetch(url, init);
  }

  /** @param {Event} event */
  #wake = event => {
    // The first `pageshow` comes with loading, when the page has not slept.
    if (hidden() || (event.type === "pageshow" && !(/** @type {PageTransitionEvent} */ (event).persisted))) return;
    this.#go();
    // Several of these events come together when a page wakes up; one new connection is enough.
    if (Date.now() - this.#woken < 100) return;
    this.#woken = Date.now();
    this.#failures = 0;
    if (!this.#resumable) return;
    this.#hurry = true;
    this.#suspects = MOST_SOCKETS;
    this.#open?.abort();
  };

  async #run() {
    const { attempts = 10, wait = 0.5, longest = 10 } = this.#options;
    while (!this.#ended) {
      // In the background the system may block the network, so failed attempts there mean nothing.
      while (hidden() && this.connections > 0) await this.#pause(null);
      this.#news = this.#hurry = false;
      const asked = Math.min(await this.#connect(), LONGEST_WAIT);
      clearTimeout(this.#watch);
      this.#open = null;
      if (this.#ended) return;
      if (!this.#mayRepeat(attempts)) return this.#break(this.#begun ? "the connection broke" : NO_ANSWER);
      if (this.#news) this.#failures = 0;
      if (this.#hurry) continue;
      // The first attempt after a cut comes at once, with some jitter, since all readers of a server may be cut together.
      const seconds = this.#news ? Math.min(0.1, wait) : Math.min(longest, wait * 2 ** this.#failures);
      if (!hidden() && globalThis.navigator?.onLine !== false) this.#failures += 1;
      if (this.#failures > attempts) {
        return this.#break(`no connection after ${attempts} attempts`, this.#begun ? null : this.#refusal);
      }
      await this.#pause(Math.max(asked, seconds * (0.5 + Math.random() / 2)));
    }
  }

  /** Return true if the request that has failed can be repeated without asking the model again. @param {number} attempts */
  #mayRepeat(attempts) {
    const { status = 0, may_repeat } = this.#refusal ?? {};
    if (this.#begun || this.id !== null) return this.#resumable && AGAIN.test(`${status}`);
    if (may_repeat !== undefined) return may_repeat;
    if (this.#gets) return AGAIN.test(`${status}`);
    this.#hurry = !this.#lost;
    this.#lost = true;
    return [0, 502, 504].includes(status) && (KEEPERS.has(this.#url) || this.#failures < Math.min(attempts, MOST_PROBES));
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
  }

  async #headers() {
    const { headers } = this.#options;
    return new Headers(typeof headers === "function" ? await headers() : headers);
  }

  /** Read one connection to its end; returns the seconds that the server asks to wait. @returns {Promise<number>} */
  async #connect() {
    this.#become("connecting");
    this.connections += 1;
    const { signal } = (this.#open = new AbortController());
    // If the model may have been asked, only a journal that keeps the question's key may get it again.
    const asksFirst = this.#lost && !KEEPERS.has(this.#url);
    if (!asksFirst) this.#refusal = undefined;
    // The browser may reuse a dead socket for the request. A journal answers at once, so the timeout can be short.
    this.#heard(this.#suspects ? 1 : this.position > 0 ? 2 ** (this.#failures || 1) : Infinity);
    let response;
    // To repeat a GET asks for no other answer.
    if (!this.kept && !this.#gets) this.id = null;
    try {
      const headers = await this.#headers();
      headers.set("Accept", "text/event-stream");
      // A HEAD without these is no matter of CORS.
      if (!asksFirst) {
        // Without it, fetch calls a string plain text, as a form of any other site may.
        if (typeof this.#init.body === "string" && !headers.has("Content-Type")) headers.set("Content-Type", "application/json");
        if (!this.#gets && !headers.has("Idempotency-Key")) headers.set("Idempotency-Key", this.#key);
      }
      if (this.position > 0) headers.set("Last-Event-ID", String(this.position));
      if (this.id !== null && (this.#exposed || !this.#gets)) headers.set("X-Answer-Id", encodeURIComponent(this.id));
      /** @type {RequestInit} */ const init = { cache: "no-store", ...this.#init, headers, signal };
      response = await this.#fetch(this.#url, asksFirst ? { ...init, method: "HEAD", body: null } : init);
    } catch {
      // A missing network is a TypeError, whose message differs between browsers.
      return 0;
    }
    if (response.headers.has("Idempotency-Key")) KEEPERS.add(this.#url);
    if (asksFirst) {
      if (response.status < 500 && !KEEPERS.has(this.#url)) this.#break(NO_ANSWER);
      return 0;
    }
    if (!response.ok || response.status === 204 || !response.body) return this.#refused(response);
    const type = response.headers.get("Content-Type") ?? "none";
    if (!type.startsWith("text/event-stream")) {
      // A login page, or that of a captive portal.
      this.#fail({ message: `no event stream, but ${type} came` });
      return 0;
    }
    if (!this.#continues(response)) return 0;
    this.#become("open");
    this.#suspects = 0;
    this.#heard();
    return this.#read(response.body.getReader());
  }

  /** Check that a response continues this answer, and note its address. @param {Response} response */
  #continues(response) {
    const named = response.headers.get("X-Answer-Id");
    this.#exposed ||= named !== null;
    this.#mustName = this.id !== null && named === null && (!this.#gets || !this.#listener.findId);
    this.#unchecked = true;
    if (named !== null ? !this.#isSame(decoded(named)) : this.#mustName && !this.#listener.findId && this.#mismatch()) return false;
    const location = response.headers.get("Location");
    this.kept ||= location !== null;
    const place = location === null ? null : new URL(location, this.#url);
    // Headers with a user's tokens go to no other origin, as with a redirect.
    const moves = place?.origin === new URL(this.#url).origin;
    this.#started = !this.#gets && moves ? [this.#url, this.#init] : null;
    if (moves) {
      // The POST has started an answer, which now has its own address.
      this.#url = place.href;
      this.#init = { ...this.#init, method: "GET", body: null };
    }
    return true;
  }

  /** @param {ReadableStreamDefaultReader<Uint8Array>} reader */
  async #read(reader) {
    const frames = new Frames();
    // Whatever breaks a connection, its end is all that matters.
    const read = () => reader.read().catch(() => ({ done: true, value: undefined }));
    while (!this.#ended) {
      const { value } = await read();
      // Anything after the last empty line is half an event, and will be sent again.
      if (!value) return (frames.retry ?? 0) / 1000;
      this.#heard();
      try {
        for (const frame of frames.feed(value)) {
          if (this.#ended) break;
          this.#frame(frame);
        }
      } catch (error) {
        this.#fail({ message: /** @type {Error} */ (error).message });
      }
      await this.#listener.settle?.();
    }
    // A connection read to its end can be reused; if the answer did not end by itself, it was aborted already.
    this.#heard(1);
    while (!(await read()).done);
    return 0;
  }

  /** @param {Response} response */
  async #refused(response) {
    const { status } = response;
    const wait = Number(response.headers.get("Retry-After")) || 0;
    // Nothing is served at the answer's address: the request that started it continues it, too.
    const start = this.id !== null && [404, 405].includes(status) ? this.#started : null;
    if (start) {
      [this.#url, this.#init] = start;
      this.#started = null;
    }
    const said = await response.json().catch(() => null);
    const message = status === 204 ? "there is nothing to follow" : `the server answered with status ${status}`;
    const told = said?.error instanceof Object ? said.error : said ?? {};
    if (start) return wait;
    const retryable = AGAIN.test(`${status}`);
    // Without words, a 503 comes from a proxy that has reached nobody.
    const may_repeat = Object.keys(told).length ? false : status === 503 || undefined;
    this.#refusal = { may_repeat, retryable, message, ...told, kind: told.kind ?? told.type ?? "status", status, retry_after: wait || null };
    return wait;
  }

  /** Restart the silence timer. @param {number} [seconds] A shorter limit for this wait. */
  #heard(seconds = Infinity) {
    clearTimeout(this.#watch);
    const longest = Math.min(seconds, this.#options.silence ?? 35);
    this.#watch = setTimeout(() => this.#giveUp(), Math.min(longest * 1000, LONGEST_TIMER));
  }

  /** End a connection on which nothing has come for too long. */
  #giveUp() {
    if (!this.#ended && !this.#resumable && !this.#lost) return;
    if (this.#suspects) {
      // Each attempt uses up one dead socket.
      this.#suspects -= 1;
      this.#hurry = true;
    }
    this.#open?.abort();
  }

  /** @param {import("./sse.js").Frame} frame */
  #frame({ data, id, own }) {
    if (data && this.#unchecked && this.#listener.findId) {
      this.#unchecked = false;
      const named = this.#listener.findId(data);
      this.kept ||= typeof named === "string";
      if (typeof named === "string" ? !this.#isSame(named) : this.#mustName && this.#mismatch()) return;
    }
    const position = own && /^\d{1,15}$/.test(id) ? Number(id) : null;
    if (position !== null) {
      if (position <= this.position) return this.#listener.repeated?.();
      this.position = position;
      this.kept = true;
    }
    if (this.#listener.take(data, position)) this.#news = this.#begun = true;
  }

  /** Check that a connection continues this answer. @param {string} id */
  #isSame(id) {
    this.id ??= id;
    return this.id === id || !this.#mismatch();
  }

  /** End the answer, as the server has sent another one: that is never joined to this one. */
  #mismatch() {
    this.#fail({ message: "the server sent another answer", error: "PositionLost" }, "truncated");
    return true;
  }

  /** End an answer that is not asked for again. @param {string} message @param {Partial<Failure> | null} [refusal] */
  #break(message, refusal = this.#refusal) {
    this.#fail(refusal ?? { kind: "network", message, error: "StreamInterrupted", retryable: true }, refusal ? "failed" : "truncated");
  }

  /** @param {Partial<Failure>} failure @param {Ending} [ending] */
  #fail(failure, ending = "failed") {
    if (!this.#ended) this.#listener.fail(ending, /** @type {Failure} */ ({ error: "StreamError", kind: "protocol", retryable: false, ...failure }));
    this.hangUp();
  }

  /** @param {State} state */
  #become(state) {
    if (this.#ended || this.state === state) return;
    this.state = state;
    this.#reached(state);
    this.#listener.changed();
  }
}

/** @param {string | URL} url */
export function absolute(url) {
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
