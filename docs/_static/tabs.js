/* Makes two tabs of a pair of Python blocks, the second of which is the first one for asyncio and trio.
   The pages stay plain Markdown, where both blocks are seen, as they are here without scripts. */
"use strict";

(() => {
  const KINDS = ["sync", "async"];
  const KEY = "tokenstream-tabs";
  const groups = [];

  /** Read or write in the browser's storage: with site data blocked, it throws, or is missing. */
  const stored = (use) => {
    try {
      return use(localStorage);
    } catch {
      return null;
    }
  };

  const show = (kind) =>
    groups.forEach((group) =>
      group.forEach(({ tab, panel }, index) => {
        const chosen = KINDS[index] === kind;
        tab.setAttribute("aria-selected", String(chosen));
        tab.tabIndex = chosen ? 0 : -1;
        panel.hidden = !chosen;
      }),
    );

  /** Show a kind on the whole page without moving the reader's place on it, and keep the choice. */
  const choose = (kind, tab) => {
    const before = tab.getBoundingClientRect().top;
    show(kind);
    window.scrollBy(0, tab.getBoundingClientRect().top - before);
    stored((storage) => storage.setItem(KEY, kind));
  };

  const make_tabs = (panels) => {
    const list = document.createElement("div");
    list.className = "tabs";
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", "sync or async");
    const group = panels.map((panel, index) => {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.textContent = KINDS[index];
      tab.id = `tab-${groups.length}-${KINDS[index]}`;
      panel.id = `panel-${groups.length}-${KINDS[index]}`;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      tab.addEventListener("click", () => choose(KINDS[index], tab));
      tab.addEventListener("keydown", ({ key }) => {
        if (key !== "ArrowLeft" && key !== "ArrowRight") return;
        const other = group[1 - index].tab;
        choose(KINDS[1 - index], other);
        other.focus();
      });
      list.append(tab);
      return { tab, panel };
    });
    panels[0].before(list);
    groups.push(group);
  };

  document.addEventListener("DOMContentLoaded", () => {
    const is_async = (block) => /\b(async|await)\b/.test(block.textContent);
    document.querySelectorAll("div.highlight-python + div.highlight-python").forEach((second) => {
      const first = second.previousElementSibling;
      if (is_async(second) && !is_async(first)) make_tabs([first, second]);
    });
    const kept = stored((storage) => storage.getItem(KEY));
    show(KINDS.includes(kept) ? kept : KINDS[0]);
  });
})();
