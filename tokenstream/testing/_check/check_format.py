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
from tokenstream.testing._recordings.cut_places import Playable, as_recording
from tokenstream.testing._recordings.recording import Recording
from tokenstream.testing._scripts.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.formats._base import Format
    from tokenstream.testing._check.case import Violation

Expectation: TypeAlias = "Message | Mapping[str, Any]"

RULES: tuple[Rule, ...] = (
    Rule("described", "the class attributes have valid types and values", manners.is_well_described),
    Rule("recognises", "`recognises` answers True, False or None to any payload", manners.recognises_calmly),
    Rule("fresh", "`fresh` gives a format that shares nothing with others", manners.fresh_is_independent),
    Rule("raises", "`feed` and `end` never raise, whatever the input", manners.raises_nothing),
    Rule("events", "an answer gives events", rules.says_something),
    Rule("expected", "the message is the expected one", rules.expected),
    Rule("chunking", "chunk boundaries make no difference", rules.same_at_every_chunking),
    Rule("async", "an AsyncStream gives what a Stream gives", rules.same_in_sync_and_async),
    Rule("fast", "`fast` changes nothing but the speed, and has an effect", rules.is_only_faster),
    Rule("prefix", "a cut answer shows a beginning of the whole one", rules.shows_a_prefix),
    Rule("calls", "a tool call is handed out once, and only when complete", rules.whole_calls_once),
    Rule("cut", "a cut answer is never complete", rules.complete_only_at_the_end),
    Rule("parts", "a part ends once, at the latest with the answer", rules.starts_and_ends_parts),
    Rule(
        "unknown",
        "unknown fields and payloads are carried, not dropped",
        manners.carries_what_it_does_not_know,
    ),
    Rule("after", "no events come after the end or an error", manners.gives_nothing_after_the_end),
    Rule("pickle", "errors survive pickle", manners.errors_survive_pickle),
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

    Example:
        >>> from tokenstream import testing
        >>> answer = testing.script().text("Hello").finish("stop")
        >>> check_format("openai-chat", [(answer, {"text": "Hello"})], changes=20)
    """
    __tracebackhide__ = True
    make, written = _make_factory(format)
    cases = [
        Case(recording, make, written, wanted, cuts, changes) for recording, wanted in _pair_up(recordings)
    ]
    if not cases:
        raise MisuseError("a format is checked with recordings of its answers: pass at least one")
    found = [
        (rule, [(case, broken) for case in cases for broken in _find_first(rule, case)]) for rule in RULES
    ]
    reports = [_write_report(rule, places) for rule, places in found if places]
    if reports:
        raise AssertionError("\n".join([f"{written} breaks {len(reports)} of {len(RULES)} rules", *reports]))


def _find_first(rule: Rule, case: Case) -> list[Violation]:
    """Return the first violation of a rule in a case, which is enough to point out the problem."""
    return list(islice(rule.look(case), 1))


def _write_report(rule: Rule, places: list[tuple[Case, Violation]]) -> str:
    """Return the lines about a broken rule: its name and sentence, then one violation per recording."""
    lines = [f"- {rule.name}: {rule.sentence}"]
    for case, broken in places:
        lines += [f"    {case.recording.name}: {line}" for line in broken.what.splitlines()[:1]]
        lines += [f"      {line}" for line in broken.what.splitlines()[1:]]
        lines.append(f"      to see it again: {broken.again}")
    return "\n".join(lines)


def _make_factory(format: type[Format] | Format | str) -> tuple[Callable[[], Format], str]:
    """Return a factory of the format, and the format as written in a program."""
    pattern = format() if isinstance(format, type) else format
    written = repr(format) if isinstance(format, str) else f"{type(pattern).__name__}()"
    return lambda: registry.create(pattern, limits=Limits(), pings=False), written


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
