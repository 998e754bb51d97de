"""Documents for types of every kind, right and a little wrong: what the tests of drafts share."""

from __future__ import annotations

import datetime as dt
import json
from random import Random
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from tests.partial_json.typed_models.keys import (
    Aliased,
    ByFieldName,
    ByName,
    Extra,
    FromInside,
    OnlyByName,
    SameKey,
    TypedExtra,
)
from tests.partial_json.typed_models.shapes import (
    Box,
    Checked,
    Counts,
    Initial,
    Nest,
    Node,
    Options,
    Others,
    Plain,
    PutOff,
    Recipe,
    Roots,
    Step,
    Steps,
    StrictOptions,
    Tree,
    Uninitialised,
)
from tests.partial_json.typed_models.unions import AliasedTags, Called, Nested, Owner, Pet, Unions
from tests.partial_json.typed_models.validators import (
    After,
    Annotations,
    Before,
    CheckedDefaults,
    Computing,
    Fields,
    Forbidding,
    Informed,
    Informing,
    Initialising,
    Late,
    LeavingOut,
    TellingDefaults,
    Wrapped,
    WrongDefault,
)
from tests.partial_json.typed_models.values import Bounded, Configured, Leaves, Strict
from tokenstream.errors import OutputInvalid
from tokenstream.stages._objects.partials import Partials

STEP = '{"title":"t","minutes":3,"note":null}'

CASES: list[tuple[Any, list[str]]] = [
    (Recipe, [f'{{"name":"abc","steps":[{STEP},{STEP}],"tags":{{"a":1,"b":2}},"best":{STEP}}}']),
    (Aliased, ['{"A":1,"b1":"q","C":[1,2]}', '{"A":1,"b2":"q","b1":"z"}']),
    (ByName, [f'{{"A":1,"B":{STEP}}}', f'{{"a":1,"b":{STEP}}}']),
    (OnlyByName, ['{"a":2,"A":3}']),
    (FromInside, ['{"q":[1,2],"b":"x"}']),
    (SameKey, ['{"b":1}', '{"a":1,"b":2}']),
    (Extra, ['{"a":1,"z":[1.10],"y":{"a":1}}']),
    (TypedExtra, ['{"a":1,"z":1,"y":"3"}']),
    (After, ['{"a":1,"b":2}']),
    (list[After], ['[{"a":1,"b":2},{"a":3}]']),
    (Before, ['{"a":1}']),
    (list[Before], ['[{"a":1},{"a":2,"b":3}]']),
    (Wrapped, [f'{{"a":1,"step":{STEP}}}']),
    (Fields, ['{"first":"x","second":"x","numbers":[3,1],"more":4}', '{"second":"x","first":"x "}']),
    (Late, [f'{{"most":2,"steps":[{STEP}],"count":1}}', f'{{"count":1,"steps":[{STEP}]}}']),
    (
        Strict,
        [
            (
                '{"a":1,"day":"2020-01-02","raw":"abc","id":"12345678-1234-5678-1234-567812345678",'
                '"pair":[1,"x"],"price":1.10,"numbers":[1,2]}'
            )
        ],
    ),
    (
        Leaves,
        [
            (
                '{"colour":"red","word":"a","when":"2020-01-01T00:00:00","price":1.100,"many":[1,2],'
                f'"pair":[{STEP},1],"ends":[1,"a","b",2],"names":["a"],"anything":{{"x":[1]}},'
                f'"union":{STEP},"secret":"s","sequence":[{STEP}],"share":1e400,"inner":"[1,2]"}}'
            )
        ],
    ),
    (
        Owner,
        [
            (
                f'{{"pets":[{{"kind":"cat","lives":9,"friends":[{{"kind":"dog","name":"d","step":{STEP}}}]}},'
                f'{{"called":"b","kind":"bird"}},{{"name":"x","step":{STEP},"kind":"dog"}}],'
                '"favourite":{"lives":1,"kind":"cat"},"by_name":{"x":{"kind":"b2","called":"q"}}}'
            )
        ],
    ),
    (TypeAdapter(Pet), ['{"kind":"dog","name":"d"}', '{"name":"d","kind":"dog","z":1}']),
    (TypeAdapter(list[Nested]), ['[{"k":"a","s":"1","v":1},{"v":"x","s":"2","k":"a"},{"k":"b","v":[1]}]']),
    (Node, ['{"v":1,"left":{"v":2,"kids":[{"v":4}]},"kids":[{"v":3,"left":null}]}']),
    (Steps, [f"[{STEP}]"]),
    (Counts, ['{"a":1}', "{}"]),
    (Roots, [f'{{"steps":[{STEP}],"counts":{{"a":1}}}}']),
    (Box[Step], [f'{{"item":{STEP},"items":[{STEP}]}}']),
    (Box[int], ['{"item":1,"items":[1]}']),
    (Plain, [f'{{"a":1,"step":{STEP},"numbers":[1]}}']),
    (Checked, ['{"a":1,"b":"y","plain":{"a":1}}', '{"a":13}']),
    (Uninitialised, ['{"a":1}', '{"a":1,"z":3}']),
    (Initial, ['{"a":1,"given":3}']),
    (Forbidding, ['{"a":1,"b":2}']),
    (Options, [f'{{"a":1,"b":"x","steps":[{STEP}]}}']),
    (StrictOptions, ['{"a":1,"options":{"a":2}}']),
    (Others, ['{"point":[1,"x"],"options":{"a":1},"checked":{"a":1}}', '{"point":{"x":1}}']),
    (Initialising, ['{"a":1}', "{}"]),
    (list[Initialising], ['[{"a":1},{}]']),
    (Configured, ['{"s":" a ","texts":[" b ",1],"plain":{"a":1},"options":{"a":1,"b":" c "}}']),
    (ByFieldName, [f'{{"AA":1,"SS":[{STEP}]}}']),
    (CheckedDefaults, ["{}", f'{{"a":1,"steps":[{STEP}]}}']),
    (WrongDefault, ["{}", '{"a":1}']),
    (TellingDefaults, ["{}", '{"a":3}', f'{{"steps":[{STEP}],"b":2,"a":1}}', '{"a":"x"}']),
    (LeavingOut, ['{"numbers":[1,3,2],"a":1,"sound":[1,"x",2],"by_name":{"a":"x"}}', '{"a":4}', '{"a":3}']),
    (
        Bounded,
        [
            f'{{"numbers":[1,2],"fast":[1,2],"short":{{"a":1}},"by_number":{{"1":[{STEP}]}},"pair":[1,{STEP}]}}'
        ],
    ),
    (
        Unions,
        [
            f'{{"a":[{STEP}],"b":{STEP},"c":{{"x":{STEP}}},"d":{STEP},"e":{STEP},"f":[{STEP}]}}',
            '{"a":"x","c":[1]}',
        ],
    ),
    (Computing, ['{"a":1}']),
    (Annotations, [f'{{"steps":[{STEP}],"step":{STEP},"plain":[1]}}']),
    (TypeAdapter(Tree), ['[1,"a",{"b":[null]}]']),
    (TypeAdapter(Nest), ["[[],[[]]]"]),
    (Called, ['{"x":{"v":1}}']),
    (
        AliasedTags,
        ['{"z":{"type":"x","q":1}}', '{"z":{"w":[1],"type":"y"}}', '{"z":{"w":[1],"type":"y","type_":"x"}}'],
    ),
    (Informing, ['{"p":2,"many":[{"a":1}],"one":{"a":1}}', '{"one":{"a":1},"p":1}']),
    (list[Informed], ['[{"a":1}]']),
    (PutOff, [f'{{"a":1,"step":{STEP}}}']),
    (list[int], ["[1,2]"]),
    (dict[str, list[Step]], [f'{{"a":[{STEP}]}}', f'{{"":[{STEP}],"b":[]}}']),
    (dict[str, int], ['{"":1,"":2,"b":3}']),
    (int, ["42", "-3 "]),
    (str, ['"abc"']),
    (float, ["1.5"]),
    (Any, ['{"a":[1]}']),
    (TypeAdapter(list[dt.date], config=ConfigDict(strict=True)), ['["2020-01-01"]']),
    (TypeAdapter(int | str | None), ["1"]),
    (TypeAdapter(Annotated[list[Step], Field(min_length=2)]), [f"[{STEP}]"]),
    (TypeAdapter(list[Step] | None), [f"[{STEP}]", "null"]),
    (tuple[int, Step], [f"[1,{STEP}]", f"[1,{STEP},[2]]"]),
    (set[int], ["[1,1]"]),
]
"""Types, each with documents that are valid, or wrong in a way of its own."""

_ODD = [
    *("null", "1", '"x"', '"2"', "[]", "{}", "true", "1.5", "[1]", '{"a":1}', '"cat"', '"dog"', "13", "-0.0"),
    *('"red"', "12345678901234567890", "[null]", STEP, "3", "4", '{"title":1}'),
]  # fmt: skip
_KEYS = ["zz", "a", "kind", "b", "A", "b2"]


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


class _Object:
    """An object whose keys may repeat."""

    def __init__(self, fields: list[tuple[str, Any]]) -> None:
        self.fields = fields


def _parse(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_Object, parse_float=_Number, parse_int=_Number)


def _write(value: Any) -> str:
    if isinstance(value, _Object):
        return f"{{{','.join(f'{json.dumps(key)}:{_write(inner)}' for key, inner in value.fields)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_write, value))}]"
    return str(value) if isinstance(value, _Number) else json.dumps(value)


def _holders(value: Any) -> list[Any]:
    """Return the objects and arrays of a document, outermost first."""
    if isinstance(value, _Object):
        return [value, *(holder for _, inner in value.fields for holder in _holders(inner))]
    return (
        [value, *(holder for inner in value for holder in _holders(inner))] if isinstance(value, list) else []
    )


def _damage_object(fields: list[tuple[str, Any]], random: Random) -> None:
    odd = _parse(random.choice(_ODD))
    place = random.randrange(len(fields) + 1)
    key = random.choice([*_KEYS, *(key for key, _ in fields)])
    match random.randrange(5):
        case 0:
            del fields[place : place + 1]
        case 1:
            random.shuffle(fields)
        case 2:
            fields.insert(place, (key, odd))
        case _:
            fields[place : place + 1] = [(name, odd) for name, _ in fields[place : place + 1]]


def _damage_array(elements: list[Any], random: Random) -> None:
    place = random.randrange(len(elements) + 1)
    match random.randrange(3):
        case 0:
            del elements[place : place + 1]
        case 1:
            elements[place:place] = elements[:1]
        case _:
            elements[place : place + 1] = [_parse(random.choice(_ODD))]


def damaged(text: str, random: Random) -> str:
    """Return a document that is like another, but for some of its values, keys and their order."""
    document = [_parse(text)]
    for _ in range(random.choice([1, 1, 2, 3])):
        holder = random.choice(_holders(document)[1:] or [document])
        if isinstance(holder, _Object):
            _damage_object(holder.fields, random)
        else:
            _damage_array(holder, random)
    return _write(document[0]) if document else "null"


def plain(errors: Any) -> list[dict[str, Any]]:
    """Return errors so that they can be compared: an exception in them equals no other."""
    return [{**error, "ctx": repr(error.get("ctx")), "input": repr(error.get("input"))} for error in errors]


def told(value: Any) -> tuple[Any, ...]:
    """Return a value so that it can be compared, with its type and what was given for it."""
    return type(value), repr(value), getattr(value, "model_fields_set", None)


def draft_of(type_: Any, text: str, **options: Any) -> Partials[Any]:
    draft: Partials[Any] = Partials(type_, **options)
    draft.feed(text)
    return draft


def partial_of(type_: Any, text: str, **options: Any) -> Any:
    return draft_of(type_, text, **options).partial()


def drafted(type_: Any, text: str, cuts: list[int]) -> Partials[Any]:
    """Return a draft that has read a text in pieces, with a snapshot of each."""
    draft: Partials[Any] = Partials(type_)
    last = 0
    for cut in [*cuts, len(text)]:
        draft.feed(text[last:cut])
        draft.partial()
        last = cut
    draft.end()
    return draft


def outcome(type_: Any, text: str, cuts: list[int]) -> Any:
    """Return what a draft makes of a text: a value, or what is wrong."""
    try:
        return told(drafted(type_, text, cuts).partial().final())
    except OutputInvalid as invalid:
        return plain(invalid.errors)


def expected(type_: Any, text: str) -> Any:
    """Return what pydantic makes of a text: a value, or what is wrong."""
    adapter: Any = type_ if isinstance(type_, TypeAdapter) else TypeAdapter(type_)
    try:
        return told(adapter.validate_json(text))
    except ValidationError as error:
        return plain(error.errors(include_url=False))
