// @ts-check
/**
 * Follows the answers that `relay.websocket` sends over a WebSocket.
 *
 *     const answer = followSocket(socket, { ask: { question } });
 *     answer.subscribe(() => show(answer.message.text));
 *     await answer.done;
 */
import { Answer } from "./answer.js";

/** @import { Reading } from "./answer.js" */
/** @import { Listener, State } from "./connection.js" */
/**
 * @typedef {object} Asking
 * @property {any} [ask] A JSON value to send first, as soon as the socket is open.
 * @property {number} [silence] Seconds without a message after which the connection is dead; 35 by default.
 */

const HEARTBEAT = '{"type":"ping"}';
const STOP = '{"type":"stop"}';
const OPEN = 1;
const LONGEST_TIMER = 2 ** 31 - 1;

/** @type {WeakSet<WebSocket>} The sockets with an answer that has not ended. */
const followed = new WeakSet();

/**
 * Follow the next answer that comes over a socket. The socket stays open for the one after it.
 *
 * There is no journal behind the socket: an answer that is cut is "truncated". `stop` stops the answer,
 * and `close` closes the socket if the answer has not ended. If the question was not sent yet, neither of
 * them sends it, and the socket stays open.
 *
 * Throws an error if the socket has an answer that has not ended.
 *
 * @param {WebSocket} socket
 * @param {Reading & Asking} [options]
 * @returns {Answer}
 */
export function followSocket(socket, options = {}) {
  if (followed.has(socket)) throw new Error("the socket has an answer that has not ended: wait for `done` first");
  return new Answer(listener => new SocketLine(socket, listener, options), options, true);
}

class SocketLine {
  id = null;
  position = 0;
  connections = 1;
  /** @type {State} */ state = "connecting";

  #socket;
  #listener;
  #options;
  /** The messages to send once the socket is open. @type {string[]} */ #first = [];
  /** True if no answer comes unless the question is sent. */ #unasked;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #watch;

  /** @param {WebSocket} socket @param {Listener} listener @param {Reading & Asking} options */
  constructor(socket, listener, options) {
    this.#socket = socket;
    this.#listener = listener;
    this.#options = options;
    this.#unasked = options.ask !== undefined;
    if (this.#unasked) this.#first.push(JSON.stringify(options.ask));
    followed.add(socket);
    for (const name of ["open", "message", "close"]) socket.addEventListener(name, this);
    if (socket.readyState > OPEN) queueMicrotask(() => this.#fail("network", "the socket is closed"));
    else if (socket.readyState === OPEN && !options.signal?.aborted) this.#begin();
  }

  /** @param {any} event */
  handleEvent(event) {
    if (event.type === "open") {
      this.#begin();
      this.#listener.changed();
    } else if (event.type === "close") {
      this.#fail("network", `the socket was closed with code ${event.code}${event.reason ? `: ${event.reason}` : ""}`);
    } else this.#take(event.data);
  }

  async stop() {
    if (this.state === "ended") return null;
    if (this.#unasked || this.#socket.readyState > OPEN) return false;
    if (this.state === "open") this.#socket.send(STOP);
    else this.#first.push(STOP);
    return null;
  }

  finish() {
    if (this.state === "ended") return;
    clearTimeout(this.#watch);
    followed.delete(this.#socket);
    for (const name of ["open", "message", "close"]) this.#socket.removeEventListener(name, this);
    this.state = "ended";
    this.#listener.changed();
  }

  hangUp() {
    this.finish();
    // What still came of this answer would be taken for the next one.
    if (!this.#unasked) this.#socket.close();
  }

  #begin() {
    this.state = "open";
    this.#heard();
    this.#unasked = false;
    for (const message of this.#first) this.#socket.send(message);
  }

  /** @param {unknown} data */
  #take(data) {
    this.#heard();
    if (data === HEARTBEAT) return;
    try {
      if (typeof data !== "string") throw new Error("a binary message came");
      this.#listener.take(data, null);
      this.#listener.settle?.();
    } catch (error) {
      this.#fail("protocol", /** @type {Error} */ (error).message);
    }
  }

  #heard() {
    const { silence = 35 } = this.#options;
    clearTimeout(this.#watch);
    const limit = Math.min(silence * 1000, LONGEST_TIMER);
    this.#watch = setTimeout(() => this.#fail("network", `nothing came for ${silence} s`), limit);
  }

  /** @param {"network" | "protocol"} kind @param {string} message */
  #fail(kind, message) {
    if (this.state === "ended") return;
    const lost = kind === "network";
    this.#listener.fail(lost ? "truncated" : "failed", { error: lost ? "StreamInterrupted" : "StreamError", kind, message, retryable: lost });
    this.hangUp();
  }
}
