"""Cohere v2: whole answers, recognising, and reading at a glance."""

from __future__ import annotations

import pytest

from tests.formats.cohere.payloads import (
    USAGE,
    Payload,
    block,
    cite,
    end,
    frame,
    read_by,
    start,
    text,
    tool,
    written,
)
from tests.formats.cohere.support import read
from tests.support import registry
from tests.support.formats import Cohere
from tokenstream import Decoder
from tokenstream.events import MessageStart

WHOLE: Payload = {
    "id": "m1",
    "finish_reason": "TOOL_CALL",
    "message": {
        "role": "assistant",
        "tool_plan": "I will.",
        "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "So."}],
        "citations": [{"start": 0, "end": 2, "text": "So", "content_index": 1}],
        "tool_calls": [{"id": "a_1", "type": "function", "function": {"name": "a", "arguments": ""}}],
        "extra": 1,
    },
    "usage": USAGE,
    "logprobs": [{"text": "So."}],
    "tier": "x",
}


# -- whole answers ------------------------------------------------------------


def test_a_whole_answer_is_read_and_recognised() -> None:
    """A server that refused to stream says the same in one document."""
    decoder = Decoder()
    decoder.feed(written(WHOLE))
    decoder.end()
    message = decoder.message

    assert ("cohere", "complete", "I will.Hm", "So.", "tool_calls", "m1") == (
        decoder.format,
        message.ending,
        message.reasoning,
        message.text,
        message.finish_reason,
        message.id,
    )
    assert [("a_1", True)] == [(call.id, call.complete) for call in message.tool_calls]
    assert [2] == [citation.cites for citation in message.citations]
    assert {"logprobs": [{"text": "So."}], "tier": "x", "extra": 1} == message.provider_data


def test_a_whole_answer_after_its_pieces_is_not_shown_twice() -> None:
    came = read_by(Cohere(), frame(start()), frame(block(0)), frame(text(0, "So.")), written(WHOLE))

    assert ("So.", {"content_twice": 1}) == (
        came.message.text,
        {name: count for name, count in came.departures.items() if name == "content_twice"},
    )


def test_content_may_be_plain_text() -> None:
    """Some gateways write content as plain text."""
    whole = {"finish_reason": "COMPLETE", "message": {"role": "assistant", "content": "Hi"}}

    assert "Hi" == read_by(Cohere(), written(whole)).message.text


# -- recognising --------------------------------------------------------------


@pytest.mark.parametrize("payload", [start(), block(0), text(0, "Hi"), tool(0), cite(), end(), WHOLE])
def test_a_first_payload_is_recognised(payload: Payload) -> None:
    assert ("cohere", False) == registry.detect(payload, "")


def test_a_name_tells_where_the_type_is_missing() -> None:
    """A debug event, and a name without a field of its event, leave it to the next."""
    assert Cohere.recognises({"id": "m"}, "message-start") is True
    assert Cohere.recognises({}, "message-start") is None
    assert Cohere.recognises({"type": "debug", "prompt": "p"}, "debug") is None


# -- at a glance --------------------------------------------------------------


def test_a_head_that_comes_late_is_taken() -> None:
    """The end may be the only event with an id."""
    came = read({**end(), "id": "m9"})

    assert "m9" == came.message.id
    assert [MessageStart("m9", None)] == [each for each in came.events if isinstance(each, MessageStart)]
