"""`connect` knows the tools of the request, so that a piece of a tool's name is told from another tool."""

from __future__ import annotations

from itertools import product
from typing import Any

import httpx
import pytest

from tests.formats.openai_chat.payloads import call, chunk
from tests.support.tables import in_one_test
from tests.support.wire import DONE, chat, sses
from tokenstream import Retry, Tags, aconnect, connect, resilient

URL = "https://models.test/v1/chat/completions"
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("look", "look_up", "see")]


def _body(second: str) -> list[bytes]:
    frames: list[Any] = [
        call("", index=0, name="look"),
        call("", index=0, name=second),
        call("{}", index=0),
        chunk({}, "tool_calls"),
    ]
    return [*sses(*frames), DONE]


def _transport(second: str) -> httpx.MockTransport:
    headers = {"content-type": "text/event-stream"}
    return httpx.MockTransport(
        lambda _: httpx.Response(200, headers=headers, content=b"".join(_body(second)))
    )


@pytest.mark.parametrize("retry", [None, Retry(attempts=2)])
@pytest.mark.parametrize(
    ("tools", "second", "names"),
    [(TOOLS, "_up", ["look_up"]), (TOOLS, "see", ["look", "see"]), (None, "see", ["looksee"])],
)
def test_the_requests_tools_count(tools: Any, second: str, names: list[str], retry: Retry | None) -> None:
    request = {"model": "m"} if tools is None else {"model": "m", "tools": tools}
    with (
        httpx.Client(transport=_transport(second)) as client,
        connect(URL, client=client, json=request, retry=retry) as stream,
    ):
        assert names == [each.name for each in stream.final().tool_calls]


@pytest.mark.anyio
async def test_the_requests_tools_count_for_an_asynchronous_stream() -> None:
    async with (
        httpx.AsyncClient(transport=_transport("see")) as client,
        aconnect(URL, client=client, json={"tools": TOOLS}) as stream,
    ):
        assert ["look", "see"] == [each.name for each in (await stream.final()).tool_calls]


def test_an_unread_request_takes_its_tools_along() -> None:
    """Into the stream of `resilient`, which reads it."""
    with httpx.Client(transport=_transport("see")) as client:
        stream = resilient(lambda: connect(URL, client=client, json={"tools": TOOLS}), Retry(attempts=1))

        assert ["look", "see"] == [each.name for each in stream.final().tool_calls]


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
REQUESTS: list[Any] = [
    {"tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}]},
    {"functions": [{"name": "look", "parameters": SCHEMA}]},
    {"tools": [{"type": "function", "name": "look", "parameters": SCHEMA}]},
    {"tools": [{"name": "look", "input_schema": SCHEMA}]},
    {"tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": SCHEMA}]}]},
    {"tools": [{"function_declarations": [{"name": "look", "parameters": SCHEMA}]}]},
    {"toolConfig": {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": SCHEMA}}}]}},
]
"""Requests to all APIs that offer a tool."""
WITHOUT: list[Any] = [None, [], "x", {}, {"tools": "x"}, {"tools": [1, {"name": 2}, {"x": []}]}]
"""Requests that offer none."""


@in_one_test("asked, value", [*product(REQUESTS, [5]), *product(WITHOUT, ["5"])])
def test_the_tools_of_any_apis_request_are_found(asked: Any, value: object) -> None:
    """Names and schemas, wherever the API has them: a schema tells a number in a text's call from a text."""
    text = "<tool_call><function=look><parameter=n>5</parameter></function></tool_call>"
    body = chat({"content": text}) + chat({}, "stop") + DONE
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    with (
        httpx.Client(transport=transport) as client,
        connect(URL, client=client, json=asked, tags=Tags(calls="qwen")) as stream,
    ):
        assert [{"n": value}] == [each.arguments for each in stream.final().tool_calls]
