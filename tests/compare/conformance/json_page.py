"""The section of docs/reports/conformance.md about JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.compare.conformance import json_suites, json_test_suite
from tests.compare.conformance.json_case import NOTHING, REFUSED, JSONCase, JSONSuite, same_told
from tests.compare.conformance.json_rule import expected, judge
from tests.compare.conformance.table import table
from tokenstream.partial_json import Allow

_OURS = "tokenstream"
_LONGEST = 76
"""Characters of a text or a value that a row shows."""

_HEAD = """\
## JSON

What counts as right is decided by `json.loads` and by the test case, never by one of the parsers that
are compared:

- A **document** follows RFC 8259: `json.loads` reads it, and it has neither `NaN` nor infinities.
- The value shown for a **part** of a document is right if every document that continues it keeps that value:
  objects gain keys, arrays gain elements, strings gain characters, and nothing else changes. An
  unfinished number may still become a different number. A reader may also show less. If no document begins
  with the text, the reader must refuse it.
- If a **damaged** text can be read in only one way, that reading is the correct result. If it can be read
  in two ways, the test case lists both, and the correct result is to refuse the text. json_repair and BAML
  promise a value, even if they have to guess; tokenstream returns a value only if no other is possible.
  Which of these you want depends on your application.

tokenstream's contract is in [Partial JSON](../guides/partial-json.md#the-contract), with the rules for
[damaged texts](../guides/partial-json.md#lenient).
tokenstream returns the same result whether a text arrives in one piece or character by character.
JSONTestSuite's files are read as they are published. Each of the other groups is named after a parser; we
modelled its cases on that parser's tests, and judge them by the rules above.

For each reader, the table shows how many cases it claims to read, and how many of these it reads correctly:

"""
_TABLE_HEAD = """\
- **refused**: the text was refused, although it is a document or part of one, or can be read in only one way.
- **another value**: the reader returned a value that a continuation of the text changes, that differs from
  what the text means, or that is a guess. Or it returned a value although the text must be refused.

"""


# -- cells --------------------------------------------------------------------------


def _visible(character: str) -> str:
    if character == "\n":
        return "⏎"
    return character if character.isprintable() else f"\\u{ord(character):04x}"


def _code(text: str) -> str:
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    seen = "".join(map(_visible, short))
    if not seen:
        return "an empty text"
    if "`" not in seen:
        return f"`{seen}`"
    fence = "`"
    while fence in seen:
        fence += "`"
    return f"{fence} {seen} {fence}"


def _told(told: str) -> str:
    return told if told in {REFUSED, NOTHING} else _code(told)


# -- counts -------------------------------------------------------------------------


def _summary(readers: dict[str, Any]) -> str:
    names = [suite.name for suite in json_suites.SUITES]
    return table(
        ["reader", *names],
        [[name, *(_share(result["json"].get(suite)) for suite in names)] for name, result in readers.items()],
    )


def _share(result: dict[str, Any] | None) -> str:
    return "" if result is None else f"{result['right']} of {result['cases']}"


def _counts(suite: JSONSuite, readers: dict[str, Any]) -> str:
    cases = suite.cases()
    rows = []
    for name, result in readers.items():
        found = result["json"].get(suite.name)
        if found is None:
            continue
        as_ours = sum(
            same_told(_kept(readers[_OURS], suite, case), _kept(result, suite, case))
            for case in _read_by(cases, suite, result)
        )
        other = found["cases"] - found["right"] - found["refused"]
        rows.append([name, found["cases"], found["right"], as_ours, found["refused"], other])
    return table(["reader", "cases", "right", "as tokenstream", "refused", "another value"], rows)


def _read_by(cases: Iterable[JSONCase], suite: JSONSuite, result: dict[str, Any]) -> list[JSONCase]:
    kinds = result["json"][suite.name]["kinds"]
    return [case for case in cases if case.kind in kinds]


def _kept(result: dict[str, Any], suite: JSONSuite, case: JSONCase) -> str:
    told: str | None = result["json"][suite.name]["told"].get(case.name)
    return told or expected(case) or REFUSED


# -- JSONTestSuite ------------------------------------------------------------------


def _labels(suite: JSONSuite, readers: dict[str, Any]) -> str:
    rows, wrong, coded, free = [], [], 0, ""
    for name, result in readers.items():
        found = result["json"].get(suite.name)
        if found is None:
            continue
        coded = found["not_utf_8"]
        refused = [file for file in found["told"] if file.startswith("i_")]
        labels = found["labels"]
        rows.append(
            [
                name,
                *("{} of {}".format(*labels[label]) for label in ("y", "n")),
                f"{labels['i'][1] - len(refused)} of {labels['i'][1]}",
            ]
        )
        files = [f"`{file}`" for file in found["told"] if not file.startswith("i_")]
        wrong.append(f"- **{name}**: {', '.join(files) or 'none'}.\n")
        if name == _OURS:
            *others, last = [f"`{file}`" for file in refused] or ["none"]
            free = f"{', '.join(others)} and {last}" if others else last
    head = ["reader", "`y_` accepted", "`n_` refused", "`i_` accepted"]
    return (
        f"{table(head, rows)}"
        f"{coded} of the files are not valid UTF-8. The comparison decodes them as it would a stream,\n"
        "with replacement characters. Strict decoding would raise `UnicodeDecodeError` before any\n"
        "parser saw the text, so the `n_` files among them would be refused, too.\n\n"
        f"Among the files that may go either way, tokenstream refuses {free},\n"
        "because a byte order mark is part of the encoding, not of the text, and JSON is not sent\n"
        "as UTF-16.\n\n"
        f"For these files, a reader's result contradicts the label in the file's name:\n\n{''.join(wrong)}\n"
    )


# -- differences --------------------------------------------------------------------


def _who(case: JSONCase, theirs: str, ours: str) -> tuple[str, str]:
    """Return who is right about a case, and why."""
    against_us, against_them = judge(case, ours), judge(case, theirs)
    if against_us is None and against_them is None:
        earlier = "tokenstream" if same_told(ours, expected(case) or REFUSED) else "the other"
        return "both", f"no continuation changes the value that {earlier} shows earlier"
    if against_us is None:
        return "ours", against_them or ""
    if against_them is None:
        return "theirs", against_us
    return "neither", against_us


def _why(why: str) -> str:
    plain, quote, rest = why.partition("`")
    if not quote:
        return why
    text, _, after = rest.rpartition("`")
    return f"{plain}{_code(text)}{after}"


def _flags(allow: int) -> str:
    return " | ".join([str(flag.name) for flag in Allow(allow)])


def _differences(suite: JSONSuite, readers: dict[str, Any]) -> str:
    owner, us = readers.get(suite.owner), readers.get(_OURS)
    if owner is None or us is None:
        return ""
    rows = []
    for case in _read_by(suite.cases(), suite, owner):
        theirs, ours = _kept(owner, suite, case), _kept(us, suite, case)
        if not same_told(theirs, ours):
            who, why = _who(case, theirs, ours)
            flags = f" with `{_flags(case.allow)}`" if case.kind == "allow" else ""
            whole = " (whole)" if case.kind == "strict" else ""
            rows.append([f"{_code(case.text)}{flags}{whole}", _told(theirs), _told(ours), who, _why(why)])
    if not rows:
        return f"{suite.owner} and tokenstream give the same result for all of these cases.\n\n"
    return f"Where {suite.owner} and tokenstream differ:\n\n" + table(
        ["text", suite.owner, "tokenstream", "right", "why"], rows
    )


def render(results: dict[str, Any]) -> str:
    readers = {name: result for name, result in results.items() if "json" in result}
    page = [_HEAD, _summary(readers)]
    for suite in json_suites.SUITES:
        page.append(f"### {suite.name}\n\n{suite.about}\n\n")
        if suite.name == json_test_suite.NAME:
            page.append(_labels(suite, readers))
            page.append(f"In the tables that follow:\n\n{_TABLE_HEAD}")
        else:
            page.append(_counts(suite, readers) + _differences(suite, readers))
    return "".join(page)
