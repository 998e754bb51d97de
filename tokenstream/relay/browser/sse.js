// @ts-check
const LONGEST_EVENT = 2 ** 24;

/**
 * @typedef {object} Frame A server-sent event.
 * @property {string} event Its type; "message" if the server has named none.
 * @property {string} data Its data.
 * @property {string} id The last id received, which may be that of an earlier event.
 * @property {boolean} own True if this event itself has that id.
 */

/** Parses server-sent events from bytes in arbitrary pieces, as the HTML standard defines them. */
export class Frames {
  /** The last id received. */
  lastId = "";
  /** @type {number | null} Milliseconds to wait before reconnecting, as sent by the server. */
  retry = null;
  /** Replaces what is no UTF-8. */
  // Quirk (Node 24, 2026-11): a BOM in two pieces makes the decoder remove a second one as well.
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #isFirst = true;
  /** The beginning of a line that has not ended. */
  #rest = "";
  /** True if the last piece ended with CR, which a LF may follow. */
  #afterCR = false;
  #size = 0;
  /** @type {string[]} */ #data = [];
  #event = "";
  /** @type {string | null} */ #id = null;

  /** Return the events that a piece completes. @param {Uint8Array} piece */
  feed(piece) {
    /** @type {Frame[]} */
    const frames = [];
    let text = this.#decoder.decode(piece, { stream: true });
    if (!text) return frames;
    if (this.#isFirst && text[0] === "\ufeff") text = text.slice(1);
    this.#isFirst = false;
    if (this.#afterCR && text[0] === "\n") text = text.slice(1);
    this.#afterCR = text ? text.endsWith("\r") : false;
    const lines = text.split(/\r\n|\n|\r/);
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line) this.#line(line);
      else this.#dispatch(frames);
    }
    if (this.#size + this.#rest.length > LONGEST_EVENT) throw new Error("an event is too long");
    return frames;
  }

  /** @param {Frame[]} frames */
  #dispatch(frames) {
    this.lastId = this.#id ?? this.lastId;
    if (this.#data.length) frames.push({ event: this.#event || "message", data: this.#data.join("\n"), id: this.lastId, own: this.#id !== null });
    this.#data = [];
    this.#event = "";
    this.#id = null;
    this.#size = 0;
  }

  /** @param {string} line */
  #line(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") {
      this.#data.push(value);
      this.#size += value.length + 1;
    } else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}
