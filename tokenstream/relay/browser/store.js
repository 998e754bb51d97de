// @ts-check
/**
 * A store of an answer, for React's `useSyncExternalStore`, and for every other framework that has stores.
 *
 *     const store = useMemo(() => answerStore(() => follow(url)), [url]);
 *     const { text, state } = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
 */

/** @import { Answer } from "./answer.js" */
/** @import { State } from "./connection.js" */
/** @import { Ending, Failure, Part } from "./message.js" */
/**
 * @typedef {object} Snapshot An answer as it was at one moment; never changes.
 * @property {State} state
 * @property {string} text
 * @property {string} reasoning
 * @property {string} refusal
 * @property {readonly Part[]} parts A part that has not changed is the same object as before.
 * @property {readonly Part[]} toolCalls
 * @property {Ending} ending
 * @property {Failure | null} error
 * @property {any} usage
 * @property {string | null} finish_reason
 * @property {string | null} model
 * @property {any} form A copy.
 */

/** @type {Snapshot} */
const EMPTY = Object.freeze({
  state: "connecting", text: "", reasoning: "", refusal: "", parts: [], toolCalls: [], ending: "streaming",
  error: null, usage: null, finish_reason: null, model: null, form: undefined,
});

/**
 * Make a store of an answer.
 *
 * The answer is followed while the store has subscribers. They are told of changes once per frame.
 *
 * @param {() => Answer} start Begins to follow, such as `() => follow(url)`.
 */
export function answerStore(start) {
  /** @type {Set<() => void>} */ const listeners = new Set();
  /** @type {Answer | null} */ let answer = null;
  let snapshot = EMPTY;
  /** @type {WeakMap<Part, Part>} */ const copies = new WeakMap();
  let due = false;

  const tell = () => {
    const waits = due;
    due = false;
    if (!waits || !answer) return;
    snapshot = take(answer, copies);
    for (const listener of [...listeners]) listener();
  };
  const change = () => {
    const waits = due;
    due = true;
    // A hidden page has no frames, and its listeners must hear of the end.
    if (answer?.ended) tell();
    else if (!waits) (globalThis.requestAnimationFrame ?? setTimeout)(tell);
  };

  return {
    /** The answer; null while there are no subscribers. */
    get answer() {
      return answer;
    },
    /** @returns {Snapshot} */
    getSnapshot: () => snapshot,
    /** @param {() => void} listener @returns {() => void} */
    subscribe(listener) {
      listeners.add(listener);
      if (!answer) {
        answer = start();
        answer.subscribe(change);
        change();
      }
      return () => {
        listeners.delete(listener);
        // A framework that subscribes anew takes its old listener away first.
        queueMicrotask(() => {
          if (listeners.size) return;
          const left = answer;
          answer = null;
          left?.close();
        });
      };
    },
  };
}

/** @param {Answer} answer @param {WeakMap<Part, Part>} copies @returns {Snapshot} */
function take({ state, message, form }, copies) {
  const { text, reasoning, refusal, ending, error, usage, finish_reason, model } = message;
  const parts = message.parts.map(part => {
    const known = copies.get(part);
    if (known && same(known, part)) return known;
    // The pieces of media are added to one array.
    const copy = part.chunks ? { ...part, chunks: [...part.chunks] } : { ...part };
    copies.set(part, copy);
    return copy;
  });
  const toolCalls = parts.filter(part => part.kind === "tool_call");
  return { state, text, reasoning, refusal, parts, toolCalls, ending, error, usage, finish_reason, model, form: structuredClone(form) };
}

/** @param {any} copy @param {any} part */
function same(copy, part) {
  const keys = Object.keys(part);
  if (keys.length !== Object.keys(copy).length) return false;
  return keys.every(key => (key === "chunks" ? copy.chunks.length === part.chunks.length : copy[key] === part[key]));
}
