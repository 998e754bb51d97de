"""Answer a model's tool call: its turn goes back with the signature of its reasoning.

A local server plays the model, in Anthropic's form.
"""

import json
from typing import Any

from tokenstream import connect, testing
from tokenstream.turns import ToolResults

ANSWERS = [
    testing.script()
    .reasoning("I need the weather.", signature="c2lnbmVk")
    .tool_call("get_weather", {"city": "Oslo"})
    .finish("tool_calls"),
    testing.script().text("7 °C ", "in Oslo.").finish("stop"),
]


def get_weather(city: str) -> str:
    """Pretend to be a tool."""
    return f"{city}: 7 °C"


turns: list[dict[str, Any]] = [
    {"role": "user", "content": "What is the weather in Oslo?"}
]
with testing.serve(ANSWERS) as server:
    while turns[-1]["role"] == "user":
        ask = {
            "model": "scripted",
            "max_tokens": 1000,
            "messages": turns,
            "stream": True,
        }
        with connect(f"{server.url}/v1/messages", json=ask) as stream:
            message = stream.final()
        results = {
            call.id: get_weather(**call.arguments) for call in message.tool_calls
        }
        turns += ToolResults(message, results).turns()
for turn in turns:
    print(json.dumps(turn))
