// How examples/chat cuts Markdown into blocks, in Node; what a page makes of them is looked at in Chromium.
import assert from "node:assert/strict";
import { test } from "node:test";

const { blocks, INLINE } = await import(new URL("../../examples/chat/markdown.js", import.meta.url));
const kinds = text => blocks(text).map(({ kind, text }) => [kind, text]);

test("each kind of block is known, and what is half written is its kind already", () => {
  const rows = [
    ["", []],
    ["one\ntwo\n\nthree", [["paragraph", "one\ntwo"], ["paragraph", "three"]]],
    ["## A *b*\ntext", [["heading", "A *b*"], ["paragraph", "text"]]],
    ["#no heading", [["paragraph", "#no heading"]]],
    ["```py\nx = 1\n\ny", [["fence", "x = 1\n\ny"]]],
    ["~~~\n```\n~~~\nend", [["fence", "```"], ["paragraph", "end"]]],
    ["- a\n  more\n- b\n\nend", [["list", "- a\n  more\n- b"], ["paragraph", "end"]]],
    ["1. a\n2. b", [["list", "1. a\n2. b"]]],
    ["> a\n> b\nc", [["quote", "a\nb"], ["paragraph", "c"]]],
    ["| a |\n|---|\n| 1 |", [["table", "| a |\n|---|\n| 1 |"]]],
    ["a | b", [["paragraph", "a | b"]]],
    ["a | b\n--", [["paragraph", "a | b\n--"]]],
    [" a | b \n :-: | - \n1|2", [["table", " a | b \n :-: | - \n1|2"]]],
    ["a | b\n--- x", [["paragraph", "a | b\n--- x"]]],
    ["a | b\n|||", [["paragraph", "a | b\n|||"]]],
    ["```let x``` is code\n\nend", [["paragraph", "```let x``` is code"], ["paragraph", "end"]]],
    ["text\n***\n* * *", [["paragraph", "text"], ["rule", ""], ["rule", ""]]],
    ["<b>x</b>", [["paragraph", "<b>x</b>"]]],
  ];
  for (const [text, expected] of rows) assert.deepEqual(kinds(text), expected, text);
});

test("what a model repeats takes no time that grows faster than it", () => {
  for (const unit of ["**a ", "`", "_a", "a*b", "![a](", "``a`", "[a](b", "> ", "- a\n", "1. a\n\n", "|-", "```\n", "* * ", " ", "- "]) {
    const begun = process.cpuUsage();
    blocks(unit.repeat(20_000));
    blocks(`a | b\n${unit.repeat(100_000)}x`);
    for (const found of unit.repeat(20_000).matchAll(INLINE)) assert.ok(found);
    // Half a second where it is linear; a square of 100,000 takes minutes.
    assert.ok(process.cpuUsage(begun).user < 20_000_000, unit);
  }
});
