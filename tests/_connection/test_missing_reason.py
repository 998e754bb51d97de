"""An end mark without a finish reason: any host may leave the reason out, as OpenAI's and Gemini's have."""

from __future__ import annotations

from tests.support import wire
from tests.support.responses import client_of
from tests.support.tables import in_one_test
from tokenstream import Stream, connect

CHAT = b"".join([wire.chat({"content": "Hel"}), wire.chat({"content": "lo"}), wire.DONE])
BLOCK = b"".join(
    [
        wire.claude_start(),
        wire.claude_open(0, type="text", text=""),
        wire.claude_delta(0, "text_delta", text="Hello"),
        wire.claude_close(0),
    ]
)
HOSTS = {
    "https://api.openai.com/v1/chat/completions": CHAT,
    "https://firm.openai.azure.com/openai/deployments/m/chat/completions": CHAT,
    "https://api.anthropic.com/v1/messages": BLOCK + wire.claude("message_stop"),
    "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions": CHAT,
    "https://gateway.example/v1/chat/completions": CHAT,
}


@in_one_test("url, body", HOSTS.items())
def test_no_host_makes_a_mark_without_a_reason_a_cut(url: str, body: bytes) -> None:
    client = client_of("sync", body, body)
    for stream in (connect(url, json={}, client=client), Stream(client.get(url))):
        assert (stream.final().text, stream.message.ending) == ("Hello", "complete")
        assert stream.departures["finish_missing"].details == {"finish_missing": 1}
