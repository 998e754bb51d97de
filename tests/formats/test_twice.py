"""When the bytes around a text that stands in a payload twice tell what the next payload says."""

from __future__ import annotations

import pytest

from tests.support.tables import in_one_test
from tokenstream._basics.json import decode
from tokenstream.formats._fast.shape import PayloadShape

PLAIN = b'{"delta":"Hel","rawEvent":{"text":"Hel"}}'


def _learnt(payload: bytes) -> PayloadShape | None:
    return PayloadShape.learn(payload, decode(payload), ("delta",), asides={"rawEvent"})


@in_one_test(
    ("payload", "text"),
    [
        (PLAIN, "Hel"),
        (b'{"delta":"","rawEvent":{"text":""}}', None),
        (b'{"delta":"\\u00e9","rawEvent":{"text":"\\u00e9"}}', "é"),
        ('{"delta":"é","rawEvent":{"text":"é"}}'.encode(), "é"),
        (b'{"delta":"a","rawEvent":{"text":"b"}}', None),
        (b'{"delta":"a","rawEvent":{"text":"ab"}}', None),
        (b'{"delta":1,"rawEvent":{"text":1}}', None),
        (b'{"delta":"a","n":1,"rawEvent":{"text":"a","n":1,"rawEvent":{"text":"a"}}', None),
        (b'{"delta":"a"}', None),
        (b'{"delta":"a","rawEvent":{"text":"a"}} ', None),
        (b'{"delta":"\\ud83d","rawEvent":{"text":"\\ud83d"}}', None),
        (b'{"delta":"\xff","rawEvent":{"text":"\xff"}}', None),
    ],
    ids=repr,
)
def test_only_a_payload_of_the_same_bytes_around_two_equal_texts_matches(
    payload: bytes, text: str | None
) -> None:
    """Anything else is left to the JSON decoder."""
    shape = _learnt(PLAIN)

    assert shape is not None
    assert text == shape.match(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"delta":"a","rawEvent":["a","a"]}',
        b'{"delta": ":", "rawEvent":"z"}',
        b'{"delta":"\\u0061","rawEvent":["a","a"]}',
        b'{"delta":"rawEvent","rawEvent":1}',
        b'{"delta":"a","messageId":"a"}',
    ],
    ids=repr,
)
def test_a_payload_where_another_text_would_change_more_is_not_learnt_from(payload: bytes) -> None:
    """The text must stand in its own field and in one that says nothing of the answer."""
    assert _learnt(payload) is None
