"""Shapes with holes: what else may stand in a payload, and what may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tables import in_one_test
from tokenstream.formats._fast.shape import PayloadShape

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
