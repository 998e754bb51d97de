"""Scripts drawn by hypothesis, and the expected result of reading their bytes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from tests.support.encoders import load
from tokenstream import testing
from tokenstream.errors import NotExpressible
from tokenstream.message import Message, Usage
from tokenstream.testing import Script

_words = st.sampled_from(["Hel", "lo", " ", "\n", "\u2028", "漢字", "🌊", "é", '"\\', "```"]) | st.text(
    st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=8
)
_texts = st.lists(_words, min_size=1, max_size=5).filter(lambda words: bool("".join(words).strip()))
_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=5,
)
_arguments = st.dictionaries(st.text("abcxyz_é", min_size=1, max_size=5), _values, max_size=3)
_counts = st.integers(1, 100_000)


@st.composite
def scripts(draw: st.DrawFn, format: str) -> Script:
    encoder = load(format)
    script = testing.script()
    if "reasoning" in encoder.expresses and draw(st.booleans()):
        script = script.reasoning(*draw(_texts))
    if draw(st.integers(0, 3)):
        script = script.text(*draw(_texts)).silence(draw(st.sampled_from([0, 0.5, 90])))
    elif "refusal" in encoder.expresses and draw(st.booleans()):
        script = script.refusal(*draw(_texts))
    if "tool_call" in encoder.expresses:
        for name in draw(st.lists(st.sampled_from(["rm", "get_weather"]), max_size=3)):
            script = script.tool_call(name, draw(_arguments))
    usage: dict[str, Any] = {
        name: draw(_counts) for name in ("input_tokens", "output_tokens") if name in encoder.counts
    }
    reported = draw(st.booleans())
    if usage and reported:
        script = script.usage(**usage)
    script = script.finish(draw(st.sampled_from(sorted(encoder.words))))
    try:
        script.recording(format)
    except NotExpressible:
        assume(False)
    return script


def told(message: Message, format: str) -> dict[str, Any]:
    """Return the parts that a script and the message read from its bytes have in common."""
    encoder = load(format)
    return {
        "text": message.text,
        "reasoning": message.reasoning,
        "refusal": message.refusal,
        "tool_calls": [
            (call.id if encoder.names_calls else "", call.name, _parsed(call.arguments_text), call.complete)
            for call in message.tool_calls
        ],
        # Bare text ends without a finish reason.
        "finish_reason": message.finish_reason if any(encoder.words.values()) else None,
        "ending": message.ending,
    }


def counted(usage: Usage) -> dict[str, int]:
    return usage.model_dump(exclude_none=True, exclude={"basis", "provider_data"})


def _parsed(arguments: str) -> Any:
    return json.loads(arguments or "{}")
