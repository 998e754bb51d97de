"""This library."""

from __future__ import annotations

from typing import Any

import httpx

from tests.compare.conformance import by_json
from tests.compare.conformance.answers import Answer, Call, SSEEvent
from tests.compare.conformance.reader import HEADERS, PythonReader, answer_by
from tokenstream import Stream
from tokenstream.framing import SSEParser


def _events(chunks: list[bytes]) -> list[SSEEvent]:
    parser = SSEParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    events += parser.end()
    parser.check()
    return [(event.event, event.data, event.id) for event in events]


def _read(body: bytes, answer: Answer) -> None:
    served = httpx.MockTransport(
        lambda _: httpx.Response(200, headers=HEADERS, stream=httpx.ByteStream(body))
    )
    with (
        httpx.Client(transport=served) as client,
        client.stream("POST", "http://reader.test") as response,
        Stream(response) as stream,
    ):
        try:
            for call in stream.tool_calls:
                answer.calls.append(Call(call.name, call.arguments, call.id))
        finally:
            _keep(stream.message, answer)


def _keep(message: Any, answer: Answer) -> None:
    answer.text, answer.reasoning, answer.role = message.text, message.reasoning, message.role
    answer.finish = message.raw_finish_reason
    if message.usage:
        answer.usage = [message.usage.input_tokens, message.usage.output_tokens]


US = PythonReader(
    "tokenstream",
    how="`SSEParser`; `Stream(response)` around an httpx response, with `stream.tool_calls`; "
    "`PartialJSONParser()`, for damaged texts with `lenient=True`",
    packages=("llm-tokenstream", "httpx"),
    modules=("tokenstream",),
    events_of=_events,
    sse=("event", "data", "id"),
    answer_of=dict.fromkeys(("openai-chat", "anthropic", "gemini"), answer_by(_read, reasoning="")),
    claims=frozenset({"reasoning", "role", "usage"}),
    json_of=by_json.OURS,
)
READERS = [US]
