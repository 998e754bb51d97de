"""Clients of others read recorded answers that a relay has encoded: what they give is our message.

In a thorough run, each reads 400 recordings of real servers, those made for this project, and 40 that are
broken off; in others it reads the rare ones among these, and fewer of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.compare.sdks.relay.judges.drawn import CUT, READ, RecordedAnswer, drawn
from tests.compare.sdks.relay.judges.npm import read_in_node
from tests.compare.sdks.relay.judges.python_sdks import READERS, read_in_python
from tests.compare.sdks.relay.judges.said import Said, differences
from tests.support.beside import needs_recordings
from tests.support.sent import text_in
from tokenstream import relay

if TYPE_CHECKING:
    from tests.compare.sdks.relay.judges.client_answer import ClientAnswer
    from tokenstream.relay import ProtocolName

pytestmark = [pytest.mark.slow, needs_recordings]

JUDGES: dict[str, ProtocolName] = {
    "ai ui-message": "ui-message",
    "openai chat": "openai-chat",
    "openai responses": "openai-responses",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "ag-ui": "ag-ui",
    "ollama": "ollama",
    "openai of Python, chat": "openai-chat",
    "openai of Python, responses": "openai-responses",
    "anthropic of Python": "anthropic",
    "google-genai of Python": "gemini",
}
"""The protocol that each client reads: those of npm, and of Python."""


@dataclass(frozen=True)
class Difference:
    """A known difference that is no loss of a protocol."""

    judges: tuple[str, ...]
    answers: tuple[str, ...]
    reason: str


DIFFERENCES = (
    Difference(
        (
            "openai responses",
            "openai of Python, responses",
            "anthropic",
            "anthropic of Python",
            "gemini",
            "google-genai of Python",
        ),
        ("langchain-protocol/anthropic_length",),
        "A text that was opened empty before the reasoning is sent where its first content comes, behind it.",
    ),
    Difference(
        ("anthropic", "anthropic of Python", "gemini", "google-genai of Python"),
        ("openai-live/call",),
        "What GPT-Live says while a call waits goes on in the part before it; here, it is a part behind it.",
    ),
    Difference(
        ("google-genai of Python",),
        ("anthropic/thinking", "tokenstream/thinking"),
        "The SDK raises at a signature that is no base64, as the one that was made up for this recording.",
    ),
)


def _is_known(judge: str, answer: str) -> bool:
    return any(judge in known.judges and answer in known.answers for known in DIFFERENCES)


def _read(judge: str) -> dict[str, ClientAnswer]:
    protocol = JUDGES[judge]
    bodies = {answer.name: b"".join(relay.encode(answer, protocol)) for answer in drawn()}
    if judge in READERS:
        return read_in_python(judge, {name: (protocol, body) for name, body in bodies.items()})
    return read_in_node({name: (judge, protocol, body) for name, body in bodies.items()})


def _untold(answer: RecordedAnswer, protocol: ProtocolName, given: ClientAnswer) -> dict[str, Any]:
    """Return what a client gives for a broken answer, if it is not told, or not given what came before."""
    is_told = given.error is not None and given.end in (None, "error")
    return {} if is_told and given.text == text_in(protocol, answer.message) else vars(given)


@pytest.mark.parametrize("judge", JUDGES)
def test_a_client_reads_recorded_answers_as_we_do(judge: str) -> None:
    """Text, reasoning, calls, results, sources, media, order, reason and counts, but for losses of the table.

    An answer that has failed or broken off is an error for it, and never complete.
    """
    given = _read(judge)
    differing = {
        answer.name: _untold(answer, JUDGES[judge], given[answer.name])
        if answer.error is not None
        else differences(answer.messages, JUDGES[judge], given[answer.name])
        for answer in drawn()
    }
    unknown = {name: found for name, found in differing.items() if found and not _is_known(judge, name)}
    stale = [name for name, found in differing.items() if not found and _is_known(judge, name)]

    assert ({}, []) == (unknown, stale)


def test_the_answers_have_everything() -> None:
    """Clients would agree on little if the answers lacked anything."""
    answers = drawn()
    complete = [answer for answer in answers if answer.error is None]
    broken = [answer for answer in answers if answer.error is not None]
    lost = {kind for answer in complete for kind in Said(answer.message, "text").lost}

    assert len(answers) > READ + CUT
    assert len(broken) > CUT
    assert {"failed", "truncated"} == {answer.message.ending for answer in broken}
    assert lost >= {
        "reasoning",
        "refusal",
        "tool_call",
        "server_tool_call",
        "server_tool_result",
        "tool_result",
        "citation",
        "media",
        "custom_tool_call",
    }
    assert [answer for answer in complete if len(answer.messages) > 1]
