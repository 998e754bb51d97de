"""Rules about the events and messages that a format returns for an answer.

Each function looks at a `Case`, and yields the violations of one rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import cast

from tokenstream._basics.error_marks import message_of
from tokenstream._basics.json import is_one_value
from tokenstream.events import (
    Event,
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
from tokenstream.formats._fast.path import make_frame_shortcut
from tokenstream.framing import EventStreamMessage
from tokenstream.message import Message, ToolCall
from tokenstream.testing._check.assert_stream import usual_chunkings
from tokenstream.testing._check.case import Case, FormatReading, Violation, aread, feed_frames, read
from tokenstream.testing._pytest.diff import differences, join_path

_STARTS = (PartStart, ToolCallStart)
_END_EVENTS = (PartDone, ToolCallDone)
_TEXTS = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta, PartDelta)
_DELTAS = (*_TEXTS, MediaDelta)
CONTENT_EVENTS = _STARTS + _END_EVENTS + _DELTAS
"""Events about a part of the message."""
_NAMES = ("expected", "came")
_TEXT_NAMES = ("text", "reasoning", "refusal")
_ENOUGH_TO_COMPARE = 16
"""Number of deltas of one part in a row, of which a format with `fast` must read at least one undecoded."""
_PLACEHOLDER = "{}"
"""Arguments that some servers send before the real arguments; a cut answer may end between the two."""


def find_silence(case: Case) -> Iterator[Violation]:
    """Find an answer for which the format returns no event."""
    if not case.whole_reading.events:
        yield case.violation(f"it gives no event, but {_describe_reading(case.whole_reading)}")


def find_unexpected_message(case: Case) -> Iterator[Violation]:
    """Find a message that differs from the expected one."""
    if case.expected is None:
        return
    message = _find_choice(case.whole_reading, choice=0)
    if isinstance(case.expected, Message):
        lines = differences(case.expected, message, names=_NAMES)
    else:
        lines = list(_compare_fields("", case.expected, message))
    if lines:
        yield case.violation(_join_lines("the message differs", lines))


def find_chunking_differences(case: Case) -> Iterator[Violation]:
    """Find a chunking at which the reading differs from that of the recorded chunks."""
    for chunking in usual_chunkings(case.recording):
        lines = _compare_readings(case.whole_reading, read(case.recording, case.make(), chunking=chunking))
        if lines:
            yield case.violation(_join_lines("the reading differs", lines), chunking=chunking)


def find_async_differences(case: Case) -> Iterator[Violation]:
    """Find differences between the readings of a `Stream` and an `AsyncStream`."""
    lines = _compare_readings(case.whole_reading, aread(case.recording, case.make()))
    if lines:
        yield case.violation(_join_lines("an AsyncStream gives a different reading", lines))


def find_excess(case: Case) -> Iterator[Violation]:
    """Find messages of cut-off answers that are not a beginning of the whole answer's message."""
    for fault, reading in case.cut_readings:
        for message in reading.messages:
            description = _describe_excess(message, _find_choice(case.whole_reading, message.choice))
            if description:
                yield case.violation(description, fault=fault)


def find_wrong_calls(case: Case) -> Iterator[Violation]:
    """Find tool calls that are handed out twice, or incomplete, or that change if the answer is cut off."""
    for description in _list_wrong_calls(case.whole_reading, case.whole_reading):
        yield case.violation(description)
    for fault, reading in case.cut_readings:
        for description in _list_wrong_calls(reading, case.whole_reading):
            yield case.violation(description, fault=fault)


def find_false_completeness(case: Case) -> Iterator[Violation]:
    """Find cut-off answers reported complete without all content, or with neither events nor an error."""
    # A format that ends with its input cannot tell a cut from the end. If a server sends its finish reason
    # before its last content, the answer is complete after the reason.
    if case.make().ends_with_input or "content_after_finish" in case.whole_reading.departures:
        return
    for fault, reading in case.cut_readings:
        if reading.error is None and reading.crash is None and not reading.events:
            yield case.violation("an answer without events is not an error", fault=fault)
        for message in reading.messages:
            whole = _find_choice(case.whole_reading, message.choice)
            # After the finish reason, a call without arguments may still have waited for them.
            waiting = [index for index, call in enumerate(message.tool_calls) if _waits(call)]
            if message.complete and _list_comparable(message, waiting) != _list_comparable(whole, waiting):
                yield case.violation("a cut answer is reported complete", fault=fault)


def find_unbalanced_parts(case: Case) -> Iterator[Violation]:
    """Find parts that end twice, go on after their end, or stay open."""
    ended: set[tuple[int, int]] = set()
    for event in case.whole_reading.events:
        # A server may send an opaque part again, as a whole.
        if isinstance(event, CONTENT_EVENTS) and not _is_opaque(event):
            part_key = (event.choice, event.part)
            if part_key in ended:
                verb = "ends again" if isinstance(event, _END_EVENTS) else "goes on after its end"
                yield case.violation(f"part {event.part} of choice {event.choice} {verb}")
            if isinstance(event, _END_EVENTS):
                ended.add(part_key)
    for message in case.whole_reading.messages:
        for index, part in enumerate(message.parts):
            # A call whose arguments are not JSON stays incomplete, even in a complete answer.
            if message.complete and not part.complete and part.kind != "tool_call":
                yield case.violation(f"part {index} is open in a complete answer")


def find_fast_differences(case: Case) -> Iterator[Violation]:
    """Find an answer that a format's fast path, which does not decode the JSON, reads wrongly or never."""
    without_fast = case.make()
    if without_fast.fast is None:
        return
    without_fast.shortcuts = False
    reading = feed_frames(case.make(), case.frames)
    decoded = feed_frames(without_fast, case.frames)
    if reading.crash is not None:
        # Another rule reports the crash.
        return
    lines = _compare_readings(decoded, reading)
    if lines:
        yield case.violation(_join_lines("the reading differs from that with `fast = None`", lines))
    runs = groupby(decoded.events, key=lambda event: (type(event), event.choice, event.part))
    longest = max((len(list(run)) for (kind, *_), run in runs if issubclass(kind, _TEXTS)), default=0)
    # A payload with a departure is always decoded.
    is_long_enough = longest - sum(decoded.departures.values()) >= _ENOUGH_TO_COMPARE
    if is_long_enough and not _skips_decoding(case):
        yield case.violation(
            f"all of {longest} deltas in a row are decoded: look for a wrong place in `texts` of `fast`, "
            "and for a value beside the text that changes"
        )


# -- within ------------------------------------------------------------------------


def _skips_decoding(case: Case) -> bool:
    """Return True if a format reads at least one frame of the recording without decoding it."""
    format = case.make()
    for frame in case.frames:
        shortcut = make_frame_shortcut(format)
        # Frames of AWS's event streams have a shortcut of their own, which is not checked here.
        has_other_shortcut = isinstance(frame, EventStreamMessage)
        if has_other_shortcut or (shortcut is not None and shortcut(frame) is not None):
            return True
        format.feed(frame)
    return False


def _compare_readings(first: FormatReading, second: FormatReading) -> list[str]:
    """Return lines on the first thing in which two readings of an answer differ; none if they are equal."""
    pairs = (
        (first.events, second.events),
        ([event.raw for event in first.events], [event.raw for event in second.events]),
        (first.messages, second.messages),
        (first.departures, second.departures),
        (_describe_reading(first), _describe_reading(second)),
    )
    for left, right in pairs:
        lines = differences(left, right, names=_NAMES)
        if lines:
            return lines
    return []


def _describe_reading(reading: FormatReading) -> str:
    error = reading.crash or reading.error
    return "no error" if error is None else f"{type(error).__name__}: {message_of(error)}"


def _join_lines(description: str, lines: list[str]) -> str:
    return "\n".join([f"{description}:", *lines])


def _compare_fields(path: str, expected: object, actual: object) -> Iterator[str]:
    """Yield the differences between two values; of a mapping, only the fields that `expected` names count."""
    expected_items, actual_items = _as_sequence(expected), _as_sequence(actual)
    expected_fields = _as_mapping(expected)
    if expected_fields is not None and actual is not None:
        yield from _compare_named(path, expected_fields, actual)
    elif expected_items is None or actual_items is None:
        # At least one of them is a single value.
        yield from differences(expected, actual, names=_NAMES, path=path)
    elif len(expected_items) == len(actual_items):
        for index, pair in enumerate(zip(expected_items, actual_items, strict=True)):
            yield from _compare_fields(f"{path}[{index}]", *pair)
    else:
        # The lengths differ, so that the items cannot be paired.
        yield from differences(list(expected_items), list(actual_items), names=_NAMES, path=path)


def _compare_named(path: str, expected: Mapping[str, object], actual: object) -> Iterator[str]:
    """Yield the differences between expected fields and the fields of an actual object or mapping."""
    fields = _as_mapping(actual)
    for name, value in expected.items():
        field_path = join_path(path, name)
        try:
            field = getattr(actual, name) if fields is None else fields[name]
        except (KeyError, AttributeError):
            # Reported even if None is expected: the name may be misspelt.
            yield f"{field_path}: expected {value!r:.200}, and there is no such field"
        else:
            yield from _compare_fields(field_path, value, field)


def _as_mapping(value: object) -> Mapping[str, object] | None:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else None


def _as_sequence(value: object) -> Sequence[object] | None:
    return cast("Sequence[object]", value) if isinstance(value, list | tuple) else None


def _find_choice(reading: FormatReading, choice: int) -> Message:
    """Return the message of a choice; an empty message if the answer has no such choice."""
    return next((message for message in reading.messages if message.choice == choice), Message(choice=choice))


def _describe_excess(message: Message, whole: Message) -> str:
    """Return a sentence that says why a cut message is not a beginning of the whole one; "" if it is."""
    for name in _TEXT_NAMES:
        # A character that was cut in the middle is decoded as U+FFFD.
        if not getattr(whole, name).startswith(getattr(message, name).rstrip("\ufffd")):
            return f"its {name} is not the beginning of the whole answer's"
    if len(message.tool_calls) > len(whole.tool_calls):
        return "it has more tool calls than the whole answer"
    for call, expected_call in zip(message.tool_calls, whole.tool_calls, strict=False):
        if (call.id, call.name) != (expected_call.id, expected_call.name):
            return f"its tool call {call.id!r} is not the one in the whole answer"
        is_beginning = expected_call.arguments_text.startswith(call.arguments_text)
        # Some servers send a placeholder before the real arguments.
        if not is_beginning and (call.complete or call.arguments_text != _PLACEHOLDER):
            return f"the arguments of its tool call {call.id!r} are not the beginning of the whole answer's"
    return ""


def _list_wrong_calls(reading: FormatReading, whole: FormatReading) -> Iterator[str]:
    """Yield a sentence on each tool call that came twice, incomplete, or unlike the whole answer's."""
    delivered = [event for event in reading.events if isinstance(event, ToolCallDone)]
    expected_calls = {
        (each.choice, each.part): each.call for each in whole.events if isinstance(each, ToolCallDone)
    }
    for (_, part), count in Counter((event.choice, event.part) for event in delivered).items():
        if count > 1:
            yield f"the tool call of part {part} is handed out {count} times"
    for event in delivered:
        call = event.call
        is_whole = call.type == "custom" or is_one_value(call.arguments_text.strip() or "{}")
        if not call.complete or not is_whole:
            yield f"tool call {call.id!r} is handed out incomplete"
        elif expected_calls.get((event.choice, event.part)) != call:
            yield f"tool call {call.id!r} is handed out, but differs from the one in the whole answer"


def _waits(call: ToolCall) -> bool:
    return not call.complete and call.arguments_text.strip() in ("", "{}")


def _list_comparable(message: Message, waiting: Sequence[int] = ()) -> tuple[object, ...]:
    """Return a message's content, without id, usage, provider data, and the calls at `waiting` positions."""
    calls = [call for index, call in enumerate(message.tool_calls) if index not in waiting]
    return message.text, message.reasoning, message.refusal, calls, message.finish_reason


def _is_opaque(event: Event) -> bool:
    """Return True if an event belongs to an opaque part, which a server may send again as a whole."""
    return isinstance(event, PartStart | PartDone) and getattr(event.content, "kind", "") == "opaque"
