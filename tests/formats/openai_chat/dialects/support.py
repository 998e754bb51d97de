"""OpenAI Chat as other servers speak it: what an answer must say, and its chunks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ARGUMENTS = '{"city": "Oslo"}'
CALLED = [("get_weather", ARGUMENTS)]
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


@dataclass
class Says:
    """What an answer must say; what is not named here is not compared."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Of the calls that are handed out, names and arguments."""
    finish: str | None = "stop"
    output_tokens: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    """Some fields of the message's data."""
    kinds: list[str] | None = None
    """The kinds of the message's parts."""
    rules: set[str] = field(default_factory=set)
    """The departures, but for `role_missing`."""


FOUND = [
    {
        "image_url": "https://a.test/cat.png",
        "origin_url": "https://a.test/cats",
        "title": "A cat",
        "width": 300,
        "height": 200,
    }
]
