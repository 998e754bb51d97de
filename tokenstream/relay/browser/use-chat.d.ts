import type { Patience } from "./connection.js";
export type Resolvable<T> = T | Promise<T> | (() => T | Promise<T>);
export type Prepared = {
    api?: string;
    headers?: HeadersInit;
    body?: object;
    credentials?: RequestCredentials;
};
export type TransportOptions = {
    /**
     * "/api/chat" by default: a POST there starts an answer.
     */
    api?: string;
    /**
     * Made anew for each attempt if it is a function.
     */
    headers?: Resolvable<HeadersInit | undefined>;
    /**
     * Further keys of the JSON body.
     */
    body?: Resolvable<object | undefined>;
    credentials?: Resolvable<RequestCredentials | undefined>;
    fetch?: typeof globalThis.fetch;
    prepareSendMessagesRequest?: (request: any) => Prepared | PromiseLike<Prepared>;
    prepareReconnectToStreamRequest?: (request: any) => Prepared | PromiseLike<Prepared>;
};
export type ChatRequest = {
    chatId: string;
    abortSignal?: AbortSignal;
    headers?: HeadersInit;
    body?: object;
    metadata?: unknown;
};
/** @import { Patience } from "./connection.js" */
/** @template T @typedef {T | Promise<T> | (() => T | Promise<T>)} Resolvable */
/**
 * @typedef {object} Prepared What a `prepare…` function may change in a request.
 * @property {string} [api]
 * @property {HeadersInit} [headers]
 * @property {object} [body]
 * @property {RequestCredentials} [credentials]
 */
/**
 * @typedef {object} TransportOptions Options with the names and meanings of those of `DefaultChatTransport`.
 * @property {string} [api] "/api/chat" by default: a POST there starts an answer.
 * @property {Resolvable<HeadersInit | undefined>} [headers] Made anew for each attempt if it is a function.
 * @property {Resolvable<object | undefined>} [body] Further keys of the JSON body.
 * @property {Resolvable<RequestCredentials | undefined>} [credentials]
 * @property {typeof globalThis.fetch} [fetch]
 * @property {(request: any) => Prepared | PromiseLike<Prepared>} [prepareSendMessagesRequest]
 * @property {(request: any) => Prepared | PromiseLike<Prepared>} [prepareReconnectToStreamRequest]
 */
/**
 * @typedef {object} ChatRequest The part of a request of `useChat` that is the same for all.
 * @property {string} chatId
 * @property {AbortSignal} [abortSignal]
 * @property {HeadersInit} [headers]
 * @property {object} [body]
 * @property {unknown} [metadata]
 */
/** Sends the messages of `useChat` to a relay that answers in the protocol `ui-message`, and reads its answers. */
export declare class RelayChatTransport {
    #private;
    /** For the AI SDK: an answer that is reconnected to comes from its beginning. */
    resumeStreamIsReplay: boolean;
    /** @param {TransportOptions & Patience} [options] */
    constructor(options?: TransportOptions & Patience);
    /**
     * Send the chat's messages; resolves with the chunks of the answer.
     *
     * An answer to the results of the page's own tools goes on in the message that has the calls, under its id.
     *
     * @param {ChatRequest & {trigger: string, messageId: string | undefined, messages: any[], abortSignal: AbortSignal | undefined}} request
     * @returns {Promise<ReadableStream<any>>}
     */
    sendMessages({ chatId: id, trigger, messageId, messages, ...request }: ChatRequest & {
        trigger: string;
        messageId: string | undefined;
        messages: any[];
        abortSignal: AbortSignal | undefined;
    }): Promise<ReadableStream<any>>;
    /**
     * Follow the running answer of a chat from its beginning; resolves with null if there is none (status 204).
     *
     * If the answer ends while the connection is cut, the rest of it comes from `api` plus the answer's id.
     *
     * @param {ChatRequest} request
     * @returns {Promise<ReadableStream<any> | null>}
     */
    reconnectToStream({ chatId: id, ...request }: ChatRequest): Promise<ReadableStream<any> | null>;
    /** Stop the running answer of a chat for all its readers. @param {string} chatId */
    stop(chatId: string): Promise<any>;
}
