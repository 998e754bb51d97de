/**
 * Follows the answers that `relay.websocket` sends over a WebSocket.
 *
 *     const answer = followSocket(socket, { ask: { question } });
 *     answer.subscribe(() => show(answer.message.text));
 *     await answer.done;
 */
import { Answer } from "./answer.js";
import type { Reading } from "./answer.js";
export type Asking = {
    /**
     * A JSON value to send first, as soon as the socket is open.
     */
    ask?: any;
    /**
     * Seconds without a message after which the connection is dead; 35 by default.
     */
    silence?: number;
};
/**
 * Follow the next answer that comes over a socket. The socket stays open for the one after it.
 *
 * There is no journal behind the socket: an answer that is cut is "truncated". `stop` stops the answer,
 * and `close` closes the socket if the answer has not ended. If the question was not sent yet, neither of
 * them sends it, and the socket stays open.
 *
 * Throws an error if the socket has an answer that has not ended.
 *
 * @param {WebSocket} socket
 * @param {Reading & Asking} [options]
 * @returns {Answer}
 */
export declare function followSocket(socket: WebSocket, options?: Reading & Asking): Answer;
