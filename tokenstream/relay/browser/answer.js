// @ts-check
import { Message } from "./message.js";
import { applyPatch } from "./patch.js";

/** @import { Ending, Failure, Part, Request } from "./message.js" */
/** @import { Line, Listener, State } from "./connection.js" */
/**
 * @typedef {Record<string, any> & {type: string, position: number | null, replayed: boolean}} AnswerEvent
 * An event as sent, its position, and whether the journal had it before this page first asked.
 */
/**
 * @typedef {object} Reading Options of an answer.
 * @property {AbortSignal} [signal] Stops following when it is aborted, as `close` does.
 * @property {(event: AnswerEvent) => void} [onEvent] Called with each event as it arrives.
 * @property {boolean} [fresh] True if the page has just started the answer: no event counts as replayed.
 * @property {number} [keep] Number of latest events that are kept at least, for loops; 10,000 by default.
 */

/**
 * @typedef {object} Step A step of a run; a change makes a new object.
 * @property {string} id
 * @property {string} name Such as that of the tool that the step runs.
 * @property {string | null} parent The id of the enclosing step.
 * @property {string | null} agent The name of the agent that executes the step.
 * @property {Part} [cause] The tool call that started the step: that of its message, if a message has it.
 * @property {"running" | "waiting" | "done" | "failed" | "stopped"} state "waiting" if it has stopped to ask, and its requests are not all answered.
 * @property {string | null} error
 * @property {string} output What the step has printed so far, such as the output of a command.
 * @property {Record<string, any>} updates The last plan, progress or other news, by its type.
 * @property {readonly Request[]} requests What it has asked for, such as permissions, answered or not.
 */

/** An answer being followed, as `follow` returns it. */
export class Answer {
  /** The message: the first of several choices; in a run, the one outside all steps. */
  message = new Message();
  /** All messages, one for each choice and for each step of a run, in the order in which they began. */
  messages = [this.message];
  /** @type {Map<string, Step>} The steps of a run by id. */
  steps = new Map();
  /** @type {Message | null} The message that was abandoned when the answer restarted. */
  discarded = null;
  /** @type {any} The document built by the patches received; see `applyPatch`. */
  form;
  /** @type {string | null} The reason for which it was stopped. */
  stopReason = null;
  /** @type {Promise<Message>} Resolves with the message once the answer has ended in any way. */
  done;

  #line;
  /** @type {(message: Message) => void} */ #finished = () => {};
  #ended = false;
  #keep;
  /** Number of events that are no longer kept. */ #dropped = 0;
  /** @type {AnswerEvent[]} */ #events = [];
  #open = new Map([["0 null", this.message]]);
  /** @type {Set<() => void>} */ #listeners = new Set();
  /** @type {Set<(event: AnswerEvent) => void>} */ #hearers = new Set();
  #users = 0;
  /** @type {number | null} Last position the journal had when this page first asked; null until known. */ #replayed = null;
  /** True if the request that is read has started the answer. */ #starts;

  /**
   * @param {(listener: Listener) => Line} connect Opens the connection that the answer reads.
   * @param {Reading} options
   * @param {boolean} starts True if the request that is read starts the answer.
   */
  constructor(connect, options, starts) {
    this.#keep = options.keep ?? 10_000;
    this.#starts = starts;
    if (options.fresh) this.#replayed = 0;
    this.done = new Promise(resolve => (this.#finished = resolve));
    this.#line = connect({
      take: (data, position) => this.#take(data, position),
      findId: data => JSON.parse(data)?.answer,
      settle: () => this.#settle(),
      changed: () => this.#changed(),
      fail: (ending, error) => this.#finish(ending, error),
    });
    this.join(options);
  }

  /** The answer's id in its journal; null until the server has sent it. */
  get id() {
    return this.#line.id;
  }
  /** The position of the last event received; 0 before the first. */
  get position() {
    return this.#line.position;
  }
  /** "waiting" until there is a network, or the page is visible. @returns {State} */
  get state() {
    return this.#ended ? "ended" : this.#line.state;
  }
  /** Number of connections tried. */
  get connections() {
    return this.#line.connections;
  }
  get ended() {
    return this.#ended;
  }
  /** The requests of running and waiting steps that wait for an answer. @returns {Request[]} */
  get waiting() {
    const open = [...this.steps.values()].filter(({ state }) => state === "running" || state === "waiting");
    return open.flatMap(step => step.requests).filter(request => !request.answered);
  }

  /** Call a function after each change; returns a function that unsubscribes it. @param {() => void} listener */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Yields all events, from the first one received, until the answer has ended.
   *
   * Never skips one: a loop that needs an event that is no longer kept throws a RangeError.
   */
  async *[Symbol.asyncIterator]() {
    for (let at = 0; ; at++) {
      while (at === this.#dropped + this.#events.length) {
        if (this.#ended) return;
        await new Promise(resolve => {
          const leave = this.subscribe(() => resolve(leave()));
        });
      }
      if (at < this.#dropped) throw new RangeError(`the first ${this.#dropped} events are no longer kept: raise \`keep\`, or take \`onEvent\``);
      yield this.#events[at - this.#dropped];
    }
  }

  /**
   * Stop the answer for all its readers.
   *
   * Resolves with the server's reply. Events already sent still arrive, and then the end.
   * An answer without positions is not in a journal; it ends by closing the connection.
   */
  async stop() {
    const said = await this.#line.stop();
    if (said !== false) return said;
    this.#end("stopped");
    return null;
  }

  /** Stop following, once every caller of `follow` has closed it. An answer in a journal goes on. */
  close() {
    this.#users -= 1;
    if (this.#users <= 0 && !this.#ended) this.#end(this.message.ending);
  }

  /** Count one more user; `follow` calls it. @param {Pick<Reading, "signal" | "onEvent">} options */
  join({ signal, onEvent }) {
    this.#users += 1;
    if (onEvent) {
      for (const event of this.#events) call(onEvent, event);
      this.#hearers.add(onEvent);
    }
    if (signal) {
      const close = () => this.close();
      signal.addEventListener("abort", close);
      this.done.then(() => signal.removeEventListener("abort", close));
      if (signal.aborted) close();
    }
    return this;
  }

  /** @param {string} data @param {number | null} position */
  #take(data, position) {
    // No `live` event has come first, so nothing is replayed.
    if (position !== null) this.#replayed ??= 0;
    if (!data) return false;
    const event = JSON.parse(data);
    if (typeof event?.type !== "string") throw new Error("what came is no event");
    if (event.type === "live") {
      // An answer that this page has started has no replays, even if its first events come over a later connection.
      this.#replayed ??= this.#starts && this.connections > 1 ? 0 : event.at;
      return false;
    }
    if (event.type === "end") this.#finish(event.ending, null);
    else if (event.type === "error") this.#finish(event.ending ?? "failed", event);
    else this.#add(Object.assign(event, { position: position ?? event.at ?? null, replayed: position !== null && position <= (this.#replayed ?? 0) }));
    return true;
  }

  /** @param {AnswerEvent} event */
  #add(event) {
    this.#fold(event);
    this.#events.push(event);
    for (const hear of this.#hearers) call(hear, event);
    this.#changed();
  }

  /** Drop the oldest events, many at a time, since each time the rest is moved. */
  async #settle() {
    if (this.#events.length < 2 * this.#keep) return;
    // Loops that wait for nothing else take all that there is before the timer fires.
    await new Promise(resolve => setTimeout(resolve));
    this.#dropped += this.#events.splice(0, this.#events.length - this.#keep).length;
  }

  /** @param {Record<string, any>} event */
  #fold(event) {
    switch (event.type) {
      case "restarted": {
        // In a run only one step restarts; the messages of the others stay.
        const step = event.step ?? null;
        this.discarded = this.#messageOf(0, step);
        this.messages = this.messages.filter(message => message.step !== step || !this.#open.delete(`${message.choice} ${step}`));
        this.#begin(0, step);
        if (step === null) this.form = undefined;
        break;
      }
      case "stopped":
        this.stopReason = event.reason;
        break;
      case "patch":
        this.form = applyPatch(this.form, event.patch);
        break;
      case "step_start": {
        const { calls } = this.message;
        const { id, cause } = event;
        // A coding agent's calls are in no message.
        if (cause && !calls.has(cause.id)) calls.set(cause.id, cause);
        const step = { parent: null, agent: null, error: null, output: "", updates: {}, requests: [], ...event, cause: calls.get(cause?.id), state: "running" };
        this.steps.set(id, /** @type {any} */ (step));
        break;
      }
      case "step_done":
        this.#change(event.id, () => ({ state: "done", error: null, ...event }));
        break;
      case "step_delta":
        this.#change(event.id, ({ output }) => ({ output: output + event.text }));
        break;
      case "step_update":
        this.#change(event.id, ({ updates }) => ({ updates: { ...updates, [event.data?.type]: event.data } }));
        break;
      case "step_waiting":
        this.#change(event.step, ({ cause, requests, state }) => {
          const { id, request, answered = false, step } = event;
          requests = [...requests.filter(other => other.id !== id), { id, request, answered, step }];
          if (cause) cause.requests = requests;
          if (state === "waiting" && requests.every(each => each.answered)) state = "done";
          return { requests, state };
        });
        break;
      case "tool_progress":
      case "tool_result":
        // All messages have the calls of all, as ids of calls are unique in a run.
        this.message.take(event);
        break;
      default: {
        const choice = event.choice ?? 0;
        const step = event.step ?? null;
        // The answer goes on after its tools were run, so it has no finish reason yet.
        if (event.another) for (const message of this.messages) if (message.step === step) message.finish_reason = null;
        this.#messageOf(choice, step).take(event);
      }
    }
  }

  /** Replace a step by one with changes, if it has begun. @param {string} id @param {(step: Step) => Partial<Step>} change */
  #change(id, change) {
    const step = this.steps.get(id);
    if (step) this.steps.set(id, { ...step, ...change(step) });
  }

  /** @param {number} choice @param {string | null} step */
  #messageOf(choice, step) {
    return this.#open.get(`${choice} ${step}`) ?? this.#begin(choice, step);
  }

  /** @param {number} choice @param {string | null} step */
  #begin(choice, step) {
    const message = new Message(choice, step, this.message.calls);
    this.messages.push(message);
    this.#open.set(`${choice} ${step}`, message);
    if (choice === 0 && step === null) this.message = message;
    return message;
  }

  /** Hang up. @param {Ending} ending */
  #end(ending) {
    this.#finish(ending, null);
    this.#line.hangUp();
  }

  /** @param {Ending} ending @param {Failure | null} error */
  #finish(ending, error) {
    if (this.#ended) return;
    this.#ended = true;
    for (const message of this.messages) Object.assign(message, { ending, error });
    this.#line.finish();
    this.#finished(this.message);
  }

  #changed() {
    for (const listener of [...this.#listeners]) call(listener, undefined);
  }
}

/** Call a function that must not end the reading if it fails. @template T @param {(given: T) => void} called @param {T} given */
function call(called, given) {
  try {
    called(given);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
