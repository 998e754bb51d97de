"""Templates: what answers have proved about the bytes of their payloads, for later answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tokenstream import Decoder
from tokenstream._basics.json import decode
from tokenstream.formats import custom
from tokenstream.formats._fast.shape import KeyPath, PayloadShape
from tokenstream.formats._fast.template import PayloadTemplate, Templates

_TEXT: KeyPath = ("text",)
_TIME: KeyPath = ("at",)


def _bytes(**fields: Any) -> bytes:
    payload = {"id": "a1", "at": 5, "none": "", "zero": 0, "text": "Hel", **fields}
    return json.dumps(payload, ensure_ascii=False).encode()


def _learn(payload: bytes, changing: tuple[KeyPath, ...] = ()) -> PayloadShape:
    shape = PayloadShape.learn(payload, json.loads(payload), _TEXT, changing=changing)
    assert shape is not None
    return shape


@pytest.mark.parametrize(
    "fields",
    [{}, {"id": "b2"}, {"id": 'we"ird\\'}, {"id": "ü"}, {"at": 1_700_000_000}, {"text": '"lo"\n'}],
    ids=repr,
)
def test_an_answer_with_other_values_has_a_shape_of_its_own(fields: dict[str, Any]) -> None:
    payload = _bytes(**fields)
    found = PayloadTemplate(_learn(_bytes())).fit(payload, {"text": "Hel", **fields}["text"])

    assert found is not None
    proved = _learn(payload)
    assert (proved.pieces, proved.holes) == (found.pieces, found.holes)
    assert "lo" == found.match(_bytes(**{**fields, "text": "lo"}))
    assert found.match(_bytes(**{**fields, "id": "other"})) is None


@pytest.mark.parametrize(
    "payload",
    [
        _bytes(none="something"),
        _bytes(id=1),
        _bytes(more=1),
        _bytes()[:-1],
        _bytes().replace(b", ", b","),
        _bytes(text="other"),
    ],
    ids=repr,
)
def test_a_payload_that_nearly_fits_is_proved_anew(payload: bytes) -> None:
    """Something may be there that was not, or the text is not the one that was decoded."""
    assert PayloadTemplate(_learn(_bytes())).fit(payload, "Hel") is None


@pytest.mark.parametrize("at", [7, 2.5, 10**14])
def test_a_value_that_changes_within_an_answer_is_not_compared(at: float) -> None:
    found = PayloadTemplate(_learn(_bytes(), (_TIME,))).fit(_bytes(id="b2"), "Hel")

    assert found is not None
    assert "lo" == found.match(_bytes(id="b2", at=at, text="lo"))


def test_a_template_has_no_text_id_or_time_of_an_answer() -> None:
    template = PayloadTemplate(_learn(_bytes(id="secret-id", at=1_700_000_001, text="secret text")))
    kept = repr([getattr(template, name) for name in template.__slots__]) + str(template.pattern.pattern)

    assert [] == [word for word in ("secret", "1700000001") if word in kept]


def test_a_number_of_any_length_is_one_value() -> None:
    payload = _bytes(at=10**30, zero=1.5)

    assert PayloadTemplate(_learn(payload)).fit(_bytes(at=7, zero=10**40), "Hel") is not None


@pytest.mark.parametrize("inner", [{}, {f"field{at}": [1] * 45 for at in range(12)}], ids=["few", "many"])
def test_an_answer_whose_payloads_all_differ_has_few_proofs_to_keep(inner: dict[str, Any]) -> None:
    """Each takes time, and the more values there are, the more it takes."""
    format: Any = custom(text="text")
    decoder = Decoder(format)
    for kind in range(20):
        for number in range(14):
            payload = {f"kind{kind}": 1, "inner": inner, "text": f"w{number}"}
            decoder.feed(b"data: %b\n\n" % json.dumps(payload).encode())

    assert (0 if inner else 8) == len(format.mapped.fast.templates)


@pytest.mark.parametrize("kinds", [1, 400])
def test_a_server_whose_payloads_all_differ_fills_no_memory(kinds: int) -> None:
    """Of many kinds of payloads, with the same fields at their top or with others, a few are kept."""
    templates = Templates()
    for number in range(1_000):
        templates.keep((f"kind {number % kinds}",), _learn(_bytes(inner={f"field{number}": "x"})))

    assert 0 < len(templates) <= 64 * 8


def test_new_kinds_of_payloads_take_the_place_of_those_that_no_longer_come() -> None:
    """A server may be replaced by another one while the process runs."""
    templates, new = Templates(), _bytes(inner={"more": "x"})
    kinds = [_bytes(inner={f"field{number}": "x"}) for number in range(8)]
    for kind in kinds:
        templates.keep((), _learn(kind))
    for _ in range(32):
        assert templates.find((), new, "Hel") is None
        templates.keep((), _learn(new))

    found = [templates.find((), kind, "Hel") is not None for kind in (*kinds, new)]
    assert [False, *[True] * 8] == found


def test_after_some_answers_of_a_server_the_next_one_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has an id of its own; a proof decodes a payload a second time."""
    format, proofs, texts = custom(text="text"), [0], [""]

    def counting(payload: bytes) -> Any:
        proofs[-1] += 1
        return decode(payload)

    monkeypatch.setattr("tokenstream.formats._fast.shape.decode", counting)
    for number in range(12):
        decoder = Decoder(format)
        proofs.append(0)
        for piece in ("Hel", "lo", " there"):
            decoder.feed(b'data: {"id":"%d","text":"%b"}\n\n' % (100 + number, piece.encode()))
        texts.append(decoder.message.text)

    assert ["Hello there"] * 12 == texts[1:]
    assert [1] + [0] * 11 == proofs[1:]
