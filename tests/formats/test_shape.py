"""Shapes, with holes and without: a payload's text, read by comparing bytes, is what decoding finds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.tables import in_one_test
from tokenstream._basics.json import decode
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


VALUE: dict[str, Any] = {"n": 1, "inner": {"id": 5, "text": "Hel", "p": "x"}, "id": 9, "p": "aB3"}
PATH = ("inner", "text")
NUMBERS = (("n",), ("inner", "id"))


def learn(
    value: Any, *, path: Any = PATH, numbers: Any = NUMBERS, payload: bytes | None = None
) -> PayloadShape | None:
    written = json.dumps(value).encode() if payload is None else payload
    return PayloadShape.learn(written, value, path, changing=numbers)


PLAIN: dict[str, Any] = {"n": 1, "inner": {"id": 5, "text": "Hel"}, "last": 9}


def plain(text: str, n: Any = 1, id: Any = 5, last: Any = 9) -> bytes:
    return json.dumps({"n": n, "inner": {"id": id, "text": text}, "last": last}).encode()


@given(st.text(min_size=1), st.integers(-(10**17), 10**17), st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_any_numbers_are_recognised(text: str, n: int, id: float) -> None:
    template = learn(PLAIN)

    assert template is not None
    assert text == template.match(plain(text, n, id))


@in_one_test(
    "payload",
    [
        pytest.param(plain("a", last=10), id="another number"),
        pytest.param(plain("a", n="1"), id="a number that became text"),
        pytest.param(plain("a", n=None), id="a number that became null"),
        pytest.param(plain("a", n=[1]), id="a number that became a list"),
        pytest.param(plain("a", n=10**30), id="a huge number"),
        pytest.param(plain("a").replace(b'"n": 1', b'"n": 01'), id="a number that is none"),
    ],
)
def test_whatever_else_differs_is_left_to_the_decoder(payload: bytes) -> None:
    template = learn(PLAIN)

    assert template is not None
    assert template.match(payload) is None


def test_a_number_of_the_same_name_elsewhere_is_no_hole() -> None:
    assert learn({"n": 1, "text": "a", "more": {"n": 1}}, path=("text",)) is None


def test_padding_elsewhere_is_no_hole() -> None:
    assert learn(VALUE) is None


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        pytest.param({"text": "a"}, b'{"text": "\\u0061"}', id="written otherwise"),
        pytest.param({"text": "a" * 5_000}, None, id="long"),
        pytest.param(
            {"a": {"text": "Hel"}, "text": "Hel"}, b'{"a":{"text":"Hel"},"text":"H\\u0065l"}', id="twice"
        ),
        pytest.param({"text": "a", "n": -918273645}, None, id="the number of the proof"),
        pytest.param({"text": "a", "n": 1, "more": {"n": "codeprobe"}}, None, id="the code of the proof"),
        pytest.param(
            {"more": {"text": "tokenstream probe"}, "text": "tokenstream probe"}, None, id="the text of it"
        ),
        pytest.param({"text": "a", "list": ["text", "a"]}, b'{"list": ["text" : "a"]}', id="no JSON"),
        pytest.param({"text": "a"}, b'{"text": "b", "more": {"text": "a"}}', id="another place"),
        pytest.param(
            {"text": "a"}, b'{"x":"a","x":"a","x":"a","x":"a","x":"a","x":"a","x":"a","x":"a"}', id="many"
        ),
    ],
)
def test_what_cannot_be_proved_is_not_learnt(value: Any, payload: bytes | None) -> None:
    """The text must stand where it seems to."""
    assert learn(value, path=("text",), payload=payload) is None


def test_a_number_inside_the_text_is_text() -> None:
    """Keys in a text are escaped, but a hole there would break it."""
    template = learn({"text": 'say "n": 1', "n": 2}, path=("text",), numbers=[("n",)])

    assert template is not None
    assert '"n": 7' == template.match(json.dumps({"text": '"n": 7', "n": 3}).encode())


def test_a_chunk_is_recognised_between_fixed_pieces() -> None:
    """A payload of several lines is no chunk of one line."""
    template = learn(PLAIN)
    assert template is not None
    match = template.make_match_between(b"data: ", b"\n\n")
    pretty = learn(PLAIN, payload=json.dumps(PLAIN, indent=1).encode())

    assert "lo" == match(b"data: " + plain("lo", n=4) + b"\n\n")
    assert match(b"data: " + plain("lo") + b"\n\nx") is None
    assert pretty is not None
    assert "lo" == pretty.match(json.dumps({**PLAIN, "inner": {"id": 7, "text": "lo"}}, indent=1).encode())
    assert (True, False) == (template.takes_one_line, pretty.takes_one_line)


def test_a_code_may_be_another_one() -> None:
    """Letters and digits, in their quotes; anything else is left to the decoder."""
    value = {"id": "event_1", "kind": "a", "text": "Hel"}
    template = learn(value, path=("text",), numbers=[("id",)])

    assert template is not None
    assert "lo" == template.match(b'{"id": "event_Zz-99", "kind": "a", "text": "lo"}')
    for other in (b'""', b'"a b"', b'"\\u0061"', b"7", b'"a", "b": "c"'):
        assert template.match(b'{"id": %b, "kind": "a", "text": "lo"}' % other) is None
    assert template.match(b'{"id": "event_1", "kind": "b", "text": "lo"}') is None


@pytest.mark.parametrize("name", ["n", "number", "numbers"])
def test_what_payloads_begin_with_is_a_whole_number_of_three_bytes(name: str) -> None:
    """Base64 has its borders at multiples of three bytes."""
    value = {name: "x", "text": "Hel", "id": 1}
    template = learn(value, path=("text",), numbers=[("id",)])
    assert template is not None
    start, rest = template.split(3)
    payload = json.dumps({**value, "text": "lo", "id": 22}).encode()

    assert 0 == len(start) % 3
    assert payload.startswith(start)
    assert "lo" == rest.match(payload.removeprefix(start))


# -- texts that stand in a payload twice -----------------------------------------------

TWICE = b'{"delta":"Hel","rawEvent":{"text":"Hel"}}'


def _learnt_twice(payload: bytes) -> PayloadShape | None:
    return PayloadShape.learn(payload, decode(payload), ("delta",), asides={"rawEvent"})


@in_one_test(
    ("payload", "text"),
    [
        (TWICE, "Hel"),
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
    shape = _learnt_twice(TWICE)

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
    assert _learnt_twice(payload) is None
