"""Laws of turns: any message goes, or the error says exactly what cannot."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import aws_eventstream, wire
from tests.turns.sdks import METHODS, accept, attempt
from tokenstream import Decoder
from tokenstream.errors import OutputInvalid
from tokenstream.message import (
    Citation,
    MediaPart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
)

_BLANK = {"anthropic", "bedrock"}
"""APIs that refuse text without a word."""
_TEXT_ARGUMENTS = {"openai-chat", "openai-responses", "cohere", "mistral"}
_CUSTOM = {"openai-chat", "openai-responses"}

_texts = st.sampled_from(["", " ", "\n", "Hi", "日本", "a\u2028b"])
_fields = st.none() | st.sampled_from(
    [
        {"id": "msg_1", "status": "completed"},
        {"type": "reasoning.text", "index": 0},
        {"type": "web_search_call", "id": "ws_1"},
        {"thoughtSignature": "c2ln"},
        {"extra_content": {"google": {"thought_signature": "c2ln"}}},
        {"type": "url_citation", "url": "u"},
        {"type": "image_url"},
        {"format": "png"},
        {"sources": [], "content_index": 4},
    ]
)
_marks = st.none() | st.sampled_from(["c2ln", "AAA="])
_whole = st.booleans()
_UNWRITABLE = ('{"a": [NaN]}', '{"a": -1e999}', '{"\\ud83d": 1}')
"""What can be read as JSON, but not be written."""
_arguments = st.sampled_from(
    ["", " ", "{}", '{"a": [null, 1.5, "ü"]}', "[1]", "12", '{"a', "ls -l", *_UNWRITABLE]
)
_ids = st.sampled_from(["", "c1", "call_0"])
_parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(TextPart, text=_texts, complete=_whole, provider_data=_fields),
    st.builds(
        ReasoningPart, text=_texts, signature=_marks, redacted=_marks, complete=_whole, provider_data=_fields
    ),
    st.builds(RefusalPart, text=_texts, complete=_whole, provider_data=_fields),
    st.builds(
        ToolCall,
        id=_ids,
        name=st.sampled_from(["", "f"]),
        arguments_text=_arguments,
        complete=_whole,
        type=st.sampled_from(["function", "function", "custom", "function_call", "computer_call"]),
        provider_data=_fields,
    ),
    st.builds(
        ServerToolCall, id=_ids, name=_ids, arguments_text=_arguments, complete=_whole, provider_data=_fields
    ),
    st.builds(
        ServerToolResult,
        id=_ids,
        name=_ids,
        content=st.sampled_from([None, "x", [], [{"text": "x"}], {"a": []}]),
        complete=_whole,
        provider_data=_fields,
    ),
    st.builds(Citation, url=_marks, cites=st.none() | st.integers(-1, 6), provider_data=_fields),
    st.builds(
        MediaPart,
        id=_marks,
        mime_type=st.sampled_from([None, "image/png", "audio/wav", ""]),
        data=st.sampled_from([b"", b"\x00"]),
        url=_marks,
        transcript=_texts,
        complete=_whole,
        provider_data=_fields,
    ),
    st.builds(OpaquePart, type=_ids, data=st.sampled_from([{}, {"type": "c1"}, {"x": 1}]), complete=_whole),
)
_many = st.lists(_parts, max_size=6).map(tuple)
_apis = pytest.mark.parametrize("api", METHODS)


def _is_signed(part: TextPart | ToolCall) -> bool:
    return part.provider_data is not None and "ignature" in str(part.provider_data)


def _is_object(call: ToolCall) -> bool:
    if call.arguments_text in _UNWRITABLE:
        return False
    try:
        return isinstance(call.model_copy(update={"type": "function"}).arguments, dict)
    except OutputInvalid:
        return False


def _fault_of_call(call: ToolCall, api: str) -> str | None:
    if not call.complete:
        return "incomplete"
    if call.type == "computer_call" or (call.type == "custom" and api not in _CUSTOM):
        return "custom_tool_call"
    if not call.id or not call.name or not (api in _TEXT_ARGUMENTS or _is_object(call)):
        return "invalid_tool_call"
    return "signature" if _is_signed(call) else None


def _takes_media(part: MediaPart, api: str) -> bool:
    if api == "gemini":
        return bool(part.mime_type and part.data) and part.url is None
    return api == "ollama" and part.mime_type == "image/png" and bool(part.data) and not part.transcript


def _fault(part: Part, api: str) -> str | None:
    """Say what stands in the way of another provider's part, by the rules of docs/guides/turns.md."""
    if isinstance(part, ToolCall):
        return _fault_of_call(part, api)
    if isinstance(part, TextPart):
        return "signature" if _is_signed(part) else None
    if isinstance(part, RefusalPart):
        return None if api == "openai-chat" else "refusal"
    if not part.complete and not isinstance(part, ReasoningPart):
        return "incomplete"
    if isinstance(part, MediaPart) and _takes_media(part, api):
        return None
    return part.kind


def _has_words(part: Part, api: str) -> bool:
    """Tell whether something of a part is left where all that has no place was left out."""
    if isinstance(part, TextPart | RefusalPart):
        return bool(part.text.strip() if api in _BLANK else part.text)
    return True


# -- signatures ---------------------------------------------------------------------

_PIECES = ("c2lnbmVk", "IGFuZCBzZWFsZWQ=")
_SIGNED = {
    "anthropic": [
        wire.claude_start(),
        wire.claude_open(0, type="thinking", thinking="", signature=""),
        wire.claude_delta(0, "thinking_delta", thinking="Hm"),
        *(wire.claude_delta(0, "signature_delta", signature=piece) for piece in _PIECES),
        wire.claude_close(0),
        wire.claude_open(1, type="text", text=""),
        wire.claude_delta(1, "text_delta", text="Hi"),
    ],
    "bedrock": [
        aws_eventstream.event("messageStart", {"role": "assistant"}),
        *(
            aws_eventstream.event(
                "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": delta}}
            )
            for delta in ({"text": "Hm"}, *({"signature": piece} for piece in _PIECES))
        ),
        aws_eventstream.event("contentBlockStop", {"contentBlockIndex": 0}),
        aws_eventstream.event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Hi"}}),
    ],
    "openai-chat": [
        wire.chat({"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "Hm"}]}),
        *(
            wire.chat({"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": piece}]})
            for piece in _PIECES
        ),
        wire.chat({"content": "Hi"}),
    ],
}
"""Answers whose signature comes in two pieces, by the API that takes them back."""


@pytest.mark.parametrize("api", _SIGNED)
def test_an_answer_that_is_cut_anywhere_sends_back_no_half_of_a_signature(api: str) -> None:
    """The API would refuse every later request of that conversation; reasoning that was closed stays."""
    signatures = []
    for count in range(len(_SIGNED[api]) + 1):
        decoder = Decoder()
        decoder.feed(b"".join(_SIGNED[api][:count]))
        decoder.end()
        turn = attempt(decoder.message, api, drop="incomplete")
        signatures.append([piece in json.dumps(turn) for piece in _PIECES])

    assert [False, False] in signatures
    assert [True, True] == signatures[-1]
    assert all(first == second for first, second in signatures)


@_apis
@given(parts=_many, format=st.sampled_from(["ui-message", "ag-ui", "text"]))
def test_another_providers_message_goes_or_the_error_counts_what_cannot(
    api: str, parts: tuple[Part, ...], format: str
) -> None:
    """No kind more, none less, and how many there are of each; what goes, the official SDK takes."""
    message = Message(parts=parts, format=format)
    faults = Counter(fault for part in parts if (fault := _fault(part, api)))
    left = [part for part in parts if _fault(part, api) in (None, "signature") and _has_words(part, api)]
    turn, lost = attempt(message, api)
    rest, nothing = attempt(message, api, drop="all")

    assert (faults or (None if left else {})) == lost
    assert (None if left else {}) == nothing
    for given_turn in (turn, rest):
        if given_turn is not None:
            accept(api, given_turn)


@_apis
@given(parts=_many, format=st.sampled_from([None, *METHODS, "bedrock-converse"]))
def test_any_message_gives_a_turn_or_says_what_cannot_go(
    api: str, parts: tuple[Part, ...], format: str | None
) -> None:
    message = Message(parts=parts, format=format)
    before = message.model_dump_json()
    turn, lost = attempt(message, api)
    rest, nothing = attempt(message, api, drop="all")
    # A kind's name leaves out the parts that would have had a place, too.
    _, unnamed = attempt(message, api, drop=tuple(lost or ()))

    assert not unnamed
    assert not nothing
    assert lost or (turn, lost) == (rest, nothing)
    assert json.dumps([turn, rest], default=bytes.hex, allow_nan=False, ensure_ascii=False).encode()
    assert before == message.model_dump_json()
