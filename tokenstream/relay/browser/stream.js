// @ts-check
import { absolute, Connection } from "./connection.js";

/** The most events that wait for their position. */
const MOST_HELD = 100;

/**
 * @typedef {object} Opening
 * @property {AbortSignal | null} [signal]
 * @property {(id: string) => string | URL} [placeOf]
 * Returns the address of an answer, if the address that is opened has it only while it is running.
 */
/** @typedef {import("./connection.js").ConnectionOptions & Opening} StreamOptions */

/**
 * Open an answer in another protocol than ours: a stream of the data of its events, each of them once.
 *
 * Continues after a cut if the response has named the answer in `X-Answer-Id`, and has given its address or positions.
 * Resolves as soon as the server has answered: with null if there is nothing to follow. Rejects if the server refuses.
 *
 * @param {string | URL} url
 * @param {StreamOptions} options
 * @param {(data: string) => boolean} isLast Returns true for the data of the answer's last event.
 * @returns {Promise<ReadableStream<string> | null>}
 */
export function openStream(url, { signal, placeOf, ...options }, isLast) {
  return new Promise((resolve, reject) => {
    /** @type {string[]} */ let held = [];
    /** True if the event given out last has no position: after a cut, it would come again. */ let loose = false;
    /** True once the stream was given out: it then has to end, one way or the other. */ let given = false;
    /** @type {ReadableStreamDefaultController<string>} */ let to;
    let read = () => {};
    const stream = new ReadableStream({ start: controller => void (to = controller), pull: () => read(), cancel: () => leave() });
    const leave = () => {
      read();
      signal?.removeEventListener("abort", abort);
      connection.hangUp();
    };
    /** @param {unknown} reason */
    const fail = reason => {
      reject(reason);
      to.error(reason);
    };
    const abort = () => {
      leave();
      fail(signal?.reason);
    };
    /** @param {any} at @param {RequestInit} [init] */
    const fetch = async (at, init) => {
      const { fetch = globalThis.fetch } = options;
      const response = await fetch(at, init);
      if (!placeOf || connection.id === null || ![204, 404].includes(response.status)) return response;
      // The answer has ended meanwhile, or another one is running now.
      await response.body?.cancel();
      return fetch(absolute(placeOf(connection.id)), init);
    };
    const connection = new Connection(url, /** @type {any} */ ({ ...options, fetch }), {
      take(data, position) {
        if (data) held.push(data);
        const last = data !== "" && isLast(data);
        // Only the last of the events at one position has its number: after a cut, all of them come again.
        // A GET can be repeated, so it is worth to wait if its answer is kept, too.
        const kept = connection.kept || (connection.id !== null && connection.address !== null);
        const waits = kept && position === null && !last;
        if (waits && !loose && held.length < MOST_HELD) return false;
        loose = position === null;
        for (const each of held) to.enqueue(each);
        held = [];
        if (last) {
          signal?.removeEventListener("abort", abort);
          connection.finish();
          to.close();
        }
        return true;
      },
      repeated: () => void (held = []),
      isLoose: () => loose,
      // An error takes from a stream what was not read, so a cut is found only after that.
      settle: () => new Promise(resolve => (connection.state === "ended" || Number(to.desiredSize) > 0 ? resolve() : (read = resolve))),
      changed() {
        if (connection.state === "open") resolve(stream), (given = true);
        held = [];
      },
      fail(_, { status, kind, message, ...more }) {
        signal?.removeEventListener("abort", abort);
        if (status === 204 && !given) return resolve(null);
        // Clients know a lost connection by the error that `fetch` gives.
        const error = kind === "network" ? new TypeError(`network error: ${message}`) : new Error(message);
        fail(Object.assign(error, more, { kind, status }));
      },
    });
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort);
  });
}

/**
 * Ask to stop an answer; resolves with the server's reply.
 *
 * @param {string | URL} url
 * @param {RequestInit} init
 * @param {typeof globalThis.fetch} [fetch]
 */
export async function askToStop(url, init, fetch = globalThis.fetch) {
  const response = await fetch(url, { ...init, method: "POST" });
  if (!response.ok) throw new Error(`stopping failed with status ${response.status}`);
  return response.json();
}
