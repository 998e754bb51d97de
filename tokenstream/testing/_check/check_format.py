"""Tests of a format against the rules that every format must keep, for authors of formats."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import PurePath
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, TypeAlias, cast, get_args

from tokenstream.errors import MisuseError
from tokenstream.formats import Fast
from tokenstream.formats import _registry as registry
from tokenstream.limits import Limits
from tokenstream.message import FinishReason, Message
from tokenstream.testing._check import rules
from tokenstream.testing._check.case import (
    PROBE,
    Case,
    Check,
    CrashWatch,
    FormatReading,
    Violation,
    feed_frames,
    find_kinds,
    make_unknown_frame,
    replace_payload,
)
from tokenstream.testing._check.rules import CONTENT_EVENTS
from tokenstream.testing._recordings.places import Playable, as_recording
from tokenstream.testing._recordings.recording import Recording
from tokenstream.testing._script import Script

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._base import Format

_FRAMINGS = ("aws-eventstream", "json", "messages", "ndjson", "pieces", "sse")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FIRST_PAYLOADS: tuple[JsonObject, ...] = (
    {}, {"type": 1}, {"type": None}, {"id": {}}, {"choices": None}, {"choices": [1]}, {"delta": []},
    {"candidates": {}}, {"message": 1}, {"error": []}, {"event": {}, "data": 1}, {PROBE: [[]]},
)  # fmt: skip


def find_crashes(case: Case) -> Iterator[Violation]:
    """Find input on which `feed` or `end` raises."""
    format = case.make()
    if case.whole_reading.crash is not None:
        yield case.violation(_describe_crash(case.whole_reading.crash, format))
    for fault, reading in [*case.cut_readings, *case.damaged_readings]:
        if reading.crash is not None:
            yield case.violation(_describe_crash(reading.crash, format), fault=fault)
    for odd, reading in case.odd_readings:
        if reading.crash is not None:
            description = f"{odd.description}: {_describe_crash(reading.crash, format)}"
            yield case.violation_at(odd.number, odd.frame, description)


def find_unpicklable_errors(case: Case) -> Iterator[Violation]:
    """Find an error that pickle does not restore."""
    checked_types: set[type] = set()
    # Each list has pairs of the change that was made to the recording, and its reading.
    lists = (case.cut_readings, case.damaged_readings, case.odd_readings)
    for reading in (reading for pairs in lists for _, reading in pairs):
        error = reading.error
        if error is None or type(error) in checked_types:
            continue
        checked_types.add(type(error))
        restored: Any = None
        # `CrashWatch` suppresses an exception of pickle; `restored` is then None.
        with CrashWatch():
            restored = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        if type(restored) is not type(error) or (restored.args, restored.partial) != (
            error.args,
            error.partial,
        ):
            yield case.violation(f"{type(error).__name__} does not survive pickle")


def find_dropped_content(case: Case) -> Iterator[Violation]:
    """Find unknown fields and payloads that the format drops, or that make it end the stream."""
    kinds = find_kinds(case.frames)
    for index, payload in kinds:
        frame = replace_payload(case.frames[index], {**payload, PROBE: "kept"})
        # A heartbeat has no event that could carry the field.
        if _feed_until(case, index) and not _contains_probe(case.read_replaced(index, frame)):
            yield case.violation_at(index, frame, "an unknown field is in neither message nor events")
    if kinds:
        # Insert an unknown frame in the middle of the answer.
        index, _ = kinds[len(kinds) // 2]
        frame = make_unknown_frame(case.frames[index])
        reading = case.read_replaced(index, frame, case.frames[index])
        if not _contains_probe(reading):
            outcome = "dropped" if reading.error is None else "fatal"
            yield case.violation_at(index, frame, f"an unknown payload is {outcome}")


def find_late_events(case: Case) -> Iterator[Violation]:
    """Find events that a format returns after the terminal event, the end of the input, or an error."""
    format = case.make()
    with CrashWatch():
        for frame in case.frames:
            format.feed(frame)
        # A format whose answers have no terminal event has not ended yet, and may read on.
        for index, frame in enumerate(case.frames if format.ended else ()):
            if any(isinstance(event, CONTENT_EVENTS) for event in format.feed(frame)):
                yield case.violation_at(index, frame, "fed again after the terminal event, it gives content")
        format.end()
        if format.end():
            yield case.violation("a second end() gives events")
        # After an error, which a damaged payload may cause, even whole frames must give no events.
        for index, frame in enumerate(case.frames):
            broken = case.make()
            broken.feed(replace_payload(frame, b"{"))
            if broken.error is not None and any(map(broken.feed, case.frames)):
                yield case.violation_at(index, frame, 'it gives events after the error caused by "{"')


def find_shared_state(case: Case) -> Iterator[Violation]:
    """Find faults of a format's method `fresh`: its results share state, or it ignores an argument."""
    # An unusual limit, which no format has by itself.
    limits = Limits(event=999_983)
    original = case.make()
    with CrashWatch():
        fresh = original.fresh(limits=limits)
        if fresh is original or type(fresh) is not type(original):
            yield case.violation("fresh() must return a new format of the same class")
        if fresh.limits is not limits:
            yield case.violation("fresh() must pass on `limits`")
        alone, first, second = (original.fresh(limits=Limits()) for _ in range(3))
        in_turns = feed_frames(first, case.frames, second_format=second)
        # The frames that were fed to the others must not be counted by the original either.
        if feed_frames(alone, case.frames).events != in_turns.events or original.frames:
            yield case.violation("two formats from fresh(), fed in turns, give other events than one alone")


def find_wrong_attributes(case: Case) -> Iterator[Violation]:
    """Find attributes of the format's class that have a wrong type or value."""
    format = case.make()
    reasons = sorted(get_args(FinishReason))
    # Maps the sentence about an attribute to True if the attribute is wrong.
    is_wrong_by_rule = {
        "name: letters, digits, dots and dashes": not _NAME.fullmatch(_get_text(format, "name")),
        f"framing: one of {', '.join(_FRAMINGS)}": format.framing not in _FRAMINGS,
        "sentinel: bytes, or None": not _has_type(format.sentinel, bytes, type(None)),
        "ends_with_input: True or False": not _has_type(format.ends_with_input, bool),
        "event_names: a set of strings": not _are_all(format.event_names, (frozenset, set), str),
        f"finish_reasons: a mapping to {', '.join(sorted(reasons))}": not _are_among(
            format.finish_reasons, reasons
        ),
        "retryable: a mapping to True or False": not _are_among(format.retryable, (True, False)),
        'fast: None, or a `Fast` with places such as ("delta", "text")': not _is_fast(format.fast),
    }
    for expected, is_wrong in is_wrong_by_rule.items():
        if is_wrong:
            yield case.violation(f"a class attribute is wrong, expected {expected}")


def find_recognition_faults(case: Case) -> Iterator[Violation]:
    """Find first payloads for which `recognises` raises or returns a wrong type, or True for an empty one."""
    format = case.make()
    own_payloads = [payload for _, payload in find_kinds(case.frames)]
    for payload in (*_FIRST_PAYLOADS, *own_payloads):
        answer: object = None
        with CrashWatch() as watch:
            answer = format.recognises(payload, "")
        how_to_reproduce = f'{case.format_in_code}.recognises({payload!r:.200}, "")'
        if watch.crash is not None:
            yield Violation(_describe_crash(watch.crash, format), how_to_reproduce)
        elif answer not in (True, False, None):
            yield Violation(f"it must return True, False or None, not {answer!r:.99}", how_to_reproduce)
        elif answer and not payload:
            yield Violation("it claims an empty payload", how_to_reproduce)


# -- within ------------------------------------------------------------------------


def _describe_crash(error: Exception, format: Format) -> str:
    """Return a description of an exception, with the place in the format's own module that raised it.

    If no line of that module is in the traceback, the place is the line that raised the exception.
    """
    frames = [*walk_tb(error.__traceback__)]
    own_frames = [each for each in frames if each[0].f_globals.get("__name__") == type(format).__module__]
    frame, line = (own_frames or frames)[-1]
    file = PurePath(frame.f_code.co_filename).name
    return f"{type(error).__name__} is raised ({file}, line {line}): {error}"


def _feed_until(case: Case, index: int) -> list[Event]:
    """Feed a recording's frames to a new format, up to the one at `index`; return the events of that one."""
    format = case.make()
    events: list[Event] = []
    with CrashWatch():
        for frame in case.frames[: index + 1]:
            events = format.feed(frame)
    return events


def _contains_probe(reading: FormatReading) -> bool:
    """Return True if the probe, which was put into the input, is in a message or an event of a reading.

    After a crash the result is also True, because another rule reports the crash.
    """
    description = [*reading.messages, *reading.events, *(event.raw for event in reading.events)]
    return reading.crash is not None or any(PROBE in repr(each) for each in description)


def _get_text(holder: object, name: str) -> str:
    value = getattr(holder, name, None)
    return value if isinstance(value, str) else ""


def _has_type(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds)


def _is_fast(value: object) -> bool:
    """Return True if a value is valid as a format's attribute `fast`: None, or a `Fast` with valid paths."""
    if not isinstance(value, Fast):
        return value is None
    lists: tuple[Any, ...] = (value.texts, value.changing, value.counts)
    if not all(isinstance(places, list | tuple) for places in lists):
        return False
    return all(_are_all(place, tuple, str, int) for places in lists for place in places)


def _are_all(value: object, container: type | tuple[type, ...], *kinds: type) -> bool:
    # Anything but a container is replaced by (None,), which fails the check below.
    items = cast("Iterable[object]", value) if isinstance(value, container) else (None,)
    return all(isinstance(item, kinds) for item in items)


def _are_among(mapping: object, allowed: Sequence[object]) -> bool:
    """Return True if a value, a class attribute of a format, is a mapping with only allowed values."""
    if not isinstance(mapping, Mapping):
        return False
    # `allowed` is not a set, because a wrong value may be a list, which has no hash.
    return all(value in allowed for value in cast("Mapping[object, object]", mapping).values())


Expectation: TypeAlias = "Message | Mapping[str, Any]"

RULES: tuple[Check, ...] = (
    Check("described", "the class attributes have valid types and values", find_wrong_attributes),
    Check("recognises", "`recognises` answers True, False or None to any payload", find_recognition_faults),
    Check("fresh", "`fresh` gives a format that shares nothing with others", find_shared_state),
    Check("raises", "`feed` and `end` never raise, whatever the input", find_crashes),
    Check("events", "an answer gives events", rules.find_silence),
    Check("expected", "the message is the expected one", rules.find_unexpected_message),
    Check("chunking", "chunk boundaries make no difference", rules.find_chunking_differences),
    Check("async", "an AsyncStream gives what a Stream gives", rules.find_async_differences),
    Check("fast", "`fast` changes nothing but the speed, and has an effect", rules.find_fast_differences),
    Check("prefix", "a cut answer shows a beginning of the whole one", rules.find_excess),
    Check("calls", "a tool call is handed out once, and only when complete", rules.find_wrong_calls),
    Check("cut", "a cut answer is never complete", rules.find_false_completeness),
    Check("parts", "a part ends once, at the latest with the answer", rules.find_unbalanced_parts),
    Check("unknown", "unknown fields and payloads are carried, not dropped", find_dropped_content),
    Check("after", "no events come after the end or an error", find_late_events),
    Check("pickle", "errors survive pickle", find_unpicklable_errors),
)
"""Rules that `check_format` tests, in the order in which it reports them."""


def check_format(
    format: type[Format] | Format | str,
    recordings: Iterable[Playable | tuple[Playable, Expectation]] | Playable,
    *,
    cuts: int = 256,
    changes: int = 400,
) -> None:
    r"""Test a format against the rules for formats, with recordings of its answers.

    Args:
        format: The format: its class, an instance, or its name.
        recordings: One or several recordings, paths of recordings, or scripts. Each may be paired
            with its expected message: a `Message`, or a mapping from names of a message's fields to
            their expected values.
        cuts: Largest number of cuts of each recording. A small recording is cut at each byte, a
            larger one at a sample of its bytes.
        changes: Largest number of fields to change in the payloads of each recording.

    Raises:
        AssertionError: The format breaks rules. The message names them all; for each recording it
            describes the first violation, and how to reproduce it.
        MisuseError: There is no recording, or an expected message is neither a `Message` nor a mapping.

    Example:
        >>> from tokenstream import testing
        >>> answer = testing.script().text("Hello").finish("stop")
        >>> check_format("openai-chat", [(answer, {"text": "Hello"})], changes=20)
    """
    __tracebackhide__ = True
    pattern = format() if isinstance(format, type) else format
    make = partial(registry.create, pattern, limits=Limits())
    format_in_code = repr(format) if isinstance(format, str) else f"{type(pattern).__name__}()"
    cases = [
        Case(recording, make, format_in_code, wanted, cuts, changes)
        for recording, wanted in _pair_up(recordings)
    ]
    if not cases:
        raise MisuseError("a format is checked with recordings of its answers: pass at least one")
    results = [
        (rule, [(case, violation) for case in cases for violation in islice(rule.find_violations(case), 1)])
        for rule in RULES
    ]
    reports = [_write_report(rule, violations) for rule, violations in results if violations]
    if reports:
        raise AssertionError(
            "\n".join([f"{format_in_code} breaks {len(reports)} of {len(RULES)} rules", *reports])
        )


def _write_report(rule: Check, violations: list[tuple[Case, Violation]]) -> str:
    """Return the lines about a broken rule: its name and sentence, then one violation per recording."""
    lines = [f"- {rule.name}: {rule.sentence}"]
    for case, violation in violations:
        lines += [f"    {case.recording.name}: {line}" for line in violation.description.splitlines()[:1]]
        lines += [f"      {line}" for line in violation.description.splitlines()[1:]]
        lines.append(f"      to see it again: {violation.how_to_reproduce}")
    return "\n".join(lines)


def _pair_up(
    recordings: Iterable[Playable | tuple[Playable, Expectation]] | Playable,
) -> Iterable[tuple[Recording, Expectation | None]]:
    if isinstance(recordings, Recording | Script | str | os.PathLike):
        recordings = [recordings]
    for each in recordings:
        playable, *wanted = cast("tuple[Any, ...]", each) if isinstance(each, tuple) else (each, None)
        if len(wanted) != 1 or not isinstance(wanted[0], Message | Mapping | None):
            raise MisuseError(
                "a pair holds a recording and its expected message: a Message, or a mapping from the "
                "names of its fields to their expected values"
            )
        yield as_recording(playable), wanted[0]
