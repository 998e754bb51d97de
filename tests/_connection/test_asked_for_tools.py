"""`connect` knows the tools of the request, so that a piece of a tool's name is told from another tool."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tests.formats.openai_chat.payloads import call, chunk
from tests.support.either import connect_in, read_whole
from tests.support.responses import client_of
from tests.support.tables import in_one_test
from tests.support.wire import DONE, chat, sses
from tokenstream import Retry, Tags, connect, resilient

URL = "https://models.test/v1/chat/completions"
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("look", "look_up", "see")]


def _body(second: str) -> bytes:
    frames: list[Any] = [
        call("", index=0, name="look"),
        call("", index=0, name=second),
        call("{}", index=0),
        chunk({}, "tool_calls"),
    ]
    return b"".join([*sses(*frames), DONE])


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("retry", [None, Retry(attempts=2)])
@pytest.mark.parametrize(
    ("tools", "second", "names"),
    [(TOOLS, "_up", ["look_up"]), (TOOLS, "see", ["look", "see"]), (None, "see", ["looksee"])],
)
def test_the_requests_tools_count(
    tools: Any, second: str, names: list[str], retry: Retry | None, colour: str
) -> None:
    request = {"model": "m"} if tools is None else {"model": "m", "tools": tools}
    options = {"client": client_of(colour, _body(second)), "json": request, "retry": retry}
    stream = read_whole(colour, lambda: connect_in(colour)(URL, **options))

    assert names == [each.name for each in stream.message.tool_calls]


def test_an_unread_request_takes_its_tools_along() -> None:
    """Into the stream of `resilient`, which reads it."""
    with client_of("sync", _body("see")) as client:
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
    with (
        client_of("sync", body) as client,
        connect(URL, client=client, json=asked, tags=Tags(calls="qwen")) as stream,
    ):
        assert [{"n": value}] == [each.arguments for each in stream.final().tool_calls]
