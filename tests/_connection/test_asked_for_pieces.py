"""`connect` knows the request, so a text of DashScope's native API need not show how it is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.either import connect_in, read_whole
from tests.support.responses import client_of
from tokenstream import Retry, connect
from tokenstream.events import TextDelta

URL = "https://dashscope.test/api/v1/services/aigc/text-generation/generation"
AMBIGUOUS = ("1", "10", "100")


def _payload(text: str, finish: str) -> bytes:
    output = {"output": {"text": text, "finish_reason": finish}, "request_id": "r"}
    return b"event:result\ndata:" + json.dumps(output).encode() + b"\n\n"


def _body(*texts: str, whole: bool = True) -> bytes:
    body = b"".join(_payload(text, "null") for text in texts)
    return body + _payload("", "stop") if whole else body


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
        client_of("sync", _body(*AMBIGUOUS)) as client,
        connect(URL, client=client, json=_request(incremental), format=format) as stream,
    ):
        assert deltas == [event.text for event in stream if isinstance(event, TextDelta)]
    assert not stream.departures


@pytest.mark.parametrize("retry", [None, Retry(wait=0)])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_the_request_decides_for_each_attempt(colour: str, retry: Retry | None) -> None:
    """A second connection is read like the first."""
    client = client_of(colour, *([_body(whole=False)] if retry else []), _body(*AMBIGUOUS))
    options = {"client": client, "json": _request(incremental=True), "retry": retry}
    stream = read_whole(colour, lambda: connect_in(colour)(URL, **options))

    assert "110100" == stream.message.text


def test_a_server_that_was_asked_for_whole_texts_and_sends_pieces_is_believed() -> None:
    """Some models cannot send anything but pieces, whatever is asked."""
    with client_of("sync", _body("Hel", "lo", "lo")) as client:
        message = connect(URL, client=client, json=_request(incremental=False)).final()

    assert "Hellolo" == message.text
