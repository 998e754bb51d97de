"""Tests of a format against the rules that every format must keep, for authors of formats."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from tokenstream.errors import MisuseError
from tokenstream.formats import _registry as registry
from tokenstream.limits import Limits
from tokenstream.message import Message
from tokenstream.testing._check import manners, rules
from tokenstream.testing._check.case import Case, Rule
from tokenstream.testing._recordings.places import Playable, as_recording
from tokenstream.testing._recordings.recording import Recording
from tokenstream.testing._scripts.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.formats._base import Format
    from tokenstream.testing._check.case import Violation

Expectation: TypeAlias = "Message | Mapping[str, Any]"

RULES: tuple[Rule, ...] = (
    Rule("described", "the class attributes have valid types and values", manners.find_wrong_attributes),
    Rule(
        "recognises",
        "`recognises` answers True, False or None to any payload",
        manners.find_recognition_faults,
    ),
    Rule("fresh", "`fresh` gives a format that shares nothing with others", manners.find_shared_state),
    Rule("raises", "`feed` and `end` never raise, whatever the input", manners.find_crashes),
    Rule("events", "an answer gives events", rules.find_silence),
    Rule("expected", "the message is the expected one", rules.find_unexpected_message),
    Rule("chunking", "chunk boundaries make no difference", rules.find_chunking_differences),
    Rule("async", "an AsyncStream gives what a Stream gives", rules.find_async_differences),
    Rule("fast", "`fast` changes nothing but the speed, and has an effect", rules.find_fast_differences),
    Rule("prefix", "a cut answer shows a beginning of the whole one", rules.find_excess),
    Rule("calls", "a tool call is handed out once, and only when complete", rules.find_wrong_calls),
    Rule("cut", "a cut answer is never complete", rules.find_false_completeness),
    Rule("parts", "a part ends once, at the latest with the answer", rules.find_unbalanced_parts),
    Rule(
        "unknown",
        "unknown fields and payloads are carried, not dropped",
        manners.find_dropped_content,
    ),
    Rule("after", "no events come after the end or an error", manners.find_late_events),
    Rule("pickle", "errors survive pickle", manners.find_unpicklable_errors),
)
"""Rules that `check_format` tests, in the order in which it reports them."""


def check_format(
    format: type[Format] | Format | str,
    recordings: Iterable[Playable | tuple[Playable, Expectation]] | Playable,
    *,
    cuts: int = 256,
    changes: int = 400,
) -> None:
    r"""Test, with recordings of a format's answers, that the format keeps the rules for formats.

    Args:
        format: The format: its class, an instance, or its name.
        recordings: One or several recordings, paths of recordings, or scripts. Each may be paired
            with its expected message: a `Message`, or a mapping from names of a message's fields to
            their expected values.
        cuts: Largest number of cuts of each recording. A small recording is cut at each byte, a
            larger one at a sample of its bytes.
        changes: Largest number of changes to fields of each recording's payloads.

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
    make, format_in_code = _make_factory(format)
    cases = [
        Case(recording, make, format_in_code, wanted, cuts, changes)
        for recording, wanted in _pair_up(recordings)
    ]
    if not cases:
        raise MisuseError("a format is checked with recordings of its answers: pass at least one")
    results = [
        (rule, [(case, violation) for case in cases for violation in _find_first(rule, case)])
        for rule in RULES
    ]
    reports = [_write_report(rule, violations) for rule, violations in results if violations]
    if reports:
        raise AssertionError(
            "\n".join([f"{format_in_code} breaks {len(reports)} of {len(RULES)} rules", *reports])
        )


def _find_first(rule: Rule, case: Case) -> list[Violation]:
    """Return a list with the first violation of a rule in a case; an empty list if there is none."""
    return list(islice(rule.find_violations(case), 1))


def _write_report(rule: Rule, violations: list[tuple[Case, Violation]]) -> str:
    """Return the lines about a broken rule: its name and sentence, then one violation per recording."""
    lines = [f"- {rule.name}: {rule.sentence}"]
    for case, violation in violations:
        lines += [f"    {case.recording.name}: {line}" for line in violation.description.splitlines()[:1]]
        lines += [f"      {line}" for line in violation.description.splitlines()[1:]]
        lines.append(f"      to see it again: {violation.how_to_reproduce}")
    return "\n".join(lines)


def _make_factory(format: type[Format] | Format | str) -> tuple[Callable[[], Format], str]:
    """Return a factory of the format, and the format as written in a program."""
    pattern = format() if isinstance(format, type) else format
    format_in_code = repr(format) if isinstance(format, str) else f"{type(pattern).__name__}()"
    return lambda: registry.create(pattern, limits=Limits(), pings=False), format_in_code


def _pair_up(
    recordings: Iterable[Playable | tuple[Playable, Expectation]] | Playable,
) -> Iterable[tuple[Recording, Expectation | None]]:
    """Yield each recording with its expected message, or None."""
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
