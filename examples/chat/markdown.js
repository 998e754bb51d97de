// @ts-check
/**
 * Renders Markdown plainly, block by block: only blocks whose text has changed are redrawn.
 *
 * Everything that a model wrote is set as text: its HTML is never interpreted, an image becomes a
 * link, and links are limited to http, https and mailto.
 *
 * It supports headings, fences, lists of one level, quotes, tables, rules and paragraphs. For all of
 * Markdown, and for stable previews of unfinished text, use `markdown_blocks()` in the backend.
 */

/** @typedef {{kind: string, text: string, lines: string[], level?: number, info?: string}} Block */

// No backticks may follow the opening ones: a line that begins with ```code``` is text.
const FENCE = /^ {0,3}(`{3,}(?!`)(?!.*`)|~{3,})[ \t]*([^\s`]*)/;
const HEADING = /^(#{1,6})[ \t]+(.*)$/;
const ITEM = /^ {0,3}([-*+]|[0-9]{1,9}[.)])[ \t]+/;
const QUOTE = /^ {0,3}> ?/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const COLUMN = /^:?-+:?$/;

/** Return true for the delimiter line below a table's head. @param {string} line */
const rules = line => line.includes("|") && cells(line).every(cell => COLUMN.test(cell));

/** @param {string} line */
const cells = line => line.trim().replace(/^\||\|$/g, "").split("|").map(cell => cell.trim());

/** Split a text into blocks. @param {string} text @returns {Block[]} */
export function blocks(text) {
  const lines = text.split("\n");
  /** @type {Block[]} */ const found = [];
  /** @param {string} kind @param {string[]} lines @param {object} [more] */
  const add = (kind, lines, more) => found.push({ kind, lines, text: lines.join("\n"), ...more });
  for (let at = 0; at < lines.length; ) {
    const from = at;
    const line = lines[at++];
    /** @param {(line: string) => boolean} goesOn */
    const take = goesOn => {
      while (at < lines.length && goesOn(lines[at])) at++;
      return lines.slice(from, at);
    };
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    if (!line.trim()) continue;
    if (fence) {
      const [, mark, info] = fence;
      const inside = take(line => !(line.trim().startsWith(mark) && !line.trim().replaceAll(mark[0], ""))).slice(1);
      at++;
      add("fence", inside, { info });
    } else if (heading) add("heading", [heading[2]], { level: heading[1].length });
    else if (RULE.test(line)) add("rule", []);
    else if (QUOTE.test(line)) add("quote", take(line => QUOTE.test(line)).map(line => line.replace(QUOTE, "")));
    else if (ITEM.test(line)) add("list", take(line => ITEM.test(line) || /^\s+\S/.test(line)), { info: ITEM.exec(line)?.[1] });
    else if (line.includes("|") && rules(lines[at] ?? "")) {
      add("table", take(line => line.includes("|")));
    } else add("paragraph", take(line => !!line.trim() && ![FENCE, HEADING, QUOTE, ITEM, RULE].some(other => other.test(line))));
  }
  return found;
}

/** Show a text in an element, and keep the blocks that have not changed. */
/** @param {Element} place @param {string} text @param {number} [depth] Number of enclosing quotes. */
export function show(place, text, depth = 0) {
  const found = blocks(text);
  // The page's own headings are h1 and h2: below them, no level is left out.
  const top = Math.min(...found.map(({ level }) => level ?? 6));
  let last = 2;
  for (const block of found) if (block.level) last = block.level = Math.min(last + 1, block.level - top + 3, 6);
  found.forEach((block, at) => {
    const there = /** @type {HTMLElement | undefined} */ (place.children[at]);
    const told = JSON.stringify(block);
    if (there && shown.get(there) === told) return;
    const made = render(block, depth);
    shown.set(made, told);
    if (there) there.replaceWith(made);
    else place.append(made);
  });
  while (place.children.length > found.length) place.lastElementChild?.remove();
}
/** @type {WeakMap<Element, string>} */
const shown = new WeakMap();

/** @param {string} name @param {...(Node | string)} inside */
function element(name, ...inside) {
  const made = document.createElement(name);
  made.append(...inside);
  return made;
}

/** @param {Block} block @param {number} depth @returns {HTMLElement} */
function render({ kind, text, lines, level, info }, depth) {
  if (kind === "fence") {
    const code = element("code", text);
    if (info) code.dataset.language = info;
    const pre = element("pre", code);
    // The keyboard can scroll what is wider than a phone.
    pre.tabIndex = 0;
    return pre;
  }
  if (kind === "heading") return element(`h${level}`, ...inline(text));
  if (kind === "rule") return element("hr");
  if (kind === "quote") {
    const quote = element("blockquote");
    // Nested quotes are rendered up to a limited depth.
    if (depth < 8) show(quote, text, depth + 1);
    else quote.append(text);
    return quote;
  }
  if (kind === "list") {
    const items = lines.reduce((items, line) => {
      if (ITEM.test(line)) items.push(line.replace(ITEM, ""));
      else items.push(`${items.pop()}\n${line.trim()}`);
      return items;
    }, /** @type {string[]} */ ([]));
    const list = element(/[0-9]/.test(info ?? "") ? "ol" : "ul", ...items.map(item => element("li", ...inline(item))));
    if (list instanceof HTMLOListElement) list.start = parseInt(info ?? "1", 10);
    return list;
  }
  if (kind === "table") {
    const rows = lines.filter((_, at) => at !== 1).map((line, at) => {
      return element("tr", ...cells(line).map(cell => element(at ? "td" : "th", ...inline(cell))));
    });
    return element("table", ...rows);
  }
  return element("p", ...inline(text));
}

// The length limits keep unclosed marks from causing quadratic scanning.
export const INLINE =
  /(?<!`)(`{1,9})(?!`)([^`]{1,500})\1(?!`)|(!?)\[([^[\]]{0,500})\]\(([^()\s]{1,2000})\)|(\*\*|__)(?=\S)((?:[^*_]|[*_](?![*_])){1,500})\6|([*_])(?=[^\s*_])([^*_]{1,500})\8(?![\p{L}\p{N}])/gu;

/** @param {string} text @returns {(Node | string)[]} */
function inline(text) {
  const pieces = [];
  let done = 0;
  for (const found of text.matchAll(INLINE)) {
    const [all, , code, picture, label, target, , strong, , emphasis] = found;
    pieces.push(text.slice(done, found.index));
    done = found.index + all.length;
    if (code !== undefined) pieces.push(element("code", code.trim() || code));
    else if (target !== undefined) pieces.push(link(picture ? `picture: ${label}` : label, target));
    else if (strong !== undefined) pieces.push(element("strong", ...inline(strong)));
    else pieces.push(element("em", ...inline(emphasis)));
  }
  pieces.push(text.slice(done));
  return pieces;
}

/** @param {string} label @param {string} target @returns {Node | string} */
function link(label, target) {
  if (!/^(https?:\/\/|mailto:)/i.test(target)) return label;
  const made = /** @type {HTMLAnchorElement} */ (element("a", label || target));
  made.href = target;
  made.target = "_blank";
  made.rel = "noopener noreferrer nofollow";
  return made;
}
