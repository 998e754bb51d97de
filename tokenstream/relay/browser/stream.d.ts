export type Opening = {
    signal?: AbortSignal | null;
    /**
     * Returns the address of an answer, if the address that is opened has it only while it is running.
     */
    placeOf?: (id: string) => string | URL;
};
export type StreamOptions = import("./connection.js").ConnectionOptions & Opening;
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
export declare function openStream(url: string | URL, { signal, placeOf, ...options }: StreamOptions, isLast: (data: string) => boolean): Promise<ReadableStream<string> | null>;
/**
 * Ask to stop an answer; resolves with the server's reply.
 *
 * @param {string | URL} url
 * @param {RequestInit} init
 * @param {typeof globalThis.fetch} [fetch]
 */
export declare function askToStop(url: string | URL, init: RequestInit, fetch?: typeof globalThis.fetch): Promise<any>;
