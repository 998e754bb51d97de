import type { Ending, Failure } from "./message.js";
export type Requesting = {
    /**
     * A function to use in place of the global `fetch`.
     */
    fetch?: typeof globalThis.fetch;
    /**
     * The request's headers; a function makes them anew for each attempt.
     */
    headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>);
};
export type Patience = {
    /**
     * Most attempts in a row without an event; 10 by default.
     */
    attempts?: number;
    /**
     * Seconds before the second attempt, doubled for each more; 0.5 by default.
     */
    wait?: number;
    /**
     * The longest such wait, in seconds; 10 by default.
     */
    longest?: number;
    /**
     * Seconds without a byte after which the connection is dead; 35 by default.
     */
    silence?: number;
};
export type ConnectionOptions = Omit<RequestInit, "headers" | "signal"> & Requesting & Patience;
export type State = "connecting" | "open" | "waiting" | "ended";
export type Listener = {
    /**
     * Takes the data of an event; returns false if the answer is no further by it. An error that it throws ends the answer.
     */
    take: (data: string, position: number | null) => boolean;
    /**
     * Called when an event has come that came before; it is not taken again.
     */
    repeated?: () => void;
    /**
     * Returns true if the answer can't be continued after the event taken last.
     */
    isLoose?: () => boolean;
    /**
     * Returns the answer's id if an event tells it. Without this function, only the response's header does.
     */
    findId?: (data: string) => unknown;
    /**
     * Awaited before more is read.
     */
    settle?: () => Promise<void>;
    /**
     * Called when the state has changed.
     */
    changed: () => void;
    /**
     * Called when no more will come, and the answer has not ended.
     */
    fail: (ending: Ending, error: Failure) => void;
};
export type Line = {
    id: string | null;
    position: number;
    state: State;
    connections: number;
    /**
     * Notes that the answer has ended.
     */
    finish: () => void;
    /**
     * Ends the connection.
     */
    hangUp: () => void;
    /**
     * Asks to stop the answer; resolves with false if only hanging up stops it.
     */
    stop: () => Promise<any>;
};
/** An answer's connections over HTTP, one after the other: each continues where the one before it broke. */
export declare class Connection {
    #private;
    /** @type {string | null} The answer's id; null until the server has sent it. */
    id: string | null;
    /** True once the server has shown that it keeps the answer: it has an address or positions, or an event names it. */
    kept: boolean;
    /** The position of the last event received; 0 before the first. */
    position: number;
    /** @type {State} */
    state: State;
    /** Number of connections tried. */
    connections: number;
    /**
     * @param {string | URL} url
     * @param {ConnectionOptions} options
     * @param {Listener} listener
     * @param {{stop?: string | URL, after?: number}} [place] The address to stop at, and the position to begin after.
     */
    constructor(url: string | URL, options: ConnectionOptions, listener: Listener, { stop, after }?: {
        stop?: string | URL;
        after?: number;
    });
    /** The address at which a GET follows the answer; null if there is none yet. */
    get address(): string | null;
    stop(): Promise<any>;
    finish(): void;
    hangUp(): void;
}
/** @param {string | URL} url */
export declare function absolute(url: string | URL): string;
