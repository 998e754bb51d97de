import { Message } from "./message.js";
import type { Part, Request } from "./message.js";
import type { Line, Listener, State } from "./connection.js";
export type AnswerEvent = Record<string, any> & {
    type: string;
    position: number | null;
    replayed: boolean;
};
export type Reading = {
    /**
     * Stops following when it is aborted, as `close` does.
     */
    signal?: AbortSignal;
    /**
     * Called with each event as it arrives.
     */
    onEvent?: (event: AnswerEvent) => void;
    /**
     * True if the page has just started the answer: no event counts as replayed.
     */
    fresh?: boolean;
    /**
     * Number of latest events that are kept at least, for loops; 10,000 by default.
     */
    keep?: number;
};
export type Step = {
    id: string;
    /**
     * Such as that of the tool that the step runs.
     */
    name: string;
    /**
     * The id of the enclosing step.
     */
    parent: string | null;
    /**
     * The name of the agent that executes the step.
     */
    agent: string | null;
    /**
     * The tool call that started the step: that of its message, if a message has it.
     */
    cause?: Part;
    /**
     * "waiting" if it has stopped to ask, and its requests are not all answered.
     */
    state: "running" | "waiting" | "done" | "failed" | "stopped";
    error: string | null;
    /**
     * What the step has printed so far, such as the output of a command.
     */
    output: string;
    /**
     * The last plan, progress or other news, by its type.
     */
    updates: Record<string, any>;
    /**
     * What it has asked for, such as permissions, answered or not.
     */
    requests: readonly Request[];
};
/** @import { Ending, Failure, Part, Request } from "./message.js" */
/** @import { Line, Listener, State } from "./connection.js" */
/**
 * @typedef {Record<string, any> & {type: string, position: number | null, replayed: boolean}} AnswerEvent
 * An event as sent, its position, and whether the journal had it before this page first asked.
 */
/**
 * @typedef {object} Reading Options of an answer.
 * @property {AbortSignal} [signal] Stops following when it is aborted, as `close` does.
 * @property {(event: AnswerEvent) => void} [onEvent] Called with each event as it arrives.
 * @property {boolean} [fresh] True if the page has just started the answer: no event counts as replayed.
 * @property {number} [keep] Number of latest events that are kept at least, for loops; 10,000 by default.
 */
/**
 * @typedef {object} Step A step of a run; a change makes a new object.
 * @property {string} id
 * @property {string} name Such as that of the tool that the step runs.
 * @property {string | null} parent The id of the enclosing step.
 * @property {string | null} agent The name of the agent that executes the step.
 * @property {Part} [cause] The tool call that started the step: that of its message, if a message has it.
 * @property {"running" | "waiting" | "done" | "failed" | "stopped"} state "waiting" if it has stopped to ask, and its requests are not all answered.
 * @property {string | null} error
 * @property {string} output What the step has printed so far, such as the output of a command.
 * @property {Record<string, any>} updates The last plan, progress or other news, by its type.
 * @property {readonly Request[]} requests What it has asked for, such as permissions, answered or not.
 */
/** An answer being followed, as `follow` returns it. */
export declare class Answer {
    #private;
    /** The message: the first of several choices; in a run, the one outside all steps. */
    message: Message;
    /** All messages, one for each choice and for each step of a run, in the order in which they began. */
    messages: Message[];
    /** @type {Map<string, Step>} The steps of a run by id. */
    steps: Map<string, Step>;
    /** @type {Message | null} The message that was abandoned when the answer restarted. */
    discarded: Message | null;
    /** @type {any} The document built by the patches received; see `applyPatch`. */
    form: any;
    /** @type {string | null} The reason for which it was stopped. */
    stopReason: string | null;
    /** @type {Promise<Message>} Resolves with the message once the answer has ended in any way. */
    done: Promise<Message>;
    /**
     * @param {(listener: Listener) => Line} connect Opens the connection that the answer reads.
     * @param {Reading} options
     * @param {boolean} starts True if the request that is read starts the answer.
     */
    constructor(connect: (listener: Listener) => Line, options: Reading, starts: boolean);
    /** The answer's id in its journal; null until the server has sent it. */
    get id(): string | null;
    /** The position of the last event received; 0 before the first. */
    get position(): number;
    /** "waiting" until there is a network, or the page is visible. @returns {State} */
    get state(): State;
    /** Number of connections tried. */
    get connections(): number;
    get ended(): boolean;
    /** The requests of running and waiting steps that wait for an answer. @returns {Request[]} */
    get waiting(): Request[];
    /** Call a function after each change; returns a function that unsubscribes it. @param {() => void} listener */
    subscribe(listener: () => void): () => undefined;
    /**
     * Yields all events, from the first one received, until the answer has ended.
     *
     * Never skips one: a loop that needs an event that is no longer kept throws a RangeError.
     */
    [Symbol.asyncIterator](): AsyncGenerator<AnswerEvent, void, unknown>;
    /**
     * Stop the answer for all its readers.
     *
     * Resolves with the server's reply. Events already sent still arrive, and then the end.
     * An answer without positions is not in a journal; it ends by closing the connection.
     */
    stop(): Promise<any>;
    /** Stop following, once every caller of `follow` has closed it. An answer in a journal goes on. */
    close(): void;
    /** Count one more user; `follow` calls it. @param {Pick<Reading, "signal" | "onEvent">} options */
    join({ signal, onEvent }: Pick<Reading, "signal" | "onEvent">): this;
}
