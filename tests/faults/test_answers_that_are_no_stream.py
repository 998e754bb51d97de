"""What else a server may answer where a stream was asked for, over real sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults.driver import both_colours, failed, read
from tests.support.loopback import Loopback, head, sized
from tokenstream.errors import NotAStream


@both_colours
@pytest.mark.parametrize(
    "status, words", [(304, "If-None-Match"), (300, "does not say where"), (307, "does not say where")]
)
def test_a_status_that_leads_nowhere_says_so(colour: str, status: int, words: str) -> None:
    with Loopback([head(status, None, [("Content-Length", "0")])]) as server:
        error = failed(colour, server, NotAStream, follow_redirects=True)

        assert words in str(error)
        assert str(status) in str(error)


CHAT = {
    "id": "c1",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-6",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}


@both_colours
@pytest.mark.parametrize("answer, format", [(CHAT, "openai-chat"), (CLAUDE, "anthropic")])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_whole_answer_where_a_stream_was_asked_for_is_read(
    colour: str, answer: Any, format: str, named: bool, indent: int | None
) -> None:
    """Some proxies do not stream; the message is the same."""
    body = json.dumps(answer, indent=indent).encode()
    with Loopback(sized(body, content_type="application/json")) as server:
        outcome = read(colour, server, format=format if named else None)

        assert outcome.error is None
        message = outcome.message
        assert (message.text, message.finish_reason) == ("Hi", "stop")
        assert message.usage.output_tokens == 2
