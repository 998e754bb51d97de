"""The part of a page that shows an answer's message, and the error that ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.cli._html.markup import Markup, element, join, preformatted
from tokenstream.cli._html.tables import cut, pairs_table
from tokenstream.cli._lines import list_error_rows, list_message_rows, split_part

if TYPE_CHECKING:
    from tokenstream.cli._html.reading import PageReading
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
