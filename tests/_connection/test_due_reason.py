"""A finish reason that is due: where the host always sends one, an end mark without any is a cut."""

from __future__ import annotations

import pytest

from tests.support import wire
from tests.support.responses import client_of
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Retry, Stream, aconnect, connect
from tokenstream.errors import StreamTruncated


def _chat(*pieces: tuple[str, str | None]) -> bytes:
    """Return chunks of OpenAI's chat API, each with its reason, and then the sentinel."""
    return b"".join([*[wire.chat({"content": text}, reason) for text, reason in pieces], wire.DONE])


BLOCK = b"".join(
    [
        wire.claude_start(),
        wire.claude_open(0, type="text", text=""),
        wire.claude_delta(0, "text_delta", text="Hello"),
        wire.claude_close(0),
    ]
)
CHAT, MESSAGES = _chat(("Hel", None), ("lo", None)), BLOCK + wire.claude("message_stop")
DUE = {
    "OpenAI": ("https://api.openai.com/v1/chat/completions", CHAT),
    "OpenAI in a region": ("https://eu.api.openai.com/v1/chat/completions", CHAT),
    "Azure": ("https://firm.openai.azure.com/openai/deployments/m/chat/completions", CHAT),
    "Anthropic": ("https://api.anthropic.com/v1/messages", MESSAGES),
    "Gemini": ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", CHAT),
}
OTHERS = {
    "a gateway": ("https://gateway.example/v1/chat/completions", CHAT),
    "a name that ends alike": ("https://notapi.openai.com/v1/chat/completions", CHAT),
    "a name within another": ("https://api.openai.com.example/v1/chat/completions", CHAT),
    "another host of Anthropic's": ("https://console.anthropic.com/v1/messages", MESSAGES),
    "a copy of Messages": ("https://gateway.example/v1/messages", MESSAGES),
    "Groq": ("https://api.groq.com/openai/v1/chat/completions", CHAT),
}


@in_one_test("url, body", DUE.values(), ids=DUE)
def test_a_mark_without_a_due_reason_is_a_cut(url: str, body: bytes) -> None:
    client = client_of("sync", body, body)
    for stream in (connect(url, json={}, client=client), Stream(client.get(url))):
        with pytest.raises(StreamTruncated) as caught:
            stream.final()
        assert (stream.message.text, stream.message.ending) == ("Hello", "truncated")
        assert caught.value.retryable


@in_one_test("url, body", OTHERS.values(), ids=OTHERS)
def test_every_other_host_may_leave_it_out(url: str, body: bytes) -> None:
    stream = connect(url, json={}, client=client_of("sync", body))

    assert (stream.final().text, stream.message.ending) == ("Hello", "complete")
    assert stream.departures["finish_missing"].details == {"finish_missing": 1}


@pytest.mark.anyio
async def test_it_is_asked_again() -> None:
    url, whole = DUE["OpenAI"][0], _chat(("Hello", None), ("", "stop"))
    client = client_of("async", CHAT, whole)
    async with aconnect(url, json={}, client=client, retry=Retry(again=True, wait=0)) as stream:
        message = await stream.final()

    assert (message.ending, message.finish_reason, len(stream.attempts)) == ("complete", "stop", 2)
    assert isinstance(stream, AsyncStream)


REASONS = {
    "with the last piece": _chat(("Hel", None), ("lo", "stop")),
    "void by later content, and confirmed by the mark": _chat(("Hel", "stop"), ("lo", None)),
}


@in_one_test("body", REASONS.values(), ids=REASONS)
def test_a_reason_that_the_mark_confirms_is_one(body: bytes) -> None:
    stream = connect(DUE["OpenAI"][0], json={}, client=client_of("sync", body))

    assert (stream.final().text, stream.message.ending) == ("Hello", "complete")
    assert stream.message.finish_reason == "stop"


def test_the_reason_of_a_message_is_one() -> None:
    client = client_of("sync", BLOCK + wire.claude_end())
    stream = connect(DUE["Anthropic"][0], json={}, client=client)

    assert (stream.final().ending, stream.message.finish_reason) == ("complete", "stop")
