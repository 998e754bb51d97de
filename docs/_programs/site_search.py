"""The search of the site: sections ranked by the words that they share with a question, guides before names.

Sphinx's own search lists only pages that have all words, and those with an API name first. Here

* each section of a page is found by its words, by those of its page's title, and by further words for its
  page, however few of them it shares with the question;
* a word of people counts as ours, too: `abort` finds what says `cancel`;
* each message in the index of errors is found when it is pasted with its numbers and names filled in, and
  has an anchor of its own; a message of misuse, which says itself what to do, leads to the guide of its part;
* the reference comes after the pages that explain.

This module writes what is known of the sections to search_sections.js; _static/search.js ranks them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from misuse import HOLE, find_misuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

ERRORS = "reference/errors-index"
"""The page whose tables quote messages, in their first column. It is found by them alone."""
MISUSE = find_misuse(Path(__file__).parents[2] / "tokenstream")
"""The messages of misuse, by the page that each leads to."""

_SECTIONS = "search_sections.js"
_WEIGHTS = {
    "reference/api": 0.5,
    "guides/tasks": 0.6,
    "formats": 0.7,
    "guides/coming-from": 0.8,
    "about": 0.8,
    "cookbook": 0.8,
    "guides/quickstarts": 0.8,
    "guides/sdk-streams": 0.8,
    "guides/sources": 0.8,
    "guides/tap": 0.8,
    "reference/departures": 0.5,
    "reference/framing": 0.5,
    "reference/recording-format": 0.5,
}
"""What a page's score is multiplied by, for a page or all pages of a folder; guides have 1."""
_DETAILS = 0.85
"""What that of a page beneath a guide is multiplied by."""
_WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
"""A part of a name such as `StreamTruncated` or `proxy_buffering`."""
_OF_INDEX = "What it is not"
"""The section of the first page that is ranked: all others lead to pages, as the index of errors does."""
_LINKS = {"where to go deeper", "next"}
"""Sections that do so."""
_FURTHER: dict[str, Any] = json.loads(
    (Path(__file__).parent / "search_words.json").read_text(encoding="utf-8")
)
_ALSO: dict[str, str] = _FURTHER["pages"]
"""Words for the subject of a page that its users have, and that would read badly in it."""
_SAME: list[str] = _FURTHER["same"]
"""Words that mean the same to somebody who asks: each finds the others as well."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the hooks; Sphinx calls this once."""
    app.connect("doctree-read", mark_messages)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write_sections)
    return {"parallel_read_safe": True}


def mark_messages(app: Sphinx, tree: nodes.document) -> None:
    """Give each message of the index of errors an anchor made of its words."""
    if app.env.current_document.docname != ERRORS:
        return
    taken: Counter[str] = Counter()
    for message in _messages(tree):
        words = "-".join(_WORD.findall(message.astext().lower()))[:80].strip("-")
        taken[words] += 1
        message["ids"] = [words if taken[words] == 1 else f"{words}-{taken[words]}"]


def _messages(tree: nodes.document) -> Iterator[nodes.literal]:
    """Return the quoted messages: the code in the first cell of each row."""
    for row in tree.findall(nodes.row):
        if not isinstance(row.parent, nodes.thead):
            yield from row[0].findall(nodes.literal)


def add_scripts(
    app: Sphinx, name: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    """Put the ranking, and the words that it ranks by, on the page of the search."""
    if name == "search":
        app.add_js_file(None, src=_SECTIONS, loading_method="defer")
        app.add_js_file("search.js", loading_method="defer")


def write_sections(app: Sphinx, error: Exception | None) -> None:
    """Write each section's page, anchor, title and words, and each message of the index of errors."""
    if error is not None or app.builder.format != "html":
        return
    pages: list[list[Any]] = []
    sections: list[list[Any]] = []
    messages: list[list[Any]] = []
    vocabulary: dict[str, int] = {}
    for name in sorted(app.env.found_docs - {ERRORS}):
        tree = app.env.get_doctree(name)
        pages.append([name, app.env.titles[name].astext(), _weigh(name), _ALSO.get(name, "")])
        for section in tree.findall(nodes.section):
            title = section[0].astext()
            if title.lower() not in _LINKS and (name != "index" or title == _OF_INDEX):
                anchor = "" if section.parent is tree else f"#{section['ids'][0]}"
                sections.append([len(pages) - 1, anchor, title, _count_words(section, vocabulary)])
    if ERRORS in app.env.found_docs:
        messages += [_describe(message) for message in _messages(app.env.get_doctree(ERRORS))]
    for name, quotes in MISUSE.items():
        messages += [[quote.split(HOLE), "", "MisuseError", name] for quote in quotes]
    written = {
        "pages": pages,
        "words": list(vocabulary),
        "sections": sections,
        "messages": messages,
        "synonyms": [group.split() for group in _SAME],
    }
    text = json.dumps(written, ensure_ascii=False, separators=(",", ":"))
    (Path(app.outdir) / _SECTIONS).write_text(f"const SECTIONS = {text};\n", encoding="utf-8")


def _weigh(name: str) -> float:
    """Return the weight of a page: its own, that of its folder, or that of pages of details."""
    folder, _, last = name.rpartition("/")
    return _WEIGHTS.get(name, _WEIGHTS.get(folder, _DETAILS if last in {"details", "everything"} else 1.0))


def _count_words(section: nodes.section, vocabulary: dict[str, int]) -> list[int]:
    """Return the number of each word of a section and how often it stands there, one after the other.

    A word that is not in the vocabulary gets the next number in it.
    """
    numbers: list[int] = []
    for word, count in Counter(_words(_own_text(section))).items():
        numbers += [vocabulary.setdefault(word, len(vocabulary)), count]
    return numbers


def _describe(message: nodes.literal) -> list[Any]:
    """Return the pieces of a message between its holes, its anchor, the class of its error, and its page."""
    node: nodes.Node = message
    while not isinstance(node, nodes.section):
        node = node.parent
    return [message.astext().split(HOLE), f"#{message['ids'][0]}", node[0].astext(), ERRORS]


def _own_text(section: nodes.section) -> str:
    """Return the text of a section without its title and the sections in it."""
    parts = [child for child in section[1:] if not isinstance(child, nodes.section)]
    return "\n".join(part.astext() for part in parts)


def _words(text: str) -> Iterator[str]:
    """Return the words of a text, in small letters; those of a name also one by one."""
    for word in _WORD.findall(text):
        yield word.lower()
        parts = _PART.findall(word)
        if len(parts) > 1:
            yield from (part.lower() for part in parts)
