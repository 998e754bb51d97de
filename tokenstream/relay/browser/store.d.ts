/**
 * A store of an answer, for React's `useSyncExternalStore`, and for every other framework that has stores.
 *
 *     const store = useMemo(() => answerStore(() => follow(url)), [url]);
 *     const { text, state } = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
 */
import type { Answer, Step } from "./answer.js";
import type { State } from "./connection.js";
import type { Ending, Failure, Part, Request } from "./message.js";
export type Told = {
    choice: number;
    /**
     * The id of its step in a run.
     */
    step: string | null;
    text: string;
    reasoning: string;
    refusal: string;
    /**
     * A part that has not changed is the same object as before.
     */
    parts: readonly Part[];
    toolCalls: readonly Part[];
    ending: Ending;
    error: Failure | null;
    usage: any;
    finish_reason: string | null;
    model: string | null;
};
export type Rest = {
    state: State;
    /**
     * A copy.
     */
    form: any;
    /**
     * All messages: one for each choice, and for each step of a run.
     */
    messages: readonly Told[];
    /**
     * The steps of a run. One that has not changed is the same object as before.
     */
    steps: readonly Step[];
    /**
     * The requests that wait for an answer.
     */
    waiting: readonly Request[];
};
export type Snapshot = Told & Rest;
/**
 * Make a store of an answer.
 *
 * The answer is followed while the store has subscribers. They are told of changes once per frame.
 *
 * @param {() => Answer} start Begins to follow, such as `() => follow(url)`.
 */
export declare function answerStore(start: () => Answer): {
    /** The answer; null while there are no subscribers. */
    readonly answer: Answer | null;
    /** @returns {Snapshot} */
    getSnapshot: () => Snapshot;
    /** @param {() => void} listener @returns {() => void} */
    subscribe(listener: () => void): () => void;
};
