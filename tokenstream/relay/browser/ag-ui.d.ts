export type Patience = Pick<import("./connection.js").Reconnecting, "attempts" | "wait" | "longest" | "silence">;
/**
 * Make a class of agents out of `HttpAgent` of `@ag-ui/client`, for relays that answer in the protocol `ag-ui`.
 *
 * `runAgent` continues after a cut, and `connectAgent` follows the run that goes on at `url/threadId/stream`,
 * or does nothing if there is none (status 204). `abortRun` stops following, and `stopRun` stops the run.
 *
 * @template {new (...given: any[]) => any} C
 * @param {C} HttpAgent
 * @param {Patience} [patience]
 */
export declare function relayAgent<C extends new (...given: any[]) => any>(HttpAgent: C, patience?: Patience): {
    new (...given: any[]): {
        [x: string]: any;
        /** Follow the run that goes on, from its beginning. @param {any} input @returns {any} */
        connect(input: any): any;
        /** Stop the run for all its readers; resolves with the server's reply. @returns {Promise<any>} */
        stopRun(): Promise<any>;
    };
} & C;
