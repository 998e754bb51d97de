"""An interaction of Gemini that breaks off goes on: by the rest of its stream, or by all of it as JSON."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.formats.gemini_interactions.test_whole_after_deltas import SPELLINGS, WHOLE, events, read, shown
from tests.support.responses import streamed
from tests.support.wire import sse
from tokenstream import Retry, connect

URL = "https://generativelanguage.googleapis.com/v1beta/interactions"


def numbered() -> list[bytes]:
    payloads = [json.loads(event.partition(b"data: ")[2]) for event in events(SPELLINGS["compact"])]
    return [
        sse({**payload, "event_id": f"e{number}"}, event=payload["event_type"])
        for number, payload in enumerate(payloads)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("rest", ["the stream", "JSON"])
def test_the_answer_is_exact_and_asked_for_once(rest: str) -> None:
    stream = numbered()
    expected = read(stream)

    for cut in range(1, len(stream)):
        asked: list[str] = []

        def answer(request: httpx.Request, cut: int = cut, asked: list[str] = asked) -> httpx.Response:
            after = request.url.params.get("last_event_id")
            asked.append(request.method)
            if request.method == "GET" and (after is None or rest == "JSON"):
                return httpx.Response(200, json=WHOLE)
            return streamed(stream[:cut] if after is None else stream[int(after[1:]) + 1 :])

        client = httpx.Client(transport=httpx.MockTransport(answer))
        options: dict[str, Any] = {"client": client, "retry": Retry(wait=0, attempts=2)}
        with connect(URL, json={"stream": True}, **options) as found:
            message = found.final()

        assert shown(expected) == shown(message), cut
        assert ("complete", ["POST", "GET"]) == (message.ending, asked)
