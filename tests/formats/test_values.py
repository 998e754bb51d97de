"""Values in other clothes: bytes in base64, arguments that are no text, counts among other fields."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Decoder, Stream
from tokenstream.errors import ProtocolError
from tokenstream.message import MediaPart


@in_one_test(
    ("written", "expected"),
    [
        ("+/8=", b"\xfb\xff"),
        ("-_8=", b"\xfb\xff"),
        ("-_8", b"\xfb\xff"),
        ("", b""),
        ("a", None),
        ("%%", None),
        ("AA AA", None),
        ("é", None),
    ],
)
def test_base64_is_read_in_either_alphabet(written: str, expected: bytes | None) -> None:
    """Padded or not; an image that is none is carried as it came."""
    message = {"role": "assistant", "images": [written]}
    [image] = Stream([{"model": "m", "message": message, "done": True}], format="ollama").final().parts

    assert expected == (image.data if isinstance(image, MediaPart) else None)


def _called(arguments: Any) -> str:
    part = {"functionCall": {"name": "f", "args": arguments}}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    [call] = Stream([{"candidates": [candidate]}], format="gemini").final().tool_calls
    return call.arguments_text


def test_values_are_written_as_json() -> None:
    assert '{"a": ["é", null]}' == _called({"a": ["é", None]})


def test_what_is_no_json_is_an_error_of_ours() -> None:
    """An SDK of somebody else may hand over Python's own objects."""
    with pytest.raises(ProtocolError, match="too deeply"):
        _called({"a": object()})


@pytest.mark.parametrize(
    ("details", "counts"),
    [
        ({"generated_tokens": 3, "input_length": "four", "text": "x"}, {"generated_tokens": 3}),
        ({"generated_tokens": None, "text": "x"}, {}),
    ],
)
def test_counts_among_other_fields_are_reported_with_the_fields_that_they_were_in(
    details: dict[str, Any], counts: dict[str, int]
) -> None:
    """What is no count is none of them; without any there is no report."""
    decoder = Decoder("tgi")
    token = {"id": 1, "text": "a", "special": False}
    decoder.feed(sse({"index": 1, "token": token, "details": {"finish_reason": "length", **details}}))
    usage = decoder.message.usage

    assert (None, counts.get("generated_tokens")) == (usage.input_tokens, usage.output_tokens)
    assert counts == usage.provider_data
