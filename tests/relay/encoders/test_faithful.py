"""What other SDKs make of relayed citations, images, code and filtered answers."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.packages import needed
from tests.support.sent import read_by_anthropics_sdk
from tokenstream import relay
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    TextDelta,
)
from tokenstream.message import Citation, ServerToolCall, TextPart


def citing(count: int) -> list[Event]:
    cited = [
        CitationAdded(Citation(url=f"https://a.b/{number}", title=str(number)), part=number + 1)
        for number in range(count)
    ]
    return [MessageStart(), PartStart(TextPart()), TextDelta("Oslo."), *cited, Finish("stop")]


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_openai_python_adds_up_relayed_citations(count: int) -> None:
    """The SDK's accumulator joins lists by the index of their items, and raises where there is none."""
    chat: Any = needed("openai.lib.streaming.chat")
    types: Any = needed("openai.types.chat")
    state = chat.ChatCompletionStreamState()
    for payload in relay.payloads(citing(count), "openai-chat"):
        state.handle_chunk(types.ChatCompletionChunk.model_validate(payload))
    message = state.get_final_completion().choices[0].message

    found = [each.url_citation.url for each in message.annotations or []]
    assert ("Oslo.", [f"https://a.b/{number}" for number in range(count)]) == (message.content, found)


def calling(name: str, *fragments: str, first: str = "") -> list[Event]:
    return [
        MessageStart(),
        PartStart(ServerToolCall(id="ci_1", name=name, arguments_text=first)),
        *(PartDelta(fragment) for fragment in fragments),
        PartDone(),
        Finish("stop"),
    ]


def input_of(events: list[Event]) -> Any:
    """Return the input of a call as Anthropic's SDK makes it of a relayed answer."""
    text = "".join(
        payload["delta"]["partial_json"]
        for payload in relay.payloads(events, "anthropic")
        if payload["type"] == "content_block_delta"
    )
    whole = json.loads(text) if text else {}
    assert read_by_anthropics_sdk(events).content[0].input == whole
    return whole


@given(st.lists(st.text(alphabet='ab{}"\\\n: é🌊', max_size=6), max_size=8), st.sampled_from(["", "x = 1\n"]))
def test_the_code_of_an_interpreter_is_json_for_anthropics_sdks(pieces: list[str], first: str) -> None:
    code = first + "".join(pieces)
    assert input_of(calling("code_interpreter_call", *pieces, first=first)) == (
        {"code": code} if code else {}
    )


@given(st.lists(st.integers(1, 40), max_size=6))
def test_an_input_that_is_json_stays_as_it_is(cuts: list[int]) -> None:
    text = ' {"query": "say \\"Oslo\\"", "n": {"a": [1, "\\n"]}}'
    at = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    pieces = [text[start:end] for start, end in pairwise(at)]
    assert input_of(calling("web_search", *pieces)) == json.loads(text)


def test_the_input_of_any_other_tool_is_json_too() -> None:
    """Code is seen by its beginning; a brace alone is held until more has arrived."""
    for code in ("print(1)", "{1, 2}", "{", "[1]", "{x: 1}"):
        assert input_of(calling("shell", *code)) == {"code": code}
