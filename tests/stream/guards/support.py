"""An answer, and rules that judge it."""

from __future__ import annotations

from typing import Any

from tokenstream import Message
from tokenstream.testing import script

WORDS = ("The ", "ca", "t ", "sat ", "on ", "it")
ANSWER = script().text(*WORDS).usage(input_tokens=3, output_tokens=6).finish("stop")


def off_topic(message: Message) -> str | None:
    return "off topic" if "cat" in message.text else None


def never(_: Message) -> None:
    """Let every answer go on."""


def guarded(rule: Any, **options: Any) -> Any:
    return lambda stream: stream.guard(rule, **options).text
