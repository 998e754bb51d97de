// @ts-check
/**
 * A transport for the AI SDK's `useChat` that survives cuts, reloads and sleep.
 *
 *     const transport = new RelayChatTransport({ api: "/api/chat" });
 *     const { messages, sendMessage } = useChat({ id, transport, resume: true });
 */
import { askToStop, openStream } from "./stream.js";

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
export class RelayChatTransport {
  /** For the AI SDK: an answer that is reconnected to comes from its beginning. */
  resumeStreamIsReplay = true;
  #options;
  #api;

  /** @param {TransportOptions & Patience} [options] */
  constructor(options = {}) {
    this.#options = options;
    this.#api = options.api ?? "/api/chat";
  }

  /**
   * Send the chat's messages; resolves with the chunks of the answer.
   *
   * An answer to the results of the page's own tools goes on in the message that has the calls, under its id.
   *
   * @param {ChatRequest & {trigger: string, messageId: string | undefined, messages: any[], abortSignal: AbortSignal | undefined}} request
   * @returns {Promise<ReadableStream<any>>}
   */
  async sendMessages({ chatId: id, trigger, messageId, messages, ...request }) {
    const more = { id, messages, trigger, messageId };
    const made = await this.#make(request, more, this.#options.prepareSendMessagesRequest);
    const body = JSON.stringify(made.prepared?.body ?? { ...made.body, ...more });
    const headers = async () => {
      const all = await made.headers();
      if (!all.has("Content-Type")) all.set("Content-Type", "application/json");
      return all;
    };
    const before = messages.find(message => message.id === messageId) ?? messages.at(-1);
    const init = { ...made.init, method: "POST", headers, body };
    const chunks = await this.#open(made.prepared?.api ?? this.#api, init, before?.role === "assistant");
    if (!chunks) throw new Error("the server answered with status 204");
    return chunks;
  }

  /**
   * Follow the running answer of a chat from its beginning; resolves with null if there is none (status 204).
   *
   * If the answer ends while the connection is cut, the rest of it comes from `api` plus the answer's id.
   *
   * @param {ChatRequest} request
   * @returns {Promise<ReadableStream<any> | null>}
   */
  async reconnectToStream({ chatId: id, ...request }) {
    const { prepared, init, headers } = await this.#make(request, { id }, this.#options.prepareReconnectToStreamRequest);
    const placeOf = (/** @type {string} */ answer) => `${this.#api}/${encodeURIComponent(answer)}`;
    return this.#open(prepared?.api ?? this.#address(id, "stream"), { ...init, headers, placeOf });
  }

  /** Stop the running answer of a chat for all its readers. @param {string} chatId */
  async stop(chatId) {
    const { headers, init } = await this.#make({}, {});
    return askToStop(this.#address(chatId, "stop"), { ...init, headers: await headers() }, this.#options.fetch);
  }

  /** @param {string} chatId @param {string} place */
  #address(chatId, place) {
    return `${this.#api}/${encodeURIComponent(chatId)}/${place}`;
  }

  /**
   * Make what a request has, from the options, what `useChat` gives, and what a `prepare…` function makes of it.
   *
   * @param {Partial<ChatRequest>} request
   * @param {object} more
   * @param {TransportOptions["prepareSendMessagesRequest"]} [prepare]
   */
  async #make({ abortSignal, headers, body, metadata }, more, prepare) {
    const options = this.#options;
    const credentials = await resolved(options.credentials);
    const merged = async () => {
      const all = new Headers(await resolved(options.headers));
      new Headers(headers).forEach((value, name) => all.set(name, value));
      return all;
    };
    const whole = { ...(await resolved(options.body)), ...body };
    const given = { api: this.#api, ...more, body: whole, credentials, requestMetadata: metadata };
    const prepared = await prepare?.({ ...given, headers: Object.fromEntries(await merged()) });
    return {
      body: whole,
      prepared,
      headers: prepared?.headers ? async () => new Headers(prepared.headers) : merged,
      init: { credentials: prepared?.credentials ?? credentials, signal: abortSignal },
    };
  }

  /** @param {string} url @param {import("./stream.js").StreamOptions} options @param {boolean} [goesOn] True if the answer belongs to a message that the page has. */
  async #open(url, options, goesOn) {
    const { fetch, attempts, wait, longest, silence } = this.#options;
    const stream = await openStream(url, { ...options, fetch, attempts, wait, longest, silence }, data => data === "[DONE]");
    const parse = new TransformStream({
      transform(data, to) {
        if (data === "[DONE]") return;
        const chunk = JSON.parse(data);
        // Under another id, the AI SDK would add a copy of the message.
        if (goesOn && chunk.type === "start") delete chunk.messageId;
        to.enqueue(chunk);
      },
    });
    return stream && stream.pipeThrough(parse);
  }
}

/** @template T @param {Resolvable<T>} value @returns {Promise<T>} */
async function resolved(value) {
  return typeof value === "function" ? /** @type {any} */ (value)() : value;
}
