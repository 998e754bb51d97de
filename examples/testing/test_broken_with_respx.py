import json
from collections.abc import Iterator

import httpx
import respx
from app import URL, ask_and_keep


def event(**delta: str) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    chunk = {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


class Broken(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield event(role="assistant", content="")
        yield event(content="The capital of ")
        yield event(content="Norway")
        raise httpx.ReadError("connection reset by peer")


@respx.mock
def test_what_had_come_is_shown() -> None:
    headers = {"content-type": "text/event-stream"}
    respx.post(URL).mock(
        return_value=httpx.Response(200, headers=headers, stream=Broken())
    )

    with httpx.Client() as client:
        assert (
            ask_and_keep(client, "Capital?")
            == "The capital of Norway … (connection lost)"
        )
