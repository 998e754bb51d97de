"""What a stream of somebody else's making must come to, whole and cut anywhere."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.effort import in_steps, trials
from tokenstream import Decoder, Message

_EACH_BELOW = 300
"""Bytes below which a body is cut at each of them."""
_CUTS = trials(180)


@dataclass
class Said:
    """What an answer says, on whatever wire."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Names and arguments."""
    reasoning: str = ""


def said(message: Message) -> Said:
    calls = [(call.name, call.arguments) for call in message.tool_calls if call.complete]
    return Said(message.text, calls, message.reasoning)


def read(*pieces: Any, **options: Any) -> Message:
    """Read pieces of a body, or payloads, which then end cleanly."""
    decoder = Decoder(**options)
    for piece in pieces:
        decoder.feed(piece)
    decoder.end()
    return decoder.message


def check_body(body: bytes, expected: Said, **options: Any) -> None:
    """Hold that a body says what is expected, in pieces of any size, and that no cut passes for the whole."""
    whole = read(body, **options)
    for size in (1, 7):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        assert whole == read(*pieces, **options)
    assert (said(whole), whole.ending) == (expected, "complete")
    chance = random.Random(len(body))
    ends = [at + 1 for at, byte in enumerate(body) if byte == ord("\n")][:: in_steps(3)]
    places = range(len(body)) if len(body) < _EACH_BELOW else [*ends, *chance.sample(range(len(body)), _CUTS)]
    for place in places:
        _check_cut(read(body[:place], **options), whole)


def check_payloads(payloads: list[dict[str, Any]], expected: Said, **options: Any) -> None:
    """Hold the same of payloads, such as a WebSocket's messages."""
    whole = read(*payloads, **options)
    assert (said(whole), whole.ending) == (expected, "complete")
    for count in range(len(payloads)):
        _check_cut(read(*payloads[:count], **options), whole)


def _check_cut(message: Message, whole: Message) -> None:
    """Hold that what was cut is complete only where nothing is missing, and says nothing else."""
    heard, expected = said(message), said(whole)
    # JavaScript cuts text between the halves of a surrogate pair.
    assert expected.text.startswith(heard.text.removesuffix("\ufffd"))
    assert expected.reasoning.startswith(heard.reasoning)
    assert heard.calls == expected.calls[: len(heard.calls)]
    if message.ending == "complete":
        # Behind the finish reason, a call without arguments may still have waited for them.
        waiting = [not call.complete and call.arguments_text in ("", "{}") for call in message.tool_calls]
        kept = [call for call, waits in zip(expected.calls, waiting, strict=True) if not waits]
        assert (replace(expected, calls=kept), whole.finish_reason) == (heard, message.finish_reason)
