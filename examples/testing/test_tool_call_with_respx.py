import json
from typing import Any

import httpx
import respx
from app import URL, ask


def event(delta: dict[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }
    return f"data: {json.dumps(chunk)}\n\n"


def call(arguments: str, **first: str) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": first["name"]} if first else {})}
    started = {"id": first["id"], "type": "function"} if first else {}
    return {"tool_calls": [{"index": 0, **started, "function": function}]}


@respx.mock
def test_the_weather_is_asked_for() -> None:
    body = [
        event({"role": "assistant", "content": ""}),
        event({"content": "Let me "}),
        event({"content": "see."}),
        event(call("", id="call_1", name="get_weather")),
        event(call('{"city"')),
        event(call(': "Oslo"}')),
        event({}, "tool_calls"),
        "data: [DONE]\n\n",
    ]
    headers = {"content-type": "text/event-stream"}
    respx.post(URL).mock(
        return_value=httpx.Response(200, headers=headers, text="".join(body))
    )

    with httpx.Client() as client:
        assert ask(client, "Weather?") == ["Let me see.", "get_weather(Oslo)"]
