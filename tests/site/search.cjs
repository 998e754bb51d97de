// Prints, for each text of a JSON list, the pages that the search of a built site lists, the best first:
// node search.cjs SITE < texts.json
"use strict";

const { readFileSync } = require("node:fs");
const { createContext, runInContext } = require("node:vm");

const read = (name) => readFileSync(`${process.argv[2]}/${name}`, "utf8");
const scripts = ["_static/base-stemmer.js", "_static/english-stemmer.js", "_static/language_data.js"];
const search = { performObjectSearch: () => [] };
const page = createContext({ Search: search, SearchResultKind: { title: "title", text: "text" } });
page.window = page;
// Scripts of one page see each other's constants and classes, and those of one context do, too.
for (const name of [...scripts, "search_sections.js", "_static/search.js"]) runInContext(read(name), page);

const none = new Set();
const found = (text) => search._performSearch(text, none, none, none, none).reverse();
const names = (text) => [...new Set(found(text).map(([name]) => name))];
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(names)));
