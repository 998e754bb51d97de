// @ts-check
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

/** The most values that are kept of a tool's progress. */
const KEPT_PROGRESS = 1_000;

/** A message of an answer, as far as it has arrived. */
export class Message {
  /** @type {Map<number, Part>} */
  #parts = new Map();
  /** @type {string | null} */ model = null;
  role = "assistant";
  /** @type {Record<string, any> | null} */ usage = null;
  /** @type {string | null} */ finish_reason = null;
  /** @type {Ending} */ ending = "streaming";
  /** @type {Failure | null} */ error = null;

  /** @param {number} choice @param {string | null} step @param {Map<string, Part>} calls */
  constructor(choice = 0, step = null, calls = new Map()) {
    this.choice = choice;
    /** The id of its step in a run. */
    this.step = step;
    /** The tool calls by id, also those of the answer's other messages. */
    this.calls = calls;
  }

  get parts() {
    return [...this.#parts.values()];
  }
  get text() {
    return this.#joined("text");
  }
  get reasoning() {
    return this.#joined("reasoning");
  }
  get refusal() {
    return this.#joined("refusal");
  }
  get toolCalls() {
    return this.parts.filter(part => part.kind === "tool_call");
  }

  /** @param {string} kind */
  #joined(kind) {
    // Strings are added, not joined in an array: that would copy the whole text each time that it is read.
    let joined = "";
    for (const part of this.#parts.values()) if (part.kind === kind) joined += part.text;
    return joined;
  }

  /** @param {Record<string, any>} event @param {Record<string, any>} start @returns {any} */
  #part(event, start) {
    const at = event.part ?? 0;
    let part = this.#parts.get(at);
    if (!part) this.#parts.set(at, (part = /** @type {Part} */ ({ complete: false, ...start })));
    return part;
  }

  /** @param {Record<string, any>} event */
  take(event) {
    switch (event.type) {
      case "message_start":
        this.model = event.model ?? this.model;
        this.role = event.role ?? this.role;
        break;
      case "text_delta":
      case "reasoning_delta":
      case "refusal_delta":
        this.#part(event, { kind: event.type.slice(0, -"_delta".length), text: "" }).text += event.text ?? "";
        break;
      case "tool_call_start":
        this.calls.set(event.id, this.#part(event, { kind: "tool_call", id: event.id, name: event.name, arguments_text: "" }));
        break;
      case "tool_call_delta":
        this.#part(event, { kind: "tool_call", id: event.id, name: "", arguments_text: "" }).arguments_text += event.fragment;
        break;
      case "tool_call_done": {
        const call = this.#part(event, { kind: "tool_call" });
        assign(call, { arguments_text: "" }, event.call, { complete: true });
        this.calls.set(call.id, call);
        try {
          call.arguments = JSON.parse(call.arguments_text || "{}");
        } catch {
          // The input of a custom tool is free text.
        }
        break;
      }
      case "resumed":
        for (const call of event.discarded ?? []) {
          for (const [at, part] of this.#parts) if (part.id === call.id) this.#parts.delete(at);
          this.calls.delete(call.id);
        }
        break;
      case "part_start": {
        const part = this.#part(event, {});
        assign(part, event.content);
        if (["text", "reasoning", "refusal"].includes(part.kind)) part.text ??= "";
        break;
      }
      case "part_delta": {
        const part = this.#part(event, { kind: "opaque" });
        part.arguments_text = (part.arguments_text ?? "") + event.fragment;
        break;
      }
      case "part_done":
        assign(this.#part(event, {}), { complete: true }, event.content);
        break;
      case "citation_added":
        assign(this.#part(event, {}), event.citation, { kind: "citation", complete: true });
        break;
      case "media_delta": {
        const part = this.#part(event, { kind: "media" });
        part.transcript = (part.transcript ?? "") + (event.transcript ?? "");
        if (event.data) (part.chunks ??= []).push(Uint8Array.from(atob(event.data), byte => byte.charCodeAt(0)));
        break;
      }
      case "tool_progress": {
        const call = this.calls.get(event.id);
        if (call) call.progress = [...(call.progress ?? []).slice(1 - KEPT_PROGRESS), event.output ?? null];
        break;
      }
      case "tool_result": {
        const { output = null, error = null, provider_executed = false } = event;
        const call = this.calls.get(event.id);
        if (call) call.result = { output, error, provider_executed };
        break;
      }
      case "usage_update":
        this.usage = { ...this.usage, ...event.usage };
        break;
      case "finish":
        this.finish_reason = event.reason;
        for (const at of event.order ?? []) {
          const part = this.#parts.get(at);
          if (part && this.#parts.delete(at)) this.#parts.set(at, part);
        }
        break;
    }
  }
}

/**
 * Set the keys of some objects, as `Object.assign` does, but never the prototype: JSON may have a key `__proto__`.
 * @param {Record<string, any>} target @param {(Record<string, any> | undefined)[]} sources
 */
function assign(target, ...sources) {
  for (const source of sources) {
    for (const [key, value] of Object.entries(source ?? {})) if (key !== "__proto__") target[key] = value;
  }
}
