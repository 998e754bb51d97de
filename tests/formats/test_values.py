"""Values in other clothes."""

from __future__ import annotations

from typing import Any

import pytest

from tokenstream.errors import ProtocolError
from tokenstream.formats._values import base64_bytes, json_text


@pytest.mark.parametrize(
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
        (5, None),
        (None, None),
    ],
)
def test_base64_is_read_in_either_alphabet(written: Any, expected: bytes | None) -> None:
    """Padded or not; anything else is none."""
    assert expected == base64_bytes(written)


def test_values_are_written_as_json() -> None:
    """With the characters that they have."""
    assert '{"a": ["é", null]}' == json_text({"a": ["é", None]})


def test_what_is_no_json_is_an_error_of_ours() -> None:
    """Nested beyond all bounds, or made of Python's own objects."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, object()):
        with pytest.raises(ProtocolError, match="too deeply"):
            json_text(value)
