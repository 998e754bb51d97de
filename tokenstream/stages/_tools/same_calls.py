"""Describes validated arguments in canonical form, and compares calls with the first answer under their id.

A store keeps the list of an answer's calls as entries of their own, beside the calls: one entry for each
call, by its number, and one for the end of a list. The first answer to reach a number writes its entry.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from tokenstream._basics.json import to_canonical
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import CallsDiffer, CallUncertain, OutputInvalid

if TYPE_CHECKING:
    from tokenstream._basics.call_keys import ChoiceCalls, Describe
    from tokenstream._values.parts import CallState
    from tokenstream.partial_json._typed.schema import Schema
    from tokenstream.stages._tools.once import CallStep, CallSteps
    from tokenstream.stages._tools.store import AnyCallStore

_FIELDS_OF_MODELS = "model-fields"
_UNIONS = frozenset({"union", "tagged-union"})
_FAILURES = (PydanticSerializationError, OutputInvalid, ValueError, TypeError, ArithmeticError)
"""Errors that mean that arguments have no canonical form."""
_LONGEST_ZEROS = 400
"""The most zeros at the end of a decimal number that is written as an integer."""

_MAX_CALLS = 100
"""The most calls of the first answer that an error lists."""
_MAX_TEXT = 4_096
"""The most characters of a call that are stored; of a longer one, its start and its hash."""
_END = "null"
"""The entry after the last call of a whole answer."""


def describe_arguments(schema: Schema[Any], text: str) -> str | None:
    """Return a JSON text that is the same for all arguments that are equal once they are validated.

    `100` and `100.0` for a float are equal, as are a default and its absence. The text is that of the
    arguments themselves, with sorted keys, if the model has written them in the usual way.
    """
    serializer: Any = getattr(schema.slot, "serializer", None)
    if serializer is None or _has_factory(schema.core, is_in_model=False):
        return None
    try:
        described = _name_serialized(serializer, schema.validate_text(text))
        value = schema.validate_text(text)
        # Reading the text again must give an equal value, or else the text does not say all.
        copy = schema.validate_text(serializer.to_json(value, by_alias=True).decode())
        is_faithful = bool(copy == value) and described == _name_serialized(serializer, value)
        # A default may tell one object of a union from the other, such as `kind: Literal["cat"] = "cat"`.
        classes = to_canonical(_name_classes(value)) if _has_union(schema.core) else ""
    except _FAILURES:
        return None
    return f"{described}{classes}" if is_faithful else None


def show_arguments(schema: Schema[Any], value: object) -> str | None:
    """Return validated arguments as JSON, without what their type hides; None if they cannot be written."""
    serializer: Any = getattr(schema.slot, "serializer", None)
    try:
        return None if serializer is None else _name_serialized(serializer, value, exclude_defaults=False)
    except _FAILURES:
        return None


def _name_serialized(serializer: Any, value: object, *, exclude_defaults: bool = True) -> str:  # noqa: ANN401 - of pydantic_core
    # A field that is left out may have a default that differs from time to time.
    written = serializer.to_python(
        value, by_alias=True, exclude_unset=True, exclude_defaults=exclude_defaults
    )
    return to_canonical(_simplify(written))


def _name_classes(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return the names of the classes of all objects in a value, each in its place."""
    if isinstance(value, BaseModel) or is_dataclass(value):
        return [type(value).__qualname__, _name_classes(vars(value))]
    if isinstance(value, Mapping):
        fields: Mapping[Any, Any] = cast("Any", value)
        return {str(key): _name_classes(item) for key, item in fields.items()}
    if isinstance(value, set | frozenset | list | tuple):
        names = [_name_classes(item) for item in cast("Collection[Any]", value)]
        return sorted(names, key=to_canonical) if isinstance(value, set | frozenset) else names
    return None


def _simplify(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as JSON; that of equal values has the same canonical form."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Decimal):
        # Without rounding.
        digits = len(value.as_tuple().digits)
        exact = value.normalize(Context(prec=max(digits, 1), Emax=MAX_EMAX, Emin=MIN_EMIN))
        return int(exact) if exact.as_tuple().exponent in range(_LONGEST_ZEROS) else str(exact)
    if isinstance(value, Mapping):
        fields: Mapping[Any, Any] = cast("Any", value)
        if all(isinstance(key, str) for key in fields):
            return {str(key): _simplify(item) for key, item in fields.items()}
        return sorted(([_simplify(key), _simplify(item)] for key, item in fields.items()), key=to_canonical)
    if isinstance(value, set | frozenset | list | tuple):
        simplified = [_simplify(item) for item in cast("Collection[Any]", value)]
        return sorted(simplified, key=to_canonical) if isinstance(value, set | frozenset) else simplified
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    return to_jsonable_python(value)


def _has_union(core: object) -> bool:
    if is_dict(core):
        return core.get("type") in _UNIONS or any(_has_union(item) for item in core.values())
    return isinstance(core, list | tuple) and any(_has_union(item) for item in cast("Collection[Any]", core))


def _has_factory(core: object, *, is_in_model: bool) -> bool:
    """Return True if a schema has a default that a function makes, other than in the fields of a model.

    Pydantic tells which fields of a model were left out, but not those of a dataclass.
    """
    if is_dict(core):
        if "default_factory" in core and not is_in_model:
            return True
        kind = core.get("type")
        is_in_model = kind == _FIELDS_OF_MODELS or (is_in_model and kind in (None, "model-field"))
        return any(_has_factory(item, is_in_model=is_in_model) for item in core.values())
    items: Any = core
    is_list = isinstance(core, list | tuple)
    return is_list and any(_has_factory(item, is_in_model=is_in_model) for item in items)


class SameCalls:
    """Checks that an answer calls the tools that the first answer under its id has called, in the same order.

    Args:
        store: The store of the calls, which keeps the lists as well.
        describe: Describes the validated arguments of the calls; None if there are no tools.
    """

    def __init__(self, store: AnyCallStore, describe: Describe | None) -> None:
        self._store = store
        self._describe = describe
        self._calls: ChoiceCalls | None = None
        """The calls that were checked last; after a restart of the answer, others are checked."""
        self._checked = 0
        """The number of calls at the start of `_calls` that are the same as in the first answer."""
        self._entries: list[str] = []

    def check(self, calls: ChoiceCalls, count: int) -> CallSteps:
        """Compare the first calls of an answer; store those that no answer under its id had before."""
        entries = self._find_entries(calls)
        # Several calls of an answer may be checked at the same time, each with the calls before it.
        for number in range(self._checked, count):
            yield from self._compare(calls, entries, number)
            if calls is self._calls:
                self._checked = max(self._checked, number + 1)

    def check_end(self, calls: ChoiceCalls) -> CallSteps:
        """Compare all calls of a complete answer, and that no further call follows; see `check`."""
        entries = self._find_entries(calls)
        yield from self.check(calls, len(entries))
        yield from self._compare(calls, [*entries, _END], len(entries))

    def _find_entries(self, calls: ChoiceCalls) -> list[str]:
        """Return the entries of the calls that have ended so far; each call is described only once."""
        if calls is not self._calls:
            self._calls, self._checked, self._entries = calls, 0, []
        self._entries += map(_make_entry, calls.describe(self._describe, start=len(self._entries)))
        return self._entries

    def _compare(self, calls: ChoiceCalls, entries: list[str], number: int) -> CallSteps:
        """Compare an entry of the list with the one in the store, or store it if it is the first."""
        key, entry = calls.find_entry_key(number), entries[number]
        first = yield from self._store_entry(key, entry)
        if first == entry:
            return
        if first is None:
            raise CallUncertain(
                f"the calls of the first answer under this id are not known from number {number + 1} on: a "
                "process died while it stored them; if none of them has run, forget the key",
                key=key,
            )
        before = entries[:number]
        firsts = [*before, first, *(yield from self._read_entries(calls, number + 1, first))]
        both = _load_stored_calls(firsts), _load_stored_calls(entries)
        names = " and then ".join(
            ", ".join(call.partition("(")[0] for call in each) or "no tool" for each in both
        )
        raise CallsDiffer(
            f"the answers under this id call {names}, and call {number + 1} is another one: it is not run; "
            "compare .first and .second, and use the first answer, or give the new one another job",
            number=number,
            first=both[0],
            second=both[1],
        )

    def _store_entry(self, key: str, entry: str) -> Generator[CallStep, Any, str | None]:
        """Store an entry unless there is one; return the one in the store, or None if it is only begun."""
        store = self._store
        # The same for all readers of equal answers, so that each can finish what another one has begun.
        token = sha256(entry.encode()).hexdigest()

        def finish() -> Any:  # noqa: ANN401 - None, or an awaitable of None
            return store.finish(key, entry, token=token)

        # An entry that is finished without a beginning is never uncertain, whenever the process dies.
        yield finish
        state: CallState = yield lambda: store.look(key)
        if state.status in ("new", "running"):
            # A store may keep only the ends of calls that have begun.
            state = yield lambda: store.begin(key, store.lease, token=token)
            if state.status == "new":
                yield finish
                return entry
        return state.result

    def _read_entries(
        self, calls: ChoiceCalls, start: int, entry: str | None
    ) -> Generator[CallStep, Any, list[str]]:
        """Return the entries of the first answer's list that follow an entry, for an error."""
        found: list[str] = []
        while entry not in (None, _END) and start + len(found) < _MAX_CALLS:
            key = calls.find_entry_key(start + len(found))
            state: CallState = yield partial(self._store.look, key)
            entry = state.result
            if entry is not None:
                found.append(entry)
        return found


def _make_entry(text: str) -> str:
    if len(text) > _MAX_TEXT:
        text = f"{text[:_MAX_TEXT]}… {sha256(text.encode()).hexdigest()}"
    return json.dumps(text)


def _load_stored_calls(entries: list[str]) -> list[str]:
    return [json.loads(entry) for entry in entries if entry != _END]
