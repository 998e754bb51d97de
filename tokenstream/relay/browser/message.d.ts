/**
 * @typedef {object} Part A part of a message, with the keys of docs/reference/protocol.md.
 * @property {string} kind "text", "reasoning", "refusal", "tool_call", "citation", "media", …
 * @property {boolean} complete True once the part no longer changes.
 * @property {string} [text] Text, reasoning, refusal: the text so far.
 * @property {string} [phase] Text: "commentary" for a remark beside the answer.
 * @property {string} [id] Tool call: its id.
 * @property {string} [name] Tool call: the tool's name.
 * @property {string} [arguments_text] Tool call: its JSON so far.
 * @property {any} [arguments] Complete tool call: the parsed arguments.
 * @property {any[]} [progress] Tool call of the application: what the tool has shown while it ran, the last 1,000 values.
 * @property {ToolResult} [result] Tool call of the application or an agent: what the tool has returned, once it has.
 * @property {readonly Request[]} [requests] Tool call in a run: what its step has asked for, such as permissions.
 * @property {Uint8Array[]} [chunks] Media: its bytes, in pieces.
 * @property {string} [transcript] Media: the spoken words.
 * @property {any} [content] Result of a server tool: its value.
 */
/**
 * @typedef {object} ToolResult
 * @property {any} output What the tool has returned.
 * @property {string | null} error A description of the failure; null if the tool has succeeded.
 * @property {boolean} provider_executed True if an agent has run the tool itself.
 */
/**
 * @typedef {object} Request A question of a step that waits for an answer.
 * @property {string} id Its id, as for `run.reply` in the backend.
 * @property {any} request The question, as the agent sent it.
 * @property {boolean} answered True once it was answered.
 * @property {string} step The id of the step that asks.
 */
/**
 * @typedef {object} Failure
 * @property {string} error The class of the error, such as "StreamInterrupted".
 * @property {string} kind "network", "protocol", "provider", …
 * @property {string} message A sentence that describes the error.
 * @property {boolean} retryable True if asking again may help.
 * @property {boolean} [may_repeat] True if a refused request has asked no model, so that it is repeated unasked.
 * @property {number | null} [retry_after] Seconds to wait before that.
 * @property {number} [status] The HTTP status, if the server answered with an error.
 */
/** @typedef {"streaming" | "complete" | "stopped" | "truncated" | "failed"} Ending */
export type Part = {
    /**
     * "text", "reasoning", "refusal", "tool_call", "citation", "media", …
     */
    kind: string;
    /**
     * True once the part no longer changes.
     */
    complete: boolean;
    /**
     * Text, reasoning, refusal: the text so far.
     */
    text?: string;
    /**
     * Text: "commentary" for a remark beside the answer.
     */
    phase?: string;
    /**
     * Tool call: its id.
     */
    id?: string;
    /**
     * Tool call: the tool's name.
     */
    name?: string;
    /**
     * Tool call: its JSON so far.
     */
    arguments_text?: string;
    /**
     * Complete tool call: the parsed arguments.
     */
    arguments?: any;
    /**
     * Tool call of the application: what the tool has shown while it ran, the last 1,000 values.
     */
    progress?: any[];
    /**
     * Tool call of the application or an agent: what the tool has returned, once it has.
     */
    result?: ToolResult;
    /**
     * Tool call in a run: what its step has asked for, such as permissions.
     */
    requests?: readonly Request[];
    /**
     * Media: its bytes, in pieces.
     */
    chunks?: Uint8Array[];
    /**
     * Media: the spoken words.
     */
    transcript?: string;
    /**
     * Result of a server tool: its value.
     */
    content?: any;
};
export type ToolResult = {
    /**
     * What the tool has returned.
     */
    output: any;
    /**
     * A description of the failure; null if the tool has succeeded.
     */
    error: string | null;
    /**
     * True if an agent has run the tool itself.
     */
    provider_executed: boolean;
};
export type Request = {
    /**
     * Its id, as for `run.reply` in the backend.
     */
    id: string;
    /**
     * The question, as the agent sent it.
     */
    request: any;
    /**
     * True once it was answered.
     */
    answered: boolean;
    /**
     * The id of the step that asks.
     */
    step: string;
};
export type Failure = {
    /**
     * The class of the error, such as "StreamInterrupted".
     */
    error: string;
    /**
     * "network", "protocol", "provider", …
     */
    kind: string;
    /**
     * A sentence that describes the error.
     */
    message: string;
    /**
     * True if asking again may help.
     */
    retryable: boolean;
    /**
     * True if a refused request has asked no model, so that it is repeated unasked.
     */
    may_repeat?: boolean;
    /**
     * Seconds to wait before that.
     */
    retry_after?: number | null;
    /**
     * The HTTP status, if the server answered with an error.
     */
    status?: number;
};
export type Ending = "streaming" | "complete" | "stopped" | "truncated" | "failed";
/** A message of an answer, as far as it has arrived. */
export declare class Message {
    #private;
    choice: number;
    /** The id of its step in a run. */
    step: string | null;
    /** The tool calls by id, also those of the answer's other messages. */
    calls: Map<string, Part>;
    /** @type {string | null} */ model: string | null;
    role: string;
    /** @type {Record<string, any> | null} */ usage: Record<string, any> | null;
    /** @type {string | null} */ finish_reason: string | null;
    /** @type {Ending} */ ending: Ending;
    /** @type {Failure | null} */ error: Failure | null;
    /** @param {number} choice @param {string | null} step @param {Map<string, Part>} calls */
    constructor(choice?: number, step?: string | null, calls?: Map<string, Part>);
    get parts(): Part[];
    get text(): string;
    get reasoning(): string;
    get refusal(): string;
    get toolCalls(): Part[];
    /** @param {Record<string, any>} event */
    take(event: Record<string, any>): void;
}
