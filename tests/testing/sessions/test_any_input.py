"""Sessions survive whatever a client or a recording says: they have no I/O, and are tried without any."""

from __future__ import annotations

import json
from email.message import Message
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.effort import examples
from tests.testing.sessions.support import PATHS
from tokenstream import testing
from tokenstream.errors import MisuseError
from tokenstream.testing import Recording, Request
from tokenstream.testing._serve.sessions import make_session
from tokenstream.testing._serve.sessions.session import ServedSession, SessionStore

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.not_quick

FORMATS = pytest.mark.parametrize("format", list(PATHS))
ANSWER = testing.script().text("Hel").silence(5).text("lo").tool_call("now", {}).finish()

FIELDS = [
    *("type", "id", "item", "item_id", "audio_end_ms", "session", "audio", "output", "format", "response_id"),
    *("previous_response_id", "stream_id", "store", "generate", "response", "error", "delta", "code"),
    *("setup", "sessionResumption", "handle", "clientContent", "turnComplete", "toolResponse"),
    *("functionResponses", "realtime_input", "text", "activityStart", "toolCall", "functionCalls"),
    *("serverContent", "modelTurn", "interrupted"),
]
WORDS = [
    *("response.create", "response.cancel", "session.update", "conversation.item.create", "item_1", "resp_1"),
    *("conversation.item.truncate", "conversation.item.delete", "input_audio_buffer.commit", "error"),
    *("response.created", "response.output_item.done", "response.output_audio.delta", "response.completed"),
    *("response.done", "audio/pcmu"),
]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.sampled_from(WORDS) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=8,
)
MESSAGES = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4)


def open_session(format: str, answer: Callable[[], Recording]) -> ServedSession:
    handshake = Request(method="GET", path=PATHS[format], headers=Message(), body=b"")
    session = make_session(format, handshake, lambda _: answer(), SessionStore())
    session.start(0.0)
    return session


def asking(format: str) -> list[dict[str, Any]]:
    if format == "gemini-live":
        return [{"setup": {"sessionResumption": {}}}, {"clientContent": {"turnComplete": True}}]
    return [{"type": "response.create"}]


@pytest.mark.slow
@FORMATS
@examples(150)
@given(said=st.lists(MESSAGES, max_size=6), raw=st.text(max_size=3) | st.binary(max_size=3))
def test_any_message_of_a_client_is_answered_or_ends_the_connection(
    format: str, said: list[dict[str, Any]], raw: str | bytes
) -> None:
    session = open_session(format, lambda: ANSWER.recording(format))
    sent: list[bytes] = []
    for number, message in enumerate([*asking(format), *said]):
        session.receive(json.dumps(message), number)
        sent += session.take(number)
    session.receive(raw, 9.0)
    sent += session.take(99.0)

    assert all(isinstance(json.loads(data), dict) for data in sent)


@pytest.mark.slow
@FORMATS
@examples(150)
@given(messages=st.lists(MESSAGES, max_size=6))
def test_any_recording_can_be_played(format: str, messages: list[dict[str, Any]]) -> None:
    recording = Recording.of([json.dumps(each).encode() for each in messages], messages=True, format=format)
    session = open_session(format, lambda: recording)
    for number in range(3):
        for message in [*asking(format), {"type": "response.cancel"}]:
            session.receive(json.dumps(message), number)
            session.take(number)

    assert session.deadline > 0 or session.ending is not None


@FORMATS
def test_a_message_that_is_nested_too_deeply_is_refused(format: str) -> None:
    """Sending it back would end in a RecursionError."""
    session = open_session(format, lambda: ANSWER.recording(format))
    session.receive('{"type": "session.update", "session": ' + '{"a":' * 50_000 + "1" + "}" * 50_001, 0.0)
    *_, last = session.take(0.0) or [b""]

    assert b"error" in last or session.ending is not None


def test_ids_may_end_in_any_number_of_digits() -> None:
    """A recording that is played again gets other ids, whatever Python can read as a number."""
    id = "resp_" + "7" * 5_000
    kinds = "response.created", "response.completed"
    recording = Recording.of(
        [json.dumps({"type": kind, "response": {"id": id}}).encode() for kind in kinds],
        messages=True,
        format="openai-responses",
    )
    session = open_session("openai-responses", lambda: recording)
    seen = []
    for number in range(2):
        for message in asking("openai-responses"):
            session.receive(json.dumps(message), number)
        seen.append({json.loads(text)["response"]["id"] for text in session.take(number)})

    assert seen[0] == {id}
    assert len(seen[1]) == 1
    assert seen[1] != seen[0]


def test_a_format_without_sessions_is_refused() -> None:
    handshake = Request(method="GET", path="/", headers=Message(), body=b"")
    with pytest.raises(MisuseError, match="gemini-live"):
        make_session("anthropic", handshake, lambda _: ANSWER.recording(), SessionStore())
