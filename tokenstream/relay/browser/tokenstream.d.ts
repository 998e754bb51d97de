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
export { Answer } from "./answer.js";
export { Message } from "./message.js";
export { applyPatch } from "./patch.js";
export type AnswerEvent = import("./answer.js").AnswerEvent;
export type Ending = import("./message.js").Ending;
export type Failure = import("./message.js").Failure;
export type Part = import("./message.js").Part;
export type Place = {
    /**
     * Address to which a POST stops the answer; by default its own plus "/stop".
     */
    stop?: string | URL;
    /**
     * Calls with the same key share one follower; by default the address of a GET.
     */
    key?: string;
    /**
     * The position after which to begin; 0 is the start.
     */
    after?: number;
};
export type Following = import("./connection.js").ConnectionOptions & import("./answer.js").Reading & Place;
/**
 * Follow an answer; a second call for the same answer joins the first.
 *
 * @param {string | URL} url
 * @param {Following} [options] Options of `fetch`, and of the follower.
 * @returns {Answer}
 */
export declare function follow(url: string | URL, options?: Following): Answer;
