"""Who is right about a text: told by json.loads and by the case, never by a parser that is compared.

- A document is what json.loads reads, without its NaN and infinities, which RFC 8259 has not.
- What a part of a document shows is right if every document that goes on from there keeps it.
  Some hundred continuations are tried; json.loads says which of them make a document, and its
  values say what they keep: objects gain keys, arrays elements, strings characters. Where a key
  comes twice the last one counts, so such documents are left out.
- A text that is no JSON has its one reading, or is refused where it has two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from itertools import takewhile
from typing import Any, NoReturn

from tests.compare.conformance.json_case import ACCEPTED, NOTHING, REFUSED, JSONCase, same_told, shown

_MISSING = object()
_QUESTIONS = ("how ", "what ", "where ", "whether ", "which ")
"""Beginnings of a reason that asks what a text means; any other reason names the readings."""

_WORDS = [word[cut:] for word in ("true", "false", "null") for cut in range(1, len(word))]
_DIGITS = ["", "0", "7", "5", "12", ".5", "e1", "1e1", "+1"]
_ENDS = ['"', 'x"', 'y"', 'n"', 't"', '""', '\\n"', "'\""]
_HEX = ["0041", "041", "41", "1", "00e9", "0e9", "e9", "9"]
_PAIRS = ["ud83d", "\\ude00", "ude00", "de00", "e00", "00", "0", "u0041"]
_VALUES = ["1", "2", "null", '"v"', "{}", "[]"]
_PIECES = [*_WORDS, *_DIGITS, *_ENDS, *(f'{digits}"' for digits in [*_HEX, *_PAIRS]), *_VALUES]
_AFTER = {"}": ["", ":1", ':"v"', ":{}", ',"k9":1'], "]": ["", ",1"], "": ["", " "]}
"""What may follow in an object, in an array and behind a document."""


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _keys_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _document(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return the value of a document; _MISSING where the text is none."""
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return _MISSING


def _closers(text: str) -> str:
    """Return the brackets that are open at the end of a text, in the order in which they close."""
    closers: list[str] = []
    quoted = escaped = False
    for character in text:
        if quoted:
            quoted = escaped or character != '"'
            escaped = not escaped and character == "\\"
        elif character == '"':
            quoted = True
        elif character in "[{":
            closers.append("]" if character == "[" else "}")
        elif character in "]}" and closers:
            closers.pop()
    return "".join(reversed(closers))


@cache
def continuations(text: str) -> Sequence[tuple[str, Any]]:
    """Return documents that begin with a text, with their values; none where no document does."""
    closers = _closers(text)
    found = []
    for piece in dict.fromkeys(_PIECES):
        for after in _AFTER[closers[:1]]:
            whole = f"{text}{piece}{after}{closers}"
            value = _document(whole, _keys_once)
            if value is not _MISSING:
                found.append((whole, value))
    return found


def _meet(one: Any, other: Any) -> Any:
    """Return the most that both values keep; _MISSING where that is nothing."""
    if isinstance(one, dict) and isinstance(other, dict):
        both: dict[str, Any] = {}
        for key, same_place in zip(one, other, strict=False):
            value = _meet(one[key], other[key]) if key == same_place else _MISSING
            if value is _MISSING:
                break
            both[key] = value
        return both
    if isinstance(one, list) and isinstance(other, list):
        items: list[Any] = []
        for left, right in zip(one, other, strict=False):
            value = _meet(left, right)
            if value is _MISSING:
                break
            items.append(value)
        return items
    if isinstance(one, str) and isinstance(other, str):
        same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
        return "".join([left for left, _ in same])
    return one if same_told(shown(one), shown(other)) else _MISSING


def _is_start(part: Any, whole: Any) -> bool:
    """Return whether a value can grow into another without losing anything."""
    if isinstance(part, dict) and isinstance(whole, dict):
        keys = list(part)
        return keys == list(whole)[: len(keys)] and all(_is_start(part[key], whole[key]) for key in keys)
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) <= len(whole) and all(map(_is_start, part, whole))
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    return same_told(shown(part), shown(whole))


@cache
def kept(text: str) -> str:
    """Return all that every continuation of a text keeps, as it is told."""
    values = [value for _, value in continuations(text)]
    if not values:
        return REFUSED
    most = values[0]
    for value in values[1:]:
        most = _meet(most, value)
        if most is _MISSING:
            return NOTHING
    return shown(most)


def expected(case: JSONCase) -> str | None:
    """Return what is told of a case by who shows all that is right; None where anything is."""
    if case.kind == "label":
        return {"y": ACCEPTED, "n": REFUSED}.get(case.label)
    if case.kind == "strict":
        value = _document(case.text)
        return REFUSED if value is _MISSING else shown(value)
    if case.kind == "partial":
        return kept(case.text)
    return shown(case.readings[0]) if len(case.readings) == 1 else REFUSED


def judge(case: JSONCase, told: str) -> str | None:
    """Return None where what a reader told of a case is right, else why it is not."""
    if case.kind == "partial":
        return _judge_part(case.text, told)
    right = expected(case)
    if right is None or same_told(right, told):
        return None
    if case.kind == "lenient":
        if told == REFUSED:
            return f"it can be read in only one way: {case.why}"
        if len(case.readings) < 2:
            return case.why
        if case.why.startswith(_QUESTIONS):
            return f"a guess, because it is unclear {case.why}"
        return f"a guess, because it can be read in two ways: {case.why}"
    if right == REFUSED:
        return case.why or "RFC 8259 does not allow this document"
    return case.why or "RFC 8259 allows this document"


def _judge_part(text: str, told: str) -> str | None:
    wholes = continuations(text)
    if not wholes:
        return None if told == REFUSED else "no document begins like this"
    if told == REFUSED:
        return f"a document may begin like this: `{wholes[0][0]}`"
    if told == NOTHING:
        return None
    value = json.loads(told)
    taken = next((whole for whole, document in wholes if not _is_start(value, document)), None)
    return None if taken is None else f"`{taken}` changes it"
