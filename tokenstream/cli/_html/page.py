"""The page as a whole: its head, its heading, and its sections in order."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from tokenstream._basics.version import __version__
from tokenstream.cli._html.run import list_run_facts, show_questions, show_run_error, show_tree, show_turns
from tokenstream.cli._html.style import STYLE
from tokenstream.cli._html.tables import (
    cut,
    departures_table,
    events_table,
    facts_list,
    metrics_tables,
    pairs_table,
)
from tokenstream.cli._html.timeline import Markup, draw_timeline, element, join, list_gaps, preformatted
from tokenstream.cli._lines import describe_finish, list_error_rows, list_message_rows, split_part

if TYPE_CHECKING:
    from tokenstream.cli._html.reading import PageReading
    from tokenstream.cli._html.run import RunReading
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
    """Return the page that shows a reading.

    Args:
        command: The command that made the page, without secrets.
    """
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
    """Return the page that shows the run of an agent.

    Args:
        reading: The run.
        command: The command that made the page, without secrets.
    """
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
    """Return a page.

    Args:
        title: What the page is about.
        ending: How that has ended.
        sections: The sections in order; None for one that is left out.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", f"{title}: {ending} – tokenstream inspect"),
        element("style", Markup(STYLE)),
    )
    body = element(
        "body",
        element("h1", title, " ", element("span", ending, class_=f"ending {ending}")),
        *sections,
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
    """Return a note for the person who may share the page, on the private content that it shows.

    Args:
        reading: The answer or the run.
        what: What the page shows of it, beside its events.
    """
    shown = len(reading.events)
    events = (
        "all its events"
        if shown == reading.event_count
        else f"{shown:,} of its {reading.event_count:,} events"
    )
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
