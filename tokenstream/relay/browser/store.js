// @ts-check
/**
 * A store of an answer, for React's `useSyncExternalStore`, and for every other framework that has stores.
 *
 *     const store = useMemo(() => answerStore(() => follow(url)), [url]);
 *     const { text, state } = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
 */

/** @import { Answer, Step } from "./answer.js" */
/** @import { State } from "./connection.js" */
/** @import { Ending, Failure, Message, Part, Request } from "./message.js" */
/**
 * @typedef {object} Told A message as it was at one moment.
 * @property {number} choice
 * @property {string | null} step The id of its step in a run.
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
 */
/**
 * @typedef {object} Rest
 * @property {State} state
 * @property {any} form A copy.
 * @property {readonly Told[]} messages All messages: one for each choice, and for each step of a run.
 * @property {readonly Step[]} steps The steps of a run. One that has not changed is the same object as before.
 * @property {readonly Request[]} waiting The requests that wait for an answer.
 */
/** @typedef {Told & Rest} Snapshot An answer as it was at one moment, with its first message; never changes. */

/** @type {Snapshot} */
const EMPTY = Object.freeze({
  state: "connecting", choice: 0, step: null, text: "", reasoning: "", refusal: "", parts: [], toolCalls: [], ending: "streaming",
  error: null, usage: null, finish_reason: null, model: null, form: undefined,
  messages: [], steps: [], waiting: [],
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
  /** @type {WeakMap<object, any>} */ const copies = new WeakMap();
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

/** @param {Answer} answer @param {WeakMap<object, any>} copies @returns {Snapshot} */
function take(answer, copies) {
  const { state, form, waiting } = answer;
  const messages = answer.messages.map(message => copyMessage(message, copies));
  const steps = [...answer.steps.values()].map(step => {
    const cause = step.cause && copyPart(step.cause, copies);
    return kept(step, { ...step, cause }, copies);
  });
  const first = messages[answer.messages.indexOf(answer.message)];
  return { ...first, state, form: structuredClone(form), messages, steps, waiting };
}

/** @param {Message} message @param {WeakMap<object, any>} copies @returns {Told} */
function copyMessage(message, copies) {
  const { choice, step, text, reasoning, refusal, ending, error, usage, finish_reason, model } = message;
  const parts = message.parts.map(part => copyPart(part, copies));
  const toolCalls = parts.filter(({ kind }) => kind === "tool_call");
  return { choice, step, text, reasoning, refusal, parts, toolCalls, ending, error, usage, finish_reason, model };
}

/** @param {Part} part @param {WeakMap<object, any>} copies @returns {Part} */
function copyPart(part, copies) {
  // The pieces of media are added to one array.
  return kept(part, part.chunks ? { ...part, chunks: [...part.chunks] } : { ...part }, copies);
}

/** Return the copy that was made before, unless the new one differs from it. @template {object} T @param {object} from @param {T} copy @param {WeakMap<object, any>} copies @returns {T} */
function kept(from, copy, copies) {
  const known = copies.get(from);
  if (known && same(known, copy)) return known;
  copies.set(from, copy);
  return copy;
}

/** @param {any} copy @param {any} part */
function same(copy, part) {
  const keys = Object.keys(part);
  if (keys.length !== Object.keys(copy).length) return false;
  return keys.every(key => (key === "chunks" ? copy.chunks.length === part.chunks.length : copy[key] === part[key]));
}
