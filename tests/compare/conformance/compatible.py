"""What servers send that claim to be compatible, with the answer that is meant.

Each case is one answer, made by hand in the shape that was seen. A case names what
it is about beyond text and calls; a reader that makes no claim about that has an
empty cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.compare.conformance import cases_anthropic, cases_chat, cases_gemini
from tests.compare.conformance.digest import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.compare.conformance.answers import Answer, Call
    from tests.compare.conformance.case import CompatibleCase

CASES: list[CompatibleCase] = [*cases_chat.CASES, *cases_anthropic.CASES, *cases_gemini.CASES]
"""All of them."""


def of_formats(formats: frozenset[str]) -> list[CompatibleCase]:
    return [case for case in CASES if case.format in formats]


def _calls_said(calls: list[Call], expected: Sequence[tuple[str | None, str, Any]]) -> str | None:
    given = [call for call in calls if call.valid]
    same = len(given) == len(expected) and all(
        (name, arguments) == (call.name, call.arguments) and id in {None, call.id}
        for call, (id, name, arguments) in zip(given, expected, strict=True)
    )
    if same and (len(given) == len(calls) or not expected):
        return None
    if len(given) < len(calls) and (same or not given):
        return "a call whose arguments are not JSON"
    shown = [f"{call.id}:{call.name}({_short(call.arguments)})" for call in given]
    return f"calls {', '.join(shown)}" if shown else "no call"


def _short(arguments: Any) -> str:
    if isinstance(arguments, dict):
        return ", ".join([f"{name}={value!r}" for name, value in arguments.items()])
    return repr(arguments)


def judge(case: CompatibleCase, said: Answer, claims: frozenset[str]) -> str | None:
    """Return "right", what came instead, or None where the reader makes no claim."""
    if not case.about.keys() <= claims:
        return None
    if case.fails:
        return _judge_failure(case, said)
    if said.error is not None:
        return said.error
    for name, expected in {"text": case.text, **case.about}.items():
        found = getattr(said, name)
        if found != expected:
            return f"{name} {found!r}"
    return _calls_said(said.calls, case.calls) or "right"


def _judge_failure(case: CompatibleCase, said: Answer) -> str:
    if said.error is None:
        return "no error"
    return "right" if said.text == case.text else f"text {said.text!r}"


def digest() -> str:
    return digest_of(
        [
            [case.name, case.format, case.body.hex(), case.text, [*case.calls], case.about, case.fails]
            for case in CASES
        ]
    )
