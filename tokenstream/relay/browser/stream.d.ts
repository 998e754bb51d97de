export type StreamOptions = import("./connection.js").ConnectionOptions & {
    signal?: AbortSignal | null;
};
/** @typedef {import("./connection.js").ConnectionOptions & {signal?: AbortSignal | null}} StreamOptions */
/**
 * Open an answer in another protocol than ours: a stream of the data of its events, each of them once.
 *
 * Continues after a cut if the response has named the answer in `X-Answer-Id`, and its events have positions.
 * Resolves as soon as the server has answered: with null if there is nothing to follow. Rejects if the server refuses.
 *
 * @param {string | URL} url
 * @param {StreamOptions} options
 * @param {(data: string) => boolean} isLast Returns true for the data of the answer's last event.
 * @returns {Promise<ReadableStream<string> | null>}
 */
export declare function openStream(url: string | URL, { signal, ...options }: StreamOptions, isLast: (data: string) => boolean): Promise<ReadableStream<string> | null>;
/**
 * Ask to stop an answer; resolves with the server's reply.
 *
 * @param {string | URL} url
 * @param {RequestInit} init
 * @param {typeof globalThis.fetch} [fetch]
 */
export declare function askToStop(url: string | URL, init: RequestInit, fetch?: typeof globalThis.fetch): Promise<any>;
