"""Values in other clothes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.tables import in_one_test
from tokenstream.errors import ProtocolError
from tokenstream.formats._kit.values import base64_bytes, counts_in, json_text
from tokenstream.message import Usage


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


def test_counts_among_other_fields_are_told_with_the_fields_that_they_stood_in() -> None:
    """What is no count is none of them; without any there is no report."""
    names = {"read": "input_tokens", "written": "output_tokens"}

    usage = counts_in({"read": 3, "written": "4", "text": "x"}, names)

    assert Usage(input_tokens=3, provider_data={"read": 3}) == usage
    assert counts_in({"written": None, "text": "x"}, names) is None
