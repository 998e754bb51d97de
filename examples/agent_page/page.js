// @ts-check
import { follow } from "./tokenstream/tokenstream.js";

/** @param {string} path @param {object} [body] */
async function send(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, body && { method: "POST", headers, body: JSON.stringify(body) });
  const said = await response.json().catch(() => null);
  if (!response.ok) throw new Error(said?.detail ?? `status ${response.status}`);
  return said;
}

/** @param {Element} place @param {string} selector @returns {HTMLElement} */
const find = (place, selector) => /** @type {HTMLElement} */ (place.querySelector(selector));

/** @param {string} id @returns {HTMLElement} */
const copy = id => {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  return /** @type {HTMLElement} */ (document.importNode(template.content, true).firstElementChild);
};

/** Show a control, or hide it; the keyboard is then at another place, not at the top of the page. */
/** @param {HTMLElement} control @param {boolean} hidden @param {Element} place */
function hide(control, hidden, place) {
  if (hidden && control.contains(document.activeElement)) {
    find(place, ".question, [name=question]").focus({ preventScroll: true });
  }
  control.hidden = hidden;
}

/** Do what may fail; tell if it has failed, and offer to do it again. */
/** @param {Element} place @param {() => Promise<unknown>} act */
async function attempt(place, act) {
  const [error, again] = [".error", ".again"].map(name => find(place, name));
  error.textContent = "";
  try {
    await act();
    hide(again, true, place);
  } catch (failure) {
    error.textContent = failure instanceof Error ? failure.message : String(failure);
    again.onclick = () => attempt(place, act);
    again.hidden = false;
  }
}

/** @type {Set<object>} */ const running = new Set();
/** Say when the agent writes, waits, and has answered. @param {import("./tokenstream/tokenstream.js").Answer} answer */
function tell(answer) {
  running[answer.ended ? "delete" : "add"](answer);
  const goesOn = answer.waiting.length ? "waiting for your decision" : "writing …";
  const words = running.size ? goesOn : answer.message.ending === "complete" ? "answered" : "";
  const status = find(document.body, "#status");
  if (status.textContent !== words) status.textContent = words;
}

/** Show a question and its answer while it arrives. @param {{id: string, question: string}} turn */
function show({ id, question }) {
  const article = copy("turn");
  find(document.body, "#turns").append(article);
  find(article, ".question").textContent = question;

  const address = `api/answers/${id}`;
  const answer = follow(address);
  const [error, stop, again] = [".error", ".stop", ".again"].map(name => find(article, name));
  for (const button of [stop, again]) button.ariaLabel = `${button.textContent}: ${question}`;
  stop.onclick = () => attempt(article, () => answer.stop());

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
    article.setAttribute("aria-busy", String(!answer.ended));
    tell(answer);
    hide(stop, answer.ended, article);
    if (answer.message.error) {
      error.textContent = answer.message.error.message;
      again.onclick = () => attempt(article, () => ask(question));
      again.hidden = false;
    }
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
    hide(find(card, ".decision"), !request, article);
    for (const [name, approved] of Object.entries({ approve: true, deny: false })) {
      const button = find(card, `.${name}`);
      button.ariaLabel = `${button.textContent} ${call.name}`;
      button.onclick = () => attempt(article, () => send(`${address}/requests/${request?.id}`, { approved }));
    }
  };

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
/** @param {string} question */
const ask = async question => show(await send("api/answers", { question }));
form.onsubmit = event => {
  event.preventDefault();
  attempt(form, async () => {
    await ask(form.question.value);
    form.reset();
  });
};
attempt(form, async () => {
  for (const turn of await send("api/answers")) show(turn);
  /** @type {HTMLFieldSetElement} */ (find(form, "fieldset")).disabled = false;
  document.body.dataset.ready = "";
});
