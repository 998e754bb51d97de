"""Rules about the events and messages that a format returns for an answer.

Each function looks at a `Case`, and yields the violations of one rule.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, cast

from tokenstream.events import (
    MediaDelta,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.framing import EventStreamMessage
from tokenstream.message import Message
from tokenstream.testing._check.assert_stream import usual_chunkings
from tokenstream.testing._check.readings import aread, feed_frames, read
from tokenstream.testing._pytest.diff import differences, join_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.events import Event
    from tokenstream.message import ToolCall
    from tokenstream.testing._check.case import Case, Violation
    from tokenstream.testing._check.readings import FormatReading

_STARTS = (PartStart, ToolCallStart)
_DONES = (PartDone, ToolCallDone)
_TEXTS = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta, PartDelta)
_DELTAS = (*_TEXTS, MediaDelta)
CONTENT = _STARTS + _DONES + _DELTAS
"""Events about a part of the message."""
_NAMES = ("expected", "came")
_SHOWN = ("text", "reasoning", "refusal")
_ENOUGH_TO_COMPARE = 16
"""Deltas of one part in a row of which a format with `fast` must read at least one without decoding."""
_PLACEHOLDER = "{}"
"""Arguments that some servers send before the real arguments; a cut answer may end between the two."""


def says_something(case: Case) -> Iterator[Violation]:
    """Find an answer for which the format returns no event."""
    if not case.whole.events:
        yield case.violation(f"it gives no event, but {_describe_failure(case.whole)}")


def expected(case: Case) -> Iterator[Violation]:
    """Find a message that differs from the expected one."""
    if case.expected is None:
        return
    message = _find_choice(case.whole, 0)
    if isinstance(case.expected, Message):
        lines = differences(case.expected, message, names=_NAMES)
    else:
        lines = list(_compare_fields("", case.expected, message))
    if lines:
        yield case.violation(_join_lines("the message differs", lines))


def same_at_every_chunking(case: Case) -> Iterator[Violation]:
    """Find a chunking at which the reading differs."""
    for chunking in usual_chunkings(case.recording):
        lines = _compare_readings(case.whole, read(case.recording, case.make(), chunking=chunking))
        if lines:
            yield case.violation(_join_lines("the reading differs", lines), chunking=chunking)


def same_in_sync_and_async(case: Case) -> Iterator[Violation]:
    """Find differences between the readings of a `Stream` and an `AsyncStream`."""
    lines = _compare_readings(case.whole, aread(case.recording, case.make()))
    if lines:
        yield case.violation(_join_lines("an AsyncStream gives a different reading", lines))


def shows_a_prefix(case: Case) -> Iterator[Violation]:
    """Find a cut at which a message is not a beginning of the whole answer's message."""
    for fault, reading in case.at_cuts:
        for message in reading.messages:
            what = _find_excess(message, _find_choice(case.whole, message.choice))
            if what:
                yield case.violation(what, fault=fault)


def whole_calls_once(case: Case) -> Iterator[Violation]:
    """Find a tool call that is handed out twice, or incomplete."""
    for what in _find_stray_calls(case.whole, case.whole):
        yield case.violation(what)
    for fault, reading in case.at_cuts:
        for what in _find_stray_calls(reading, case.whole):
            yield case.violation(what, fault=fault)


def complete_only_at_the_end(case: Case) -> Iterator[Violation]:
    """Find a cut answer that is reported complete although content is missing."""
    # If a server sends its finish reason before its last content, the answer is complete after the reason.
    if case.make().ends_with_input or "content_after_finish" in case.whole.departures:
        return
    for fault, reading in case.at_cuts:
        if reading.error is None and reading.crash is None and not reading.events:
            yield case.violation("an answer without events is not an error", fault=fault)
        for message in reading.messages:
            whole = _find_choice(case.whole, message.choice)
            if message.complete and _content_of(message) != _content_of(whole):
                yield case.violation("a cut answer is reported complete", fault=fault)


def starts_and_ends_parts(case: Case) -> Iterator[Violation]:
    """Find parts that end twice, go on after their end, or stay open."""
    ended: set[tuple[int, int]] = set()
    for event in case.whole.events:
        if isinstance(event, CONTENT) and not _is_opaque(event):
            place = (event.choice, event.part)
            if place in ended:
                verb = "ends again" if isinstance(event, _DONES) else "goes on after its end"
                yield case.violation(f"part {event.part} of choice {event.choice} {verb}")
            if isinstance(event, _DONES):
                ended.add(place)
    for message in case.whole.messages:
        for index, part in enumerate(message.parts):
            # A call whose arguments are not JSON stays incomplete, even in a complete answer.
            if message.complete and not part.complete and part.kind != "tool_call":
                yield case.violation(f"part {index} is open in a complete answer")


def is_only_faster(case: Case) -> Iterator[Violation]:
    """Find an answer that a format reads differently with `fast`, or in which `fast` has no effect."""
    plain = case.make()
    if plain.fast is None:
        return
    plain.shortcuts = False
    reading = feed_frames(case.make(), case.frames)
    decoded = feed_frames(plain, case.frames)
    if reading.crash is not None:
        return
    lines = _compare_readings(decoded, reading)
    if lines:
        yield case.violation(_join_lines("the reading differs from that with `fast = None`", lines))
    runs = groupby(decoded.events, key=lambda event: (type(event), event.choice, event.part))
    longest = max((len(list(run)) for (kind, *_), run in runs if issubclass(kind, _TEXTS)), default=0)
    # A payload with a departure is always decoded.
    enough = longest - sum(decoded.departures.values()) >= _ENOUGH_TO_COMPARE
    if enough and not _skips_decoding(case):
        yield case.violation(
            f"all of {longest} deltas in a row are decoded: look for a wrong place in `texts` of `fast`, "
            "and for a value beside the text that changes"
        )


# -- within ------------------------------------------------------------------------


def _skips_decoding(case: Case) -> bool:
    """Return whether a format reads a frame without decoding it."""
    format = case.make()
    for frame in case.frames:
        shortcut = format.frame_shortcut()
        # Frames of AWS's event streams have a shortcut of their own, which is not looked at here.
        if isinstance(frame, EventStreamMessage) or (shortcut is not None and shortcut(frame) is not None):
            return True
        format.feed(frame)
    return False


def _compare_readings(one: FormatReading, other: FormatReading) -> list[str]:
    """Return the differences in the first aspect in which two readings differ."""
    pairs = (
        (one.events, other.events),
        ([event.raw for event in one.events], [event.raw for event in other.events]),
        (one.messages, other.messages),
        (one.departures, other.departures),
        (_describe_failure(one), _describe_failure(other)),
    )
    for left, right in pairs:
        lines = differences(left, right, names=_NAMES)
        if lines:
            return lines
    return []


def _describe_failure(reading: FormatReading) -> str:
    error = reading.crash or reading.error
    return "no error" if error is None else f"{type(error).__name__}: {error}"


def _join_lines(what: str, lines: list[str]) -> str:
    return "\n".join([f"{what}:", *lines])


def _compare_fields(path: str, wanted: object, came: object) -> Iterator[str]:
    """Yield the differences between an expected value and an actual one.

    Args:
        path: Place of the values in the message; "" for the message itself.
        wanted: The expected value; of a mapping, only the fields that it names are compared.
        came: The actual value, from the message.
    """
    some, others = _as_sequence(wanted), _as_sequence(came)
    named = _as_mapping(wanted)
    if named is not None and came is not None:
        yield from _compare_named(path, named, came)
    elif some is None or others is None:
        yield from differences(wanted, came, names=_NAMES, path=path)
    elif len(some) == len(others):
        for at, pair in enumerate(zip(some, others, strict=True)):
            yield from _compare_fields(f"{path}[{at}]", *pair)
    else:
        yield from differences(list(some), list(others), names=_NAMES, path=path)


def _compare_named(path: str, wanted: Mapping[str, object], came: object) -> Iterator[str]:
    """Yield the differences between the fields that a mapping names and those of an object or a mapping."""
    fields = _as_mapping(came)
    for name, value in wanted.items():
        place = join_path(path, name)
        try:
            field = getattr(came, name) if fields is None else fields[name]
        except (KeyError, AttributeError):
            # Reported even if None is expected: the name may be misspelt.
            yield f"{place}: expected {value!r:.200}, and there is no such field"
        else:
            yield from _compare_fields(place, value, field)


def _as_mapping(value: object) -> Mapping[str, object] | None:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else None


def _as_sequence(value: object) -> Sequence[object] | None:
    return cast("Sequence[object]", value) if isinstance(value, list | tuple) else None


def _find_choice(reading: FormatReading, choice: int) -> Message:
    return next((message for message in reading.messages if message.choice == choice), Message(choice=choice))


def _find_excess(message: Message, whole: Message) -> str:
    """Return a sentence on how a cut message is not a beginning of the whole one; "" if it is."""
    for name in _SHOWN:
        # A character that was cut in the middle is decoded as U+FFFD.
        if not getattr(whole, name).startswith(getattr(message, name).rstrip("\ufffd")):
            return f"its {name} is not the beginning of the whole answer's"
    if len(message.tool_calls) > len(whole.tool_calls):
        return "it has more tool calls than the whole answer"
    for call, in_whole in zip(message.tool_calls, whole.tool_calls, strict=False):
        if (call.id, call.name) != (in_whole.id, in_whole.name):
            return f"its tool call {call.id!r} is not the one in the whole answer"
        begins = in_whole.arguments_text.startswith(call.arguments_text)
        if not begins and (call.complete or call.arguments_text != _PLACEHOLDER):
            return f"the arguments of its tool call {call.id!r} are not the beginning of the whole answer's"
    return ""


def _find_stray_calls(reading: FormatReading, whole: FormatReading) -> Iterator[str]:
    """Yield a sentence on each call that is handed out twice, or incomplete, or with changes.

    Args:
        reading: The reading of an answer that may be cut.
        whole: The reading of the whole answer.
    """
    given = [event for event in reading.events if isinstance(event, ToolCallDone)]
    in_whole = {
        (each.choice, each.part): each.call for each in whole.events if isinstance(each, ToolCallDone)
    }
    for (_, part), times in Counter((event.choice, event.part) for event in given).items():
        if times > 1:
            yield f"the tool call of part {part} is handed out {times} times"
    for event in given:
        call = event.call
        if not call.complete or not _is_whole(call):
            yield f"tool call {call.id!r} is handed out incomplete"
        elif in_whole.get((event.choice, event.part)) != call:
            yield f"tool call {call.id!r} is handed out, but differs from the one in the whole answer"


def _is_whole(call: ToolCall) -> bool:
    """Return True if a call's arguments are valid JSON, or need not be."""
    if call.type == "custom" or not call.arguments_text.strip():
        return True
    try:
        json.loads(call.arguments_text)
    except ValueError:
        return False
    return True


def _content_of(message: Message) -> tuple[object, ...]:
    return message.text, message.reasoning, message.refusal, message.tool_calls, message.finish_reason


def _is_opaque(event: Event) -> bool:
    """Return True if an event belongs to an opaque part, which may be sent again to replace itself."""
    return (
        isinstance(event, PartStart | PartDone)
        and event.content is not None
        and event.content.kind == "opaque"
    )
