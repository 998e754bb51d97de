"""The page as a whole: its head with the style sheet, its heading, and its sections in order."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from tokenstream._basics.version import __version__
from tokenstream.cli._html.tables import (
    cut,
    departures_table,
    events_table,
    facts_list,
    list_run_facts,
    metrics_tables,
    pairs_table,
    show_questions,
    show_run_error,
    show_tree,
    show_turns,
)
from tokenstream.cli._html.timeline import Markup, draw_timeline, element, join, list_gaps, preformatted
from tokenstream.cli._lines import describe_finish, list_error_rows, list_message_rows, split_part

if TYPE_CHECKING:
    from tokenstream.cli._html.reading import PageReading
    from tokenstream.cli._html.tables import RunReading
    from tokenstream.message import Message, Part

_MAX_TEXTS = 200_000
"""Largest number of characters of all texts of the messages."""
_MAX_FIELD = 2_000
"""Largest number of characters of one field."""
_MAX_PARTS = 100
"""Largest number of parts, of all messages together."""
_MAX_MESSAGES = 8
"""Largest number of choices whose messages are shown."""
_TITLES = {
    "complete": "The answer is complete",
    "truncated": "The answer was truncated",
    "failed": "The answer failed",
    "stopped": "The reading was stopped",
    "streaming": "The reading was stopped",
}
"""Maps each ending of an answer to the heading of the section about that ending."""

STYLE = """
:root {
  color-scheme: light dark;
  --back: #ffffff; --raised: #f5f6f8; --line: #d9dde3; --text: #1c2127; --soft: #5b6673;
  --content: #2563c9; --other: #8a63c7; --nothing: #a3acb8;
  --gap: #f3e3b3; --stall: #f4b9ad; --broken: #c0341d; --good: #1f7a4d; --warn: #9a5b00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14171b; --raised: #1d2127; --line: #343b45; --text: #e4e8ed; --soft: #9aa6b4;
    --content: #6ea3f7; --other: #b795ef; --nothing: #6b7683;
    --gap: #453a17; --stall: #6a2c20; --broken: #ff7a63; --good: #5fd09a; --warn: #f0b35a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem clamp(0.9rem, 3vw, 2rem) 3rem; max-width: 76rem;
  background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: clamp(1.35rem, 4vw, 1.9rem); line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 0.7rem; padding-top: 0.5rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 0.4rem; }
p { margin: 0.5rem 0; max-width: 52rem; }
code, pre, .mono {
  font: 0.86rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
pre {
  margin: 0.4rem 0; padding: 0.7rem 0.9rem; background: var(--raised); border-radius: 6px;
  white-space: pre-wrap; tab-size: 4; unicode-bidi: plaintext;
}
.ending {
  padding: 0.1em 0.55em; border-radius: 0.4em; border: 2px solid currentColor; font-size: 0.75em;
  white-space: nowrap;
}
.complete { color: var(--good); }
.truncated, .failed { color: var(--broken); }
.stopped, .streaming { color: var(--warn); }
.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 0.7rem 1.4rem;
  margin: 0 0 1rem;
}
.facts div { min-width: 0; }
.facts .wide { grid-column: span 2; }
.facts dt { color: var(--soft); font-size: 0.82rem; }
.facts dd { margin: 0; }
.note {
  background: var(--raised); border-left: 4px solid var(--soft); padding: 0.6rem 0.9rem;
  border-radius: 0 6px 6px 0; margin: 1rem 0; max-width: none; font-size: 0.92rem;
}
.note p { max-width: none; }
.error { border-left-color: var(--broken); font-size: 1rem; }
.error h2 { border: 0; margin: 0 0 0.4rem; padding: 0; color: var(--broken); }
.none, .soft, small { color: var(--soft); }
.frame { background: var(--raised); border-radius: 6px; padding: 10px 0 8px; margin-top: 0.8rem; }
.timeline { display: block; width: 100%; height: 150px; }
.bar.content { fill: var(--content); } .bar.other { fill: var(--other); }
.bar.nothing { fill: var(--nothing); }
.gap { fill: var(--gap); } .stall { fill: var(--stall); } .broken { fill: var(--broken); }
.scale {
  display: flex; justify-content: space-between; color: var(--soft); font-size: 0.8rem;
  margin-top: 0.25rem; font-variant-numeric: tabular-nums;
}
.legend {
  display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; list-style: none; padding: 0; margin: 0.6rem 0;
  font-size: 0.88rem;
}
.swatch { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; margin-right: 0.45em; }
i.content { background: var(--content); } i.other { background: var(--other); }
i.nothing { background: var(--nothing); }
i.gap { background: var(--gap); border: 1px solid var(--soft); }
i.stall { background: var(--stall); border: 1px solid var(--soft); }
.bar.error { fill: var(--broken); } i.error { background: var(--broken); }
i.broken { background: var(--broken); }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th { text-align: left; white-space: nowrap; color: var(--soft); font-weight: 500; font-size: 0.82rem; }
th, td { padding: 0.32rem 0.9rem 0.32rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
ol { margin: 0.3rem 0 1rem; padding-left: 1.4rem; font-size: 0.92rem; }
.note tr:last-child td { border-bottom: 0; }
.label { color: var(--soft); white-space: nowrap; }
.events td:last-child, .pairs td:last-child { width: 100%; }
.events td:last-child { padding-left: 1.1em; }
.events td:nth-child(3) { white-space: nowrap; }
.events tr.content td:nth-child(3) { color: var(--content); }
.events tr.other td:nth-child(3) { color: var(--other); }
.events tr.failure td { color: var(--broken); }
.events tr.left-out td {
  text-align: center; color: var(--soft); padding: 0.8rem; background: var(--raised);
}
summary { cursor: pointer; margin-left: -1.1em; padding-left: 1.1em; text-indent: -1.1em; }
summary::marker { color: var(--soft); }
@media (max-width: 44rem) {
  .events thead { display: none; }
  .events tr {
    display: flex; flex-wrap: wrap; gap: 0 0.8rem; padding: 0.4rem 0;
    border-bottom: 1px solid var(--line);
  }
  .events td { border: 0; padding: 0; }
  .events td:last-child { flex: 1 0 100%; width: auto; min-width: 0; }
  .events td.part:not(:empty)::before { content: "part "; color: var(--soft); }
  .pairs tr, .pairs td { display: block; padding: 0; border: 0; }
  .pairs tr { padding: 0.35rem 0; border-bottom: 1px solid var(--line); }
  .rules td, .rules th { display: block; border: 0; padding: 0; }
  .rules thead { display: none; }
  .rules tr { display: block; padding: 0.5rem 0; border-bottom: 1px solid var(--line); }
}
@media print { .frame, pre, .note { print-color-adjust: exact; } }
"""
"""The style sheet, which asks for nothing from elsewhere."""


def show_messages(reading: PageReading) -> Markup:
    """Return the messages of all choices as HTML, up to the limits on the size of the page."""
    messages = reading.report.messages
    texts = _Texts()
    shown = [
        join(
            element("h3", f"Choice {message.choice}") if len(messages) > 1 else None,
            *texts.show_parts(message),
            pairs_table(
                [
                    (label, cut(text, _MAX_FIELD))
                    for label, text in list_message_rows(message, reading.report.stream.format)
                ]
            ),
        )
        for message in messages[:_MAX_MESSAGES]
    ]
    if len(messages) > _MAX_MESSAGES:
        left_out = f"{len(messages) - _MAX_MESSAGES:,} more choices are left out."
        shown.append(element("p", left_out, class_="none"))
    return join(*shown)


class _Texts:
    """Shows the parts of messages on a page, up to limits for all parts and characters of the page."""

    def __init__(self) -> None:
        self._characters_left = _MAX_TEXTS
        self._parts_left = _MAX_PARTS

    def show_parts(self, message: Message) -> list[Markup]:
        """Return the parts of a message, as elements."""
        if not message.parts:
            return [element("p", "Nothing arrived.", class_="none")]
        parts = message.parts[: self._parts_left]
        self._parts_left -= len(parts)
        shown = [self._show_part(index, part) for index, part in enumerate(parts)]
        if len(parts) < len(message.parts):
            left_out = f"{len(message.parts) - len(parts):,} more parts are left out."
            shown.append(element("p", left_out, class_="none"))
        return shown

    def _show_part(self, index: int, part: Part) -> Markup:
        """Return a part as elements: a heading, its fields and its text."""
        pairs, text = split_part(part)
        state = "" if part.complete else " (not complete)"
        shown = cut(text, max(0, self._characters_left))
        # Once the bound is exceeded, this is negative, and no further text is shown.
        self._characters_left -= len(text)
        fields = [
            element("div", element("span", f"{name} ", class_="soft"), cut(value, _MAX_FIELD), class_="mono")
            for name, value in pairs.items()
        ]
        return join(
            element("h3", f"{index} {part.kind.replace('_', ' ')}{state}"),
            *fields,
            preformatted(shown) if shown else None,
        )


def show_error(reading: PageReading) -> Markup | None:
    """Return a section about an answer's error, and the content that arrived; None for a complete answer."""
    report = reading.report
    if report.ending == "complete":
        return None
    if report.error is None:
        rows = [("ending", f"{report.ending}: no error was raised")]
    else:
        rows = [
            (label or "details", cut(text, _MAX_FIELD))
            for label, text in list_error_rows(report.error, report.origin)
        ]
    rows.append(("what is kept", _describe_kept(report.messages)))
    return element("section", element("h2", _TITLES[report.ending]), pairs_table(rows), class_="note error")


def _describe_kept(messages: list[Message]) -> str:
    """Return in words how much of an incomplete answer has arrived: parts, characters and tool calls."""
    parts = [part for message in messages for part in message.parts]
    if not parts:
        return "nothing: no part of an answer had arrived"
    complete = sum(part.complete for part in parts)
    characters = {
        "text": sum(len(message.text) for message in messages),
        "reasoning": sum(len(message.reasoning) for message in messages),
    }
    counts = [f"{count:,} characters of {name}" for name, count in characters.items() if count]
    calls = [call for message in messages for call in message.tool_calls]
    if calls:
        whole = sum(call.complete for call in calls)
        counts.append(f"tool calls: {len(calls):,}, complete: {whole:,}")
    return f"parts: {len(parts):,}, complete: {complete:,}" + "".join([f"; {count}" for count in counts])


OPENING = "<!doctype html>\n<!-- written by tokenstream inspect -->\n"
"""The first lines of every page, which distinguish it from other files."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The content security policy, under which a browser runs no script and asks for nothing."""


def build_page(reading: PageReading, command: str) -> str:
    """Return the page that shows a reading, and the command that made it, without secrets."""
    unknown = "lines of an agent" if reading.has_agent_lines else "unknown format"
    format = reading.report.stream.format or unknown
    gaps = list_gaps(reading)
    return _build(
        format,
        reading.report.ending,
        _list_facts(reading),
        _describe_content(reading, "the answer (text, reasoning, tool calls)"),
        show_error(reading),
        _section("Time line", draw_timeline(reading, gaps)),
        _section("Message", show_messages(reading)),
        _section("Gaps and metrics", metrics_tables(reading, gaps)),
        _section("Departures", departures_table(reading)),
        _section("Events", events_table(reading)),
        _section("Made by", _describe_maker(command)),
    )


def build_run_page(reading: RunReading, command: str) -> str:
    """Return the page that shows the run of an agent."""
    return _build(
        reading.run.agent or "agent",
        reading.ending,
        list_run_facts(reading),
        _describe_content(reading, "the run (texts, tool calls and their results)"),
        show_run_error(reading),
        _section("Steps", show_tree(reading)),
        _section("Turns", show_turns(reading)),
        _section("Plans and questions", show_questions(reading)),
        _section("Events", events_table(reading)),
        _section("Made by", _describe_maker(command)),
    )


def _build(title: str, ending: str, *sections: Markup | None) -> str:
    """Return a page."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", f"{title}: {ending} – tokenstream inspect"),
        element("style", Markup(STYLE)),
    )
    body = element(
        "body", element("h1", title, " ", element("span", ending, class_=f"ending {ending}")), *sections
    )
    return f"{OPENING}{element('html', head, body, lang='en')}\n"


def _section(title: str, content: Markup) -> Markup:
    return element("section", element("h2", title), content)


def _list_facts(reading: PageReading) -> Markup:
    """Return the list of facts about an answer, such as its model, its size and its duration."""
    report, recording = reading.report, reading.recording
    message, metrics = report.messages[0], report.stream.metrics
    facts = {
        "model": message.model or "none was sent",
        "finish reason": describe_finish(message),
        "events": f"{reading.event_count:,}",
        "body": f"{sum(chunk.size for chunk in reading.chunks):,} bytes",
        f"{reading.unit}s": f"{len(reading.chunks):,}",
        "duration": f"{reading.ended_at:.3f} s" if reading.has_times else "not known",
        "time to first token": (
            f"{metrics.ttft:.3f} s" if reading.has_times and metrics.ttft is not None else None
        ),
        "choices": f"{len(report.messages):,}" if len(report.messages) > 1 else None,
        # A body without headers has status 200 only by default.
        "status": str(recording.status) if recording.headers or recording.status != 200 else None,
        "content type": recording.content_type,
        "request": recording.request or None,
        "connection": recording.breaks and f"ended by {recording.breaks}",
    }
    return facts_list(facts.items())


def _describe_content(reading: PageReading | RunReading, what: str) -> Markup:
    """Return a note for the person who may share the page, on the private content that it shows."""
    shown, count = len(reading.events), reading.event_count
    events = "all its events" if shown == count else f"{shown:,} of its {count:,} events"
    return element(
        "div",
        element(
            "p",
            element("strong", "Before you share this page: "),
            f"it contains {what} and {events} with their payloads, as the "
            "server sent them. It does not contain the request’s headers and body.",
        ),
        element(
            "p",
            "It was searched for keys, tokens and passwords of known kinds, and has none. Private "
            "text cannot be recognised: read the page first.",
        ),
        class_="note",
    )


def _describe_maker(command: str) -> Markup:
    """Return a table of the versions and the command that made the page."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return pairs_table(
        [("tokenstream", __version__), ("Python", python), ("command", element("code", command))]
    )
