// @ts-check
/**
 * Follows an answer sent by a tokenstream relay, across cuts, reloads and sleeping phones.
 *
 *     const answer = follow("/api/answers/7Jx…");
 *     answer.subscribe(() => show(answer.message.text));
 *     await answer.done;
 *
 * No build step, no dependencies. Runs in browsers and in Node 20.
 */
import { Answer } from "./answer.js";
import { absolute, Connection } from "./connection.js";

export { Answer } from "./answer.js";
export { Message } from "./message.js";
export { applyPatch } from "./patch.js";

/** @typedef {import("./answer.js").AnswerEvent} AnswerEvent */
/** @typedef {import("./message.js").Ending} Ending */
/** @typedef {import("./message.js").Failure} Failure */
/** @typedef {import("./message.js").Part} Part */
/**
 * @typedef {object} Place Options that say which answer is followed, and from where on.
 * @property {string | URL} [stop] Address to which a POST stops the answer; by default its own plus "/stop".
 * @property {string} [key] Calls with the same key share one follower; by default the address of a GET.
 * @property {number} [after] The position after which to begin; 0 is the start.
 */
/** @typedef {import("./connection.js").ConnectionOptions & import("./answer.js").Reading & Place} Following */

/** @type {Set<{key: string, answer: Answer, connection: Connection}>} */
const followed = new Set();

/**
 * Follow an answer; a second call for the same answer joins the first.
 *
 * @param {string | URL} url
 * @param {Following} [options] Options of `fetch`, and of the follower.
 * @returns {Answer}
 */
export function follow(url, options = {}) {
  const { signal, onEvent, fresh, keep, stop, after, key, ...request } = options;
  const posts = (request.method ?? "GET").toUpperCase() !== "GET";
  const shared = key ?? (posts ? "" : absolute(url));
  for (const each of followed) {
    if (each.answer.ended) followed.delete(each);
    else if (shared && (each.key === shared || each.connection.address === shared)) return each.answer.join(options);
  }
  /** @type {any} */ let connection;
  const answer = new Answer(
    listener => (connection = new Connection(url, request, listener, { stop, after })),
    options,
    posts,
  );
  followed.add({ key: shared, answer, connection });
  return answer;
}
