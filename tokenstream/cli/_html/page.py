"""The page as a whole: its head, its heading, and its sections in order."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from tokenstream._basics.version import __version__
from tokenstream.cli._html.markup import Markup, element
from tokenstream.cli._html.message import show_error, show_messages
from tokenstream.cli._html.run import (
    list_run_facts,
    show_questions,
    show_run_error,
    show_tree,
    show_turns,
)
from tokenstream.cli._html.style import STYLE
from tokenstream.cli._html.tables import (
    departures_table,
    events_table,
    facts_list,
    metrics_tables,
    pairs_table,
)
from tokenstream.cli._html.timeline import draw_timeline, list_gaps
from tokenstream.cli._lines import describe_finish

if TYPE_CHECKING:
    from tokenstream.cli._html.reading import PageReading
    from tokenstream.cli._html.run import RunReading

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
