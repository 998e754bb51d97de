// @ts-check
import { follow } from "./tokenstream/tokenstream.js";

/** @param {string} path @param {object} [body] */
async function send(path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error((await response.json()).detail ?? `status ${response.status}`);
  return response.json();
}

/** @param {Element} place @param {string} selector @returns {HTMLElement} */
const find = (place, selector) => /** @type {HTMLElement} */ (place.querySelector(selector));

/** @param {string} id @returns {HTMLElement} */
const copy = id => {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  return /** @type {HTMLElement} */ (document.importNode(template.content, true).firstElementChild);
};

/** Show a question and its answer while it arrives. @param {{id: string, question: string}} turn */
function show({ id, question }) {
  const article = copy("turn");
  find(document.body, "main").append(article);
  find(article, ".question").textContent = question;

  const address = `api/answers/${id}`;
  const answer = follow(address);

  /** The texts and calls of the answer, in their order. @type {Map<string, HTMLElement>} */
  const shown = new Map();
  /** @param {string} key @param {() => HTMLElement} make */
  const place = (key, make) => {
    let element = shown.get(key);
    if (!element) {
      shown.set(key, (element = make()));
      find(article, ".parts").append(element);
    }
    return element;
  };

  const draw = () => {
    for (const message of answer.messages) {
      message.parts.forEach((part, at) => {
        const key = `${message.step} ${at}`;
        if (part.kind === "text") place(key, () => document.createElement("p")).textContent = part.text ?? "";
        if (part.kind === "tool_call") drawCall(place(key, () => copy("call")), part);
      });
    }
    article.dataset.state = answer.ended ? answer.message.ending : answer.state;
    find(article, ".stop").hidden = answer.ended;
    find(article, ".error").textContent = answer.message.error?.message ?? "";
  };

  /** @param {HTMLElement} card @param {import("./tokenstream/tokenstream.js").Part} call */
  const drawCall = (card, call) => {
    const { complete, result } = call;
    const request = call.requests?.find(({ answered }) => !answered && !answer.ended);
    const runs = complete && !request && !answer.ended;
    find(card, ".name").textContent = call.name ?? "";
    find(card, ".arguments").textContent = call.arguments_text ?? "";
    find(card, ".result").textContent = result ? wordsOf(result) : runs ? "running …" : "";
    card.classList.toggle("failed", Boolean(result?.error));
    find(card, ".decision").hidden = !request;
    /** @param {boolean} approved */
    const decide = approved =>
      send(`${address}/requests/${request?.id}`, { approved }).catch(error => (find(article, ".error").textContent = error.message));
    find(card, ".approve").onclick = () => decide(true);
    find(card, ".deny").onclick = () => decide(false);
  };

  find(article, ".stop").onclick = () => answer.stop();
  let due = false;
  answer.subscribe(() => {
    if (!due) requestAnimationFrame(() => ((due = false), draw()));
    due = true;
  });
  draw();
}

/** @param {NonNullable<import("./tokenstream/tokenstream.js").Part["result"]>} result */
function wordsOf({ output, error }) {
  return error ?? (typeof output === "string" ? output : JSON.stringify(output));
}

const form = /** @type {HTMLFormElement} */ (find(document.body, "form"));
form.onsubmit = async event => {
  event.preventDefault();
  const status = find(form, ".error");
  status.textContent = "";
  try {
    show(await send("api/answers", { question: form.question.value }));
    form.reset();
  } catch (error) {
    status.textContent = error instanceof Error ? error.message : String(error);
  }
};
const response = await fetch("api/answers");
for (const turn of await response.json()) show(turn);
document.body.dataset.ready = "";
