"""Conversion of a draft to JSON or plain data; each finished value is written once and cached.

All views of an object or array share the cache, as they share the values. Two threads
may write the same value at once; both get the same text.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError

from tokenstream._basics.untrusted import is_encodable
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._shapes.shape import FieldValues, TypeNames, ValueStructure
from tokenstream.partial_json._shapes.write import ByAlias, write_plain_json, write_string
from tokenstream.partial_json._typed.views import FieldLog, GrowingArray, GrowingObject, GrowingText, ValueLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokenstream._basics.loose import Json
    from tokenstream.partial_json._events import KeyOrIndex
    from tokenstream.partial_json._typed.state import SnapshotState

NO_TYPE_NAMES = TypeNames("", field_names=None)
"""For a value without typed fields: its keys are written unchanged."""


class DumpCache:
    """Cache of the finished values of one object or array, as JSON and as plain data."""

    def __init__(self) -> None:
        self.texts: dict[int | str, str | None] = {}
        """Maps the position of each value to its JSON; None if the value is left out.

        The JSON of a default, shown for a field that has not arrived, is cached under the field's name.
        """
        self.joined: tuple[int, str] = 0, ""
        """Number of values at the beginning that have been joined, and the joined JSON."""
        self.data: dict[int | str, Any] = {}
        """Maps the keys of `texts` to the same values as plain data."""

    def join(self, length: int, write: Callable[[range], list[str]]) -> str:
        """Return the JSON of the first values; `write` returns that of those which are not joined yet."""
        joined = self.joined
        # Joined may be values of a later snapshot.
        count, text = joined if joined[0] <= length else (0, "")
        if count < length:
            # The text of a field that is left out is "".
            text = ",".join(filter(None, [text, *write(range(count, length))]))
            if length > joined[0]:
                self.joined = length, text
        return text


def _get_cache(log: FieldLog | ValueLog, by_alias: ByAlias) -> DumpCache:
    """Return the cache with the JSON of finished values; there is one for each value of `by_alias`."""
    cache = log.cache.get(by_alias)
    return log.cache.setdefault(by_alias, DumpCache()) if cache is None else cache


def get_names_and_view(value: object) -> tuple[TypeNames, Any]:
    """Return the names of a value's fields, and the value in the form that is written.

    For a `Partial`, that is the object or array as far as it has arrived, or None if nothing has. Any other
    value is returned itself, without names.
    """
    # A private method of `Partial`, found by its name because `Partial` cannot be imported here.
    get_own = getattr(value.__class__, "_get_names_and_view", None)
    return (NO_TYPE_NAMES, value) if get_own is None else get_own(value)


# -- JSON ----------------------------------------------------------------------


def dump_json(value: object, by_alias: ByAlias) -> str:
    """Return the JSON of a value; of a value that is still growing, the JSON of what a snapshot shows."""
    before, after, growing, _ = _dump_around(value, by_alias)
    return f"{before}{_dump_leaf(growing, by_alias)}{after}"


def dump_draft(draft: object, state: SnapshotState, by_alias: ByAlias) -> str:
    """Return the JSON of a draft: what has not changed since the draft that was last written is not repeated.

    While a container is the innermost open one, nothing changes around it. While no value begins or ends
    in it, only the string that grows is written.
    """
    inner, written = state.inner, state.document.written
    if inner is None:
        return dump_json(draft, by_alias)
    known, outside, before, after, shown = written.get(by_alias, (None, ("", "", None, None), "", "", None))
    if known is None or known.storage is not inner.storage:
        known, outside = None, _dump_around(draft, by_alias, inner)
    # The number of finished values says which value grows, as each of them ends as a finished one.
    place = inner.length, inner.growing is MISSING
    if known is None or (known.length, known.growing is MISSING) != place:
        before, after, shown, type_names = outside
        if shown is not MISSING:
            inside, end, shown = _dump_level(inner, type_names, by_alias)
            before, after = before + inside, end + after
        written[by_alias] = inner, outside, before, after, shown
    return f"{before}{'' if shown is MISSING else _dump_leaf(inner.growing, by_alias)}{after}"


def _dump_around(
    value: object, by_alias: ByAlias, inner: object = None
) -> tuple[str, str, object, TypeNames]:
    """Return the JSON before and after the innermost growing value, that value, and the names of its fields.

    The search ends earlier at `inner`, or with MISSING at a growing value that the type does not write.
    """
    before = after = ""
    # Not recursive: documents may be nested more deeply than calls.
    while True:
        type_names, view = get_names_and_view(value)
        if view is inner or not isinstance(view, GrowingObject | GrowingArray):
            return before, after, view, type_names
        inside, end, value = _dump_level(view, type_names, by_alias)
        before, after = before + inside, end + after


def _dump_level(
    view: GrowingObject | GrowingArray, type_names: TypeNames, by_alias: ByAlias
) -> tuple[str, str, object]:
    """Return the JSON of an object or array before and after its growing value, and that value.

    The value is MISSING if there is none, or if it is not written.
    """
    if isinstance(view, GrowingObject):
        finished, key, others = _dump_members(view, type_names, by_alias)
        opening, closing = "{", "}"
    else:
        finished, key, others = _dump_elements(view, by_alias), "", ""
        opening, closing = "[", "]"
    growing: object = MISSING if key is None else view.growing
    shows_growing = growing is not MISSING
    comma = "," if finished and (shows_growing or others) else ""
    end = f",{others}{closing}" if others and shows_growing else others + closing
    return f"{opening}{finished}{comma}{key or ''}", end, growing


def _dump_leaf(value: object, by_alias: ByAlias) -> str:
    """Return the JSON of a value, other than a growing object or array; "" for MISSING."""
    if value.__class__ is GrowingText:
        return _dump_text(str(value))
    return "" if value is MISSING else write_plain_json(value, by_alias)


def dump_field(view: GrowingObject, name: str, by_alias: ByAlias) -> tuple[int | str, str | None]:
    """Return the cache key of a finished field, and the field's JSON, which is None to leave it out."""
    log = view.log
    texts = _get_cache(log, by_alias).texts
    position = log.find_position(name, view.length)
    if position is None and name not in view.fillers:
        return name, None
    # Of a field that has not arrived, its default is shown.
    place = name if position is None else position
    if place not in texts:
        # A serializer method that needs other fields of a default gets their defaults.
        texts[place] = (
            _dump_value(log.structure, name, view.fillers[name], lambda: view.fillers, by_alias)
            if position is None
            else _dump_finished(log, position, by_alias)
        )
    return place, texts[place]


def dump_element(values: list[Any], position: int, by_alias: ByAlias) -> str:
    """Return the JSON of a finished element of an array."""
    if not isinstance(values, ValueLog):
        return dump_json(values[position], by_alias)
    texts = _get_cache(values, by_alias).texts
    text = texts.get(position)
    if text is None:
        value, structure = values[position], values.structure
        if values.plain_positions is not None and position in values.plain_positions:
            # Plain data, which the structure has not read, and so cannot write.
            structure = None
        # An array has no fields: `dict` returns an empty dict.
        text = texts.setdefault(position, _dump_value(structure, position, value, dict, by_alias))
    # A field may be left out, but an element keeps its place.
    return text or "null"


def _dump_finished(log: FieldLog, position: int, by_alias: ByAlias) -> str | None:
    """Return the JSON of the finished field at a position; None if it is left out."""
    # Positions of plain data, which the structure has not read, and so cannot write.
    plain_positions = log.plain_positions or ()

    def collect_before() -> FieldValues:
        """Return the values of the fields up to `position`, by name, without fields of plain data.

        If the class has serializer methods, they are called on an object made of these values.
        """
        indexes = (index for index in range(position + 1) if index not in plain_positions)
        return {log.names[index]: log.values[index] for index in indexes}

    structure = None if position in plain_positions else log.structure
    return _dump_value(structure, log.names[position], log.values[position], collect_before, by_alias)


def _dump_value(
    structure: ValueStructure | None,
    name: KeyOrIndex,
    value: object,
    get_fields: Callable[[], Mapping[str, Any]],
    by_alias: ByAlias,
) -> str | None:
    """Return the JSON of a value in an object or array; None if the value is left out."""
    if structure is None:
        return dump_json(value, by_alias)
    try:
        return structure.write(name, value, get_fields, by_alias)
    except PydanticSerializationError:
        # A field's serializer may need fields that are missing: until all are there, use the plain value.
        return write_plain_json(value, by_alias)


def _dump_text(text: str) -> str:
    """Return text as JSON; only text with half a surrogate pair is written with escapes."""
    json_text = write_string(text)
    # UTF-8 cannot encode half a surrogate pair.
    return json_text if json_text.isascii() or is_encodable(json_text) else json.dumps(text)


def _dump_members(
    view: GrowingObject, type_names: TypeNames, by_alias: ByAlias
) -> tuple[str, str | None, str]:
    """Return the JSON of the fields before the growing one, its key with a colon, and the fields after it.

    The key is None if no growing field is written. The text of finished fields is joined only once.
    """

    def write(names: Iterable[str]) -> list[str]:
        """Return the JSON of finished fields; that of a field that is left out is ""."""
        return [_dump_member(view, name, type_names, by_alias) for name in names]

    log = view.log
    growing_key = None if view.growing is MISSING else type_names.find_key(view.name, by_alias)
    key = None if growing_key is None else f"{_dump_text(growing_key)}:"
    if view.has_repeats:
        # Only the last field of each name is written, so the texts cannot be joined once for all.
        names = list(view)
        end = len(names) if view.growing is MISSING else names.index(view.name)
        return (
            ",".join(filter(None, write(names[:end]))),
            key,
            ",".join(filter(None, write(names[end + 1 :]))),
        )
    # The defaults of fields that have not arrived are not joined once for all.
    absent = [name for name in view.fillers if log.find_position(name, view.length) is None]
    others = write(name for name in absent if view.growing is MISSING or name != view.name)
    finished = _get_cache(log, by_alias).join(view.length, lambda added: write(log.names[at] for at in added))
    return finished, key, ",".join(filter(None, others))


def _dump_member(view: GrowingObject, name: str, type_names: TypeNames, by_alias: ByAlias) -> str:
    """Return the JSON of a finished field with its key; "" if the field is left out."""
    key = type_names.find_key(name, by_alias)
    text = None if key is None else dump_field(view, name, by_alias)[1]
    return "" if key is None or text is None else f"{_dump_text(key)}:{text}"


def _dump_elements(view: GrowingArray, by_alias: ByAlias) -> str:
    """Return the JSON of the finished elements of an array, which are joined only once."""
    values = view.values
    if not isinstance(values, ValueLog):
        return ",".join([dump_json(value, by_alias) for value in islice(values, view.length)])
    return _get_cache(values, by_alias).join(
        view.length, lambda added: [dump_element(values, position, by_alias) for position in added]
    )


# -- plain data ----------------------------------------------------------------


def dump_data(value: object, by_alias: ByAlias) -> Json:
    """Return a value as plain data, as far as it is shown; equal to its parsed JSON."""
    type_names, view = get_names_and_view(value)
    if view.__class__ is GrowingText:
        return str(view)
    if isinstance(view, GrowingObject):
        return _dump_object_data(view, type_names, by_alias)
    if isinstance(view, GrowingArray):
        return _dump_array_data(view, by_alias)
    return json.loads(write_plain_json(view, by_alias))


def _dump_object_data(view: GrowingObject, type_names: TypeNames, by_alias: ByAlias) -> FieldValues:
    data: FieldValues = {}
    cache = _get_cache(view.log, by_alias).data
    for name in view:
        key = type_names.find_key(name, by_alias)
        if key is None:
            # The type excludes the field from its JSON.
            continue
        if view.growing is not MISSING and name == view.name:
            # The last field is still being written.
            data[key] = dump_data(view.growing, by_alias)
            continue
        position, text = dump_field(view, name, by_alias)
        if text is not None:
            if position not in cache:
                cache[position] = json.loads(text)
            data[key] = cache[position]
    return data


def _dump_array_data(view: GrowingArray, by_alias: ByAlias) -> list[Any]:
    values, length = view.values, view.length
    cache: dict[int | str, Any] = _get_cache(values, by_alias).data if isinstance(values, ValueLog) else {}
    for position in range(length):
        if position not in cache:
            cache[position] = json.loads(dump_element(values, position, by_alias))
    data = [cache[position] for position in range(length)]
    return data if view.growing is MISSING else [*data, dump_data(view.growing, by_alias)]
