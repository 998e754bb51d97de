"""`connect` knows the request, so a text of DashScope's native API need not show how it is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tokenstream import Retry, aconnect, connect
from tokenstream.events import TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "https://dashscope.test/api/v1/services/aigc/text-generation/generation"
AMBIGUOUS = ("1", "10", "100")


def _payload(text: str, finish: str) -> bytes:
    output = {"output": {"text": text, "finish_reason": finish}, "request_id": "r"}
    return b"event:result\ndata:" + json.dumps(output).encode() + b"\n\n"


def _body(*texts: str, whole: bool = True) -> bytes:
    body = b"".join(_payload(text, "null") for text in texts)
    return body + _payload("", "stop") if whole else body


def _transport(*bodies: bytes) -> httpx.MockTransport:
    left: Iterator[bytes] = iter(bodies)
    headers = {"content-type": "text/event-stream"}
    return httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=next(left)))


def _request(incremental: object) -> dict[str, Any]:
    parameters = {} if incremental is None else {"incremental_output": incremental}
    return {"model": "qwen-plus", "input": {"prompt": "?"}, "parameters": parameters}


@pytest.mark.parametrize("format", [None, "openai-chat"])
@pytest.mark.parametrize(
    ("incremental", "deltas"),
    [(True, ["1", "10", "100"]), (False, ["1", "0", "0"]), (None, ["1", "00"]), ("yes", ["1", "00"])],
)
def test_the_request_decides_and_nothing_is_held(format: Any, incremental: object, deltas: list[str]) -> None:
    with (
        httpx.Client(transport=_transport(_body(*AMBIGUOUS))) as client,
        connect(URL, client=client, json=_request(incremental), format=format) as stream,
    ):
        assert deltas == [event.text for event in stream if isinstance(event, TextDelta)]
    assert not stream.departures


@pytest.mark.anyio
async def test_the_request_of_an_asynchronous_stream_decides_too() -> None:
    async with (
        httpx.AsyncClient(transport=_transport(_body(*AMBIGUOUS))) as client,
        aconnect(URL, client=client, json=_request(incremental=True)) as stream,
    ):
        message = await stream.final()

    assert "110100" == message.text


def test_the_request_decides_for_each_attempt() -> None:
    """A second connection is read like the first."""
    bodies = _body(whole=False), _body(*AMBIGUOUS)
    with httpx.Client(transport=_transport(*bodies)) as client:
        retry = Retry(wait=0)
        message = connect(URL, client=client, json=_request(incremental=True), retry=retry).final()

    assert "110100" == message.text


def test_a_server_that_was_asked_for_whole_texts_and_sends_pieces_is_believed() -> None:
    """Some models cannot send anything but pieces, whatever is asked."""
    with httpx.Client(transport=_transport(_body("Hel", "lo", "lo"))) as client:
        message = connect(URL, client=client, json=_request(incremental=False)).final()

    assert "Hellolo" == message.text
