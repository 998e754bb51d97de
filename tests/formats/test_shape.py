"""Shapes: a payload's text, read by comparing bytes, is what decoding finds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.tables import in_one_test
from tokenstream.formats._fast.shape import PayloadShape

_PATH = ("choices", 0, "delta", "content")


def _payload(text: str = "Hel", *, padding: str | None = "aB3", **fields: Any) -> dict[str, Any]:
    hidden = {} if padding is None else {"obfuscation": padding}
    return {"id": "x", "choices": [{"index": 0, "delta": {"content": text}, "end": None}], **fields, **hidden}


def _bytes(payload: Any, *, ascii: bool = False) -> bytes:  # noqa: A002 - json's word
    return json.dumps(payload, ensure_ascii=ascii, separators=(",", ":")).encode()


def _learnt(payload: Any = None, path: tuple[str | int, ...] = _PATH) -> PayloadShape:
    payload = payload if payload is not None else _payload()
    template = PayloadShape.learn(_bytes(payload), payload, path)
    assert template is not None
    return template


@pytest.mark.parametrize("padding", [None, "", "q", "Zz9" * 20])
def test_a_template_reads_the_text_of_the_next_payload(padding: str | None) -> None:
    template = _learnt(_payload(padding=None if padding is None else "seed"))

    for text in ("lo", " wörld", "\U0001f600", "{[:,]}", "'", "a\nb", 'a"b', "a\\", "a\u2028b", '"},"x":"'):
        for ascii_only in (False, True):
            assert text == template.match(_bytes(_payload(text, padding=padding), ascii=ascii_only))


@in_one_test(
    "payload",
    [
        pytest.param(_bytes(_payload("")), id="empty text"),
        pytest.param(_bytes(_payload("a")).replace(b'"a"', b'"\n"'), id="a raw line break"),
        pytest.param(_bytes(_payload("a")).replace(b'"a"', b'"\\ud800"'), id="half a character"),
        pytest.param(_bytes(_payload("a")).replace(b'"a"', b'"\xff"'), id="no UTF-8"),
        pytest.param(_bytes(_payload("a")).replace(b'"a"', b'"\x01"'), id="a control character"),
        pytest.param(_bytes(_payload("a", padding="-")), id="odd padding"),
        pytest.param(_bytes(_payload("a", padding=None)), id="no padding"),
        pytest.param(_bytes(_payload("a", id="y")), id="another id"),
        pytest.param(_bytes(_payload("a"))[:-1], id="cut at the end"),
    ],
)
def test_whatever_is_not_exactly_of_its_shape_is_left_to_the_decoder(payload: bytes) -> None:
    assert _learnt().match(payload) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "Hel", "x", "obfuscation", "p"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "delta", "p", "obfuscation", "a"]), inner, max_size=4)
    ),
    max_leaves=10,
)
_TEXTS = st.text(max_size=8) | st.sampled_from(["Hel", "content", '"', "\\", '","p":"', "\u2028", "ü"])


@given(
    before=st.dictionaries(st.sampled_from(["a", "content", "p", "delta"]), _JSON, max_size=3),
    after=st.dictionaries(st.sampled_from(["obfuscation", "p", "b", "content2"]), _JSON, max_size=3),
    text=_TEXTS,
    other=_TEXTS,
    ascii=st.booleans(),
    data=st.data(),
)
@example({"a": {"content": "Hel"}}, {"p": "x"}, "Hel", "lo", False, None)
def test_a_match_is_always_what_decoding_finds(
    before: Any,
    after: Any,
    text: str,
    other: str,
    ascii: bool,  # noqa: A002 - json's word
    data: st.DataObject | None,
) -> None:
    payload = {**before, "choices": [{"delta": {"content": text}}], **after}
    sent = _bytes(payload, ascii=ascii)
    template = PayloadShape.learn(sent, payload, _PATH)
    if template is None:
        return
    changed = {**payload, "choices": [{"delta": {"content": other}}]}
    frame = _bytes(changed, ascii=ascii)
    if data is not None and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(frame) - 1))
        frame = (
            frame[:place] + data.draw(st.sampled_from([b"", b'"', b"\\", b"a", b"}"])) + frame[place + 1 :]
        )
    found = template.match(frame)
    if found is not None:
        decoded = json.loads(frame)
        for name in ("obfuscation", "p"):
            decoded.pop(name, None)
        expected = {key: value for key, value in payload.items() if key not in ("obfuscation", "p")}

        assert {**expected, "choices": [{"delta": {"content": found}}]} == decoded
