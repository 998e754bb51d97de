"""The protocol of our own: what stays in, and how errors and endings are told."""

from __future__ import annotations

import pytest

from tests.relay.tokenstream.support import END, Read, frame, record, written
from tests.support.tables import in_one_test
from tokenstream import errors, testing
from tokenstream import events as told
from tokenstream.errors import (
    ConnectError,
    LimitExceeded,
    PositionLost,
    ProtocolError,
    ProviderError,
    StatusError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.events import Event, PartDone, PartStart, Restarted, TextDelta, ToolCallStart
from tokenstream.message import Citation, MediaPart, Message, OpaquePart, TextPart, ToolCall, Usage

# -- what stays in ----------------------------------------------------------------


def test_what_is_the_providers_own_stays_in() -> None:
    """Ids and payloads of the provider are sent only where somebody asked for them."""
    data = {"secret": 1}
    events: list[Event] = [
        told.MessageStart("msg_secret", "m", raw=data),
        PartStart(TextPart(provider_data=data)),
        PartStart(OpaquePart(type="x", data=data), part=1),
        ToolCallStart("call_1", "now", provider_data=data, part=2),
        PartStart(MediaPart(id="audio_secret", mime_type="audio/wav"), part=4),
        told.UsageUpdate(Usage(output_tokens=1, provider_data=data)),
        told.CitationAdded(Citation(url="https://a.test", provider_data=data), part=3),
        Restarted(Message(id="msg_secret", provider_data=data, parts=(TextPart(provider_data=data),))),
        told.ProviderData(data, {"secret": [1]}),
        told.Unknown("secret", data),
    ]
    *sent, _ = written(events)

    assert b"secret" not in b"".join(sent)
    assert len(sent) == b"".join(sent).count(b"data: ") == len(events) - 2
    assert all(b"secret" in record(event, raw=True) for event in events)


def test_a_providers_words_about_an_error_stay_in() -> None:
    """An error is told in our words; its class, kind and code come through."""
    error = ProviderError("the provider reports an error: key sk-1 is broken", code="bad", kind="server")
    (sent,) = written([], error, ending="failed")
    (told_all,) = written([], error, ending="failed", raw=True)
    again = Read([sent])

    assert b"sk-1" not in sent
    assert isinstance(again.error, ProviderError)
    assert ("bad", "server") == (again.error.code, again.error.kind)
    assert ("failed", []) == (again.stream.message.ending, again.events)
    assert b"sk-1" in told_all


def test_what_events_add_up_to_is_not_sent_twice() -> None:
    """The end of a part does not repeat its text; that of a call which is no JSON has it."""
    body = testing.script().text("Hello, ", "world").finish("stop").chunks("openai-chat")
    sent = b"".join(Read(body).written())

    assert sent.count(b"Hello") == 1
    broken = ToolCall(id="a", name="rm", arguments_text="{")
    assert b'"arguments_text":"{"' in record(PartDone(broken))


# -- errors and endings -------------------------------------------------------------


_ERRORS = [
    ConnectError("no", stage="head"),
    StatusError("no", status=429, code="slow_down", retry_after=2.0, kind="rate_limited"),
    StreamInterrupted("no"),
    StreamTruncated("no"),
    StreamStalled("no", limit="idle_content"),
    ProtocolError("no", event=3, offset=1),
    LimitExceeded(limit="text", value=7),
    PositionLost("no"),
    ProviderError("no", code="c", type="t", kind="overloaded", retry_after=0.5),
    errors.NotAStream("no"),
    errors.GuardFailed("no"),
    errors.AnswerRejected("no", outcome="empty"),
    StreamError("no", kind="authentication", retryable=True),
]


@in_one_test("error", _ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_raised_as_it_was(error: StreamError) -> None:
    again = Read(written([TextDelta("Hel")], error, ids=True, ending="failed")).error

    assert again is not None
    assert type(error) is type(again)
    for name in ("kind", "retryable", "retry_after", "code", "type", "status", "limit", "value", "stage"):
        assert getattr(error, name, None) == getattr(again, name, None), name
    assert "Hel" == again.partial.text
    truncated = isinstance(error, StreamInterrupted | StreamTruncated | StreamStalled)
    assert ("truncated" if truncated else "failed") == again.partial.ending


@pytest.mark.slow
def test_every_cut_is_reported() -> None:
    """A body that ends before its last record was cut, even behind the finish reason."""
    body = testing.script().reasoning("Hm").text("Hello").tool_call("now", {"a": 1}).finish("tool_calls")
    for format in ("tokenstream", "ndjson"):
        whole = b"".join(Read(body.chunks("openai-chat")).written(format))
        # The last line may lack its end.
        for place in range(1, len(whole) - 3, 3):
            read = Read([whole[:place]], "tokenstream")
            assert isinstance(read.error, StreamTruncated), place
            assert "truncated" == read.stream.message.ending
        assert Read([whole]).error is None


@pytest.mark.parametrize(
    "first", [TextDelta("a"), told.StepStart("1", "plan"), Restarted(Message()), PartDone()]
)
def test_whatever_comes_first_tells_the_format(first: Event) -> None:
    """A reader that begins in the middle, or at an error, knows the format by what it sees."""
    assert "tokenstream" == Read([frame(7, record(first)), frame(8, END)]).stream.format
    read = Read(written([], StreamInterrupted("no"), ending="truncated"))
    assert isinstance(read.error, StreamInterrupted)
    assert "tokenstream" == read.stream.format
    assert Read([frame(None, b'{"type":"live","at":3}'), frame(4, END)]).error is None
