// @ts-check
import { show as showMarkdown } from "./markdown.js";
import { follow } from "./tokenstream/tokenstream.js";

/** @typedef {{id: number, question: string, answer: string, form: boolean, fresh?: boolean}} Turn */

const turns = /** @type {HTMLElement} */ (document.getElementById("turns"));
const ask = /** @type {HTMLFormElement} */ (document.getElementById("ask"));
const status = /** @type {HTMLElement} */ (document.getElementById("status"));
const notice = /** @type {HTMLElement} */ (document.getElementById("notice"));
const again = /** @type {HTMLElement} */ (document.getElementById("again"));
let chat = "";

/** @param {string} path @param {object} [body] */
async function send(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body ?? {}),
  });
  const said = await response.json().catch(() => null);
  if (!response.ok) throw new Error(sentenceOf(said) ?? `status ${response.status}`);
  return said;
}

/** Return why a request was refused: in the relay's words, or in FastAPI's. */
/** @param {any} said @returns {string | null} */
const sentenceOf = said => said?.error?.message ?? (typeof said?.detail === "string" ? said.detail : null);

/** Show a control, or hide it; the keyboard is then at another place, not at the top of the page. */
/** @param {HTMLElement} control @param {boolean} hidden @param {HTMLElement} place */
function hide(control, hidden, place) {
  if (hidden && control.contains(document.activeElement)) place.focus({ preventScroll: true });
  control.hidden = hidden;
}

let follows = true;
let scrolled = 0;
/** Follow the text until the reader scrolls up, and again from the end of the page. */
addEventListener("scroll", () => {
  const rest = document.documentElement.scrollHeight - innerHeight - scrollY;
  follows = rest < 8 || (follows && scrollY >= scrolled);
  scrolled = scrollY;
});

/** Set a text that is read aloud whenever it is set. @param {HTMLElement} place @param {string} text */
const write = (place, text) => place.textContent === text || (place.textContent = text);

/** Do what may fail; tell if it has failed, and offer to do it again. */
/** @param {string} failed @param {() => Promise<void>} act */
async function attempt(failed, act) {
  notice.textContent = "";
  try {
    await act();
    hide(again, true, /** @type {HTMLElement} */ (ask.elements.namedItem("question")));
  } catch (error) {
    notice.textContent = `${failed}: ${wordsOf(error)}`;
    again.onclick = () => attempt(failed, act);
    again.hidden = false;
  }
}

/** @param {unknown} error */
const wordsOf = error => (error instanceof Error ? error.message : String(error));

/** @param {Element} place @param {string} selector @returns {HTMLElement} */
const find = (place, selector) => /** @type {HTMLElement} */ (place.querySelector(selector));

/** Show an answer while it arrives, in place of an earlier answer to the same question. */
/** @param {Turn} turn @param {HTMLElement} [article] */
function show({ id, question, answer: key, form, fresh }, article) {
  if (!article) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("turn"));
    article = /** @type {HTMLElement} */ (find(/** @type {any} */ (template.content), "article").cloneNode(true));
    turns.append(article);
    find(article, ".question").textContent = question;
  }
  const place = article;
  const address = `api/answers/${encodeURIComponent(key)}`;
  const answer = follow(form ? `${address}/form` : address, { stop: `${address}/stop`, fresh });
  const heading = find(place, ".question");
  const stop = find(place, ".stop");
  const retry = find(place, ".retry");
  for (const button of [stop, retry]) button.ariaLabel = `${button.textContent}: ${question}`;
  stop.onclick = () => answer.stop().catch(error => (find(place, ".status").textContent = wordsOf(error)));
  retry.onclick = async () => {
    hide(retry, true, heading);
    // The old answer stays visible until the new one has text.
    const had = find(place, ".text").childNodes;
    if (had.length) find(place, ".given-up").replaceChildren(...had);
    find(place, ".given-up").hidden = false;
    try {
      show({ ...(await send(`api/chats/${chat}/turns/${id}/again`)), fresh: true }, place);
    } catch (error) {
      retry.hidden = false;
      find(place, ".status").textContent = `It can't be asked again: ${wordsOf(error)}`;
    }
  };

  let due = false;
  const draw = () => {
    due = false;
    const { message, discarded, form: recipe } = answer;
    const given = find(place, ".given-up");
    if (discarded && !message.text) showMarkdown(given, discarded.text);
    given.hidden = message.text !== "" || !given.childNodes.length;
    find(place, ".reasoning").hidden = !message.reasoning;
    find(place, ".reasoning p").textContent = message.reasoning;
    const remarks = textOf(message, isRemark);
    find(place, ".remarks").hidden = !remarks;
    find(place, ".remarks p").textContent = remarks;
    if (!form) showMarkdown(find(place, ".text"), textOf(message, part => !isRemark(part)));
    const calls = message.toolCalls;
    calls.forEach((call, at) => showCall(find(place, ".calls"), call, at));
    // The abandoned answer may have had more calls.
    [...find(place, ".calls").children].slice(calls.length).forEach(card => card.remove());
    if (recipe) showRecipe(find(place, ".recipe"), recipe);
    hide(stop, answer.ended, heading);
    hide(retry, !answer.ended || !message.error, heading);
    write(find(place, ".status"), stateOf(answer));
    place.setAttribute("aria-busy", String(!answer.ended));
    tell(answer);
    place.dataset.state = answer.ended ? message.ending : answer.state;
    if (follows) scrollTo(0, document.documentElement.scrollHeight);
  };
  answer.subscribe(() => {
    if (!due) requestAnimationFrame(draw);
    due = true;
  });
  draw();
  runTools(answer, find(place, ".calls"));
}

/** @param {import("./tokenstream/tokenstream.js").Part} part */
const isRemark = ({ phase }) => phase === "commentary";
/**
 * @param {{parts: import("./tokenstream/tokenstream.js").Part[]}} message
 * @param {(part: import("./tokenstream/tokenstream.js").Part) => boolean} which
 */
const textOf = ({ parts }, which) =>
  parts.reduce((text, part) => (part.kind === "text" && which(part) ? text + part.text : text), "");

/** @type {Set<object>} */ const running = new Set();
/** Say when answers are written, and when they are there. @param {import("./tokenstream/tokenstream.js").Answer} answer */
function tell(answer) {
  running[answer.ended ? "delete" : "add"](answer);
  const words = running.size ? "writing …" : answer.message.ending === "complete" ? "answered" : "";
  write(status, words);
}

/** Act on each tool call once: not again when it is replayed after a reload. */
/** @param {import("./tokenstream/tokenstream.js").Answer} answer @param {HTMLElement} place */
async function runTools(answer, place) {
  for await (const event of answer) {
    if (event.type !== "tool_call_done" || event.replayed) continue;
    requestAnimationFrame(() => place.lastElementChild?.classList.add("now"));
  }
}

/** @param {import("./tokenstream/tokenstream.js").Answer} answer */
function stateOf({ state, message, stopReason, ended }) {
  if (message.error) return `It broke off: ${message.error.message}`;
  if (ended) return message.ending === "stopped" ? `Stopped${stopReason ? `: ${stopReason}` : ""}` : "";
  return { connecting: "", open: "", waiting: "no connection; trying again …", ended: "" }[state];
}

/** @param {HTMLElement} place @param {import("./tokenstream/tokenstream.js").Part} call @param {number} at */
function showCall(place, call, at) {
  let card = /** @type {HTMLElement | undefined} */ (place.children[at]);
  if (!card) {
    card = document.createElement("div");
    card.className = "call";
    for (const name of ["name", "arguments", "state"]) {
      const part = document.createElement(name === "arguments" ? "code" : "span");
      part.className = name;
      card.append(part, " ");
    }
    place.append(card);
  }
  find(card, ".name").textContent = call.name ?? "";
  find(card, ".arguments").textContent = call.arguments_text ?? "";
  find(card, ".state").textContent = call.complete ? "asked for" : "…";
}

/** @param {HTMLElement} place @param {any} recipe */
function showRecipe(place, recipe) {
  place.hidden = false;
  /** @param {string} selector @param {any[]} values @param {(value: any) => string} words */
  const list = (selector, values, words) =>
    find(place, selector).replaceChildren(
      ...values.map(value => {
        const item = document.createElement("li");
        item.textContent = words(value);
        return item;
      }),
    );
  find(place, "h3").textContent = recipe.name ?? "…";
  list(".ingredients", recipe.ingredients ?? [], ({ amount, name }) => `${amount ?? ""} ${name ?? ""}`);
  list(".steps", recipe.steps ?? [], ({ title, text }) => `${title ?? ""}: ${text ?? ""}`);
  find(place, ".tip").textContent = recipe.tip ?? "";
}

/** @param {string} question @param {boolean} form */
async function put(question, form) {
  const turn = await send(`api/chats/${chat}/turns`, { question, form });
  follows = true;
  show({ ...turn, fresh: true });
}

ask.addEventListener("submit", event => {
  event.preventDefault();
  attempt("It could not be asked", async () => {
    await put(String(new FormData(ask).get("question")), false);
    ask.reset();
  });
});
for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-question]"))) {
  const { question = "", form } = button.dataset;
  button.onclick = () => attempt("It could not be asked", () => put(question, form !== undefined));
}

attempt("The chat could not be fetched", async () => {
  // The chat's id is in the address, so that reloads and second tabs find it.
  const known = new URLSearchParams(location.search).get("chat");
  const response = known ? await fetch(`api/chats/${encodeURIComponent(known)}`) : null;
  if (known && response?.ok) {
    chat = known;
    (await response.json()).forEach((/** @type {Turn} */ turn) => show(turn));
  } else if (response && response.status !== 404) {
    throw new Error(`status ${response.status}`);
  } else {
    chat = (await send("api/chats")).id;
    history.replaceState(null, "", `?chat=${chat}`);
    if (known) notice.textContent = "There is no such chat any more. This is a new one.";
  }
  /** @type {HTMLFieldSetElement} */ (document.getElementById("controls")).disabled = false;
  document.body.dataset.ready = "";
});
