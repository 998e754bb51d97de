"""A typed object as far as it has come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from tokenstream._log import TextLog
from tokenstream.errors import InvalidJSON, OutputIncomplete, OutputInvalid
from tokenstream.partial_json._dump import data_of, json_of
from tokenstream.partial_json._first_fault import reason
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._recorded_path import record_path
from tokenstream.partial_json._shape import nested
from tokenstream.partial_json._state import Fault, Page, State
from tokenstream.partial_json._views import GrowingArray, GrowingObject, resolve, shown
from tokenstream.partial_json._walk import (
    Snapshot,
    inside_root,
    is_as_typed,
    is_collection,
    is_finished_at,
    keys_of,
    member,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tokenstream.partial_json._recorded_path import RecordedPath
    from tokenstream.partial_json._repairs import Repair
    from tokenstream.partial_json._shape import Face

__all__ = ["Partial"]

T_co = TypeVar("T_co", covariant=True)
V = TypeVar("V")
DefaultT = TypeVar("DefaultT")

_NOTHING: Any = object()
"""Stands for a default that was not given."""

_NO_FIELDS = "has no fields of its own; what has come of it is in `value`"


class Partial(Snapshot, Generic[T_co]):  # noqa: PLW1641 - it compares by what it shows, which may have no hash
    """A typed object as far as it has come: a snapshot that never changes.

    A field that has come is an attribute, and an item for those that are named
    like a method; what has not come is `MISSING`, where a null is None. What is
    finished has been validated, and is the same object in every later snapshot
    and in `final()`. What still grows shows as far as it is: an object of a
    model's as a `Partial`, an array as a sequence, a dict as a mapping, text as
    a str. What is no valid value shows as it came, and `errors` tells why. Of a
    whole, valid object every field is there, as `final()` has it.

    It is gone through, and asked for its length and with `in`, by the names of
    the fields that are there; of a list or tuple by its elements, which have
    indexes and slices, too. It is always true.

    Snapshots can be compared, pickled and used from any thread; they have no
    hash.

    Example:
        >>> from pydantic import BaseModel
        >>> from tokenstream.partial_json._draft import Draft
        >>> class Recipe(BaseModel):
        ...     title: str
        ...     minutes: int | None = None
        >>> draft = Draft(Recipe)
        >>> _ = draft.feed('{"title": "Panca')
        >>> draft.partial()
        Partial[Recipe](title='Panca', …)
        >>> draft.partial().minutes, draft.partial().is_complete("title")
        (MISSING, False)
        >>> _ = draft.feed('kes", "minutes": 20}')
        >>> draft.partial().final()
        Recipe(title='Pancakes', minutes=20)
    """

    __slots__ = ("_face", "_fields", "_state", "_whole")

    def __init__(self, face: Face, fields: GrowingObject | None, whole: Any, state: State) -> None:  # noqa: ANN401 - any value
        self._face = face
        self._fields = fields
        self._whole = whole
        self._state = state

    # -- what is there -----------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether all of it has come, be it valid or not."""
        return self._state.complete

    @property
    def errors(self) -> tuple[dict[str, Any], ...]:
        """What is wrong with finished values, as `ValidationError.errors()` tells it."""
        found: list[tuple[dict[str, Any], ...]] = []
        forgotten: set[tuple[str | int, ...]] = set()
        fault = self._state.faults
        while fault is not None and fault is not self._state.since:
            if fault.errors is None:
                forgotten.add(fault.loc)
            elif fault.loc not in forgotten:
                found.append(nested(fault.loc, fault.errors))
            fault = fault.before
        return tuple(error for errors in reversed(found) for error in errors)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was read although it is no JSON, with `lenient`: each by its name and place."""
        state = self._state
        made = state.page.repairs()[: state.repaired]
        if state.start == state.page.start:
            # The whole document has also those around it.
            return made
        return tuple([each for each in made if state.start <= each.offset < state.end])

    @property
    def value(self) -> Any:  # noqa: ANN401 - any value
        """The growing value where the type is no object with fields; else the plain data so far.

        MISSING where nothing has come. The plain data of an object is read anew
        from the text, which takes longer the more there is.
        """
        if self._fields is None:
            return resolve(self._whole)
        if self._face.names is None:
            return self._fields
        return self._state.page.value(self._text(), complete=self.complete)

    @overload
    def get(self, path: Callable[[T_co], V], /) -> V | None: ...
    @overload
    def get(self, path: Callable[[T_co], V], /, *, default: DefaultT) -> V | DefaultT: ...
    @overload
    def get(self, *path: str | int, default: Any = ...) -> Any: ...  # noqa: ANN401 - any value
    def get(self, *path: Any, default: Any = _NOTHING) -> Any:
        """Return what has come at a path, or `default`.

        A path that is a function, `lambda r: r.steps[0].title`, is typed: it has
        the names of the type, and gives what these are annotated with, or None.
        It is called once, with what records the path, and never on data. A str
        is given as far as it has grown; any other value that is neither object
        nor array when it is finished and valid, and what breaks the schema is
        not given. An object, list or dict that grows is what shows of it: a
        `Partial`, an immutable sequence or mapping; `is_complete` tells when it
        is the type's own.

        Args:
            path: Names of fields, keys and indexes, from the outside in; or one
                function that takes them from its argument.
            default: What to return where nothing has come: else None for a function,
                MISSING for names.

        Raises:
            MisuseError: The function is no path, or has a name that the type has not.

        Example:
            >>> from tokenstream.partial_json._draft import Draft
            >>> draft = Draft(dict[str, list[str]])
            >>> _ = draft.feed('{"steps": ["Whi')
            >>> draft.partial().get("steps", 0), draft.partial().get(lambda r: r["steps"][0])
            ('Whi', 'Whi')
        """
        if len(path) == 1 and callable(path[0]):
            found = self._typed(record_path(path[0], self._face.slot))
            if found is MISSING:
                return None if default is _NOTHING else default
            return found
        default = MISSING if default is _NOTHING else default
        value: Any = self if path else self.value
        for key in keys_of(path):
            value = self._at(key) if value is self else member(value, key)
            if value is MISSING:
                return default
        return default if value is MISSING else value

    @overload
    def is_complete(self, path: Callable[[T_co], object], /) -> bool: ...
    @overload
    def is_complete(self, *path: str | int) -> bool: ...
    def is_complete(self, *path: Any) -> bool:
        """Tell whether what is at a path has come and cannot change any more.

        Args:
            path: Names of fields, keys and indexes, none for the object itself; or one
                function that takes them from its argument, as for `get`.

        Raises:
            MisuseError: The function is no path, or has a name that the type has not.
        """
        if len(path) == 1 and callable(path[0]):
            path = record_path(path[0], self._face.slot).keys
        value: Any = self
        finished = self.complete and self._state.settled
        for key in keys_of(path):
            finished = finished or is_finished_at(self._growing() if value is self else value, key)
            value = self._at(key) if value is self else member(value, key)
        return finished and value is not MISSING

    def _typed(self, path: RecordedPath) -> Any:  # noqa: ANN401 - any value
        """Return what a path leads to, where that is what the type says; else MISSING."""
        *before, last = path.keys or (None,)
        if last is None:
            if self._state.outcome is not MISSING:
                return self._state.outcome
            holder, value = None, self if self._face.names is not None else resolve(self._growing())
        else:
            holder = self.get(*before) if before else self
            value = self._at(last) if holder is self else member(holder, last)
        return value if is_as_typed(holder, last, value, path.slots) else MISSING

    def final(self) -> T_co:
        """Return the finished, validated value: the same object each time.

        Raises:
            OutputIncomplete: It is not all there.
            OutputInvalid: It is not what the type asks for.
        """
        if self._state.outcome is not MISSING:
            value: T_co = self._state.outcome
            return value
        raise self._refusal()

    # -- as data -----------------------------------------------------------------

    def to_json(self, *, by_alias: bool | None = None) -> str:
        """Return what has come as JSON; once it is complete and valid, that of `final()`.

        Values are written as their types have it, and as they came where they are not
        valid. What has not come is left out, and is null where nothing has come at all.
        What is finished is written once, and kept for later snapshots.

        Args:
            by_alias: Whether fields are written under their aliases; None leaves it to
                the types, as `model_dump_json` does. Structs of msgspec's always are.

        Example:
            >>> from tokenstream.partial_json._draft import Draft
            >>> draft = Draft(dict[str, str])
            >>> _ = draft.feed('{"title": "Pan')
            >>> draft.partial().to_json()
            '{"title":"Pan"}'
        """
        outcome = self._state.outcome
        return json_of(self, by_alias) if outcome is MISSING else self._state.page.write(outcome, by_alias)

    def to_python(self, *, by_alias: bool | None = None) -> Any:  # noqa: ANN401 - any JSON value
        """Return what has come as plain data: what `to_json` says, as dicts, lists and so on.

        What is finished in it is shared with that of later snapshots: it is not to be changed.

        Args:
            by_alias: Whether fields are under their aliases; None leaves it to the types.

        Example:
            >>> from tokenstream.partial_json._draft import Draft
            >>> draft = Draft(dict[str, str])
            >>> _ = draft.feed('{"title": "Pan')
            >>> draft.partial().to_python()
            {'title': 'Pan'}
        """
        if self._state.outcome is MISSING:
            return data_of(self, by_alias)
        return json.loads(self.to_json(by_alias=by_alias))

    def _parts(self) -> tuple[Face, Any]:
        """Return what views are written by: how it shows, and the view of it."""
        return self._face, None if self._growing() is MISSING else self._growing()

    def _refusal(self) -> OutputInvalid | OutputIncomplete:
        error = self._state.error
        if isinstance(error, InvalidJSON):
            return InvalidJSON(
                str(error), text=self._text(), offset=error.offset, errors=self.errors, best=self
            )
        if error is not None:
            refusal = OutputInvalid(str(error), text=self._text(), errors=self.errors, best=self)
            refusal.__cause__ = error
            return refusal
        text = self._text()
        if not self.complete:
            return OutputIncomplete(
                f"the {self._face.title} is not whole: its text ends after {len(text):,} characters; "
                "best tells what had come",
                text=text,
                offset=len(text),
                errors=self.errors,
                best=self,
            )
        errors = self.errors
        why = reason(self._face.title, errors, self._state.page.words())
        return OutputInvalid(why, text=text, errors=errors, best=self)

    def _text(self) -> str:
        state = self._state
        return state.page.log.slices([state.start, state.end])

    # -- fields ------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - Python cannot map a type's fields
        value = self._find(name)
        if value is not MISSING:
            return value
        if name in (self._face.names or ()):
            return MISSING
        lacks = f"has no field {name!r}" if self._face.names is not None else _NO_FIELDS
        raise AttributeError(f"{self._face.title} {lacks}", name=name, obj=self)

    def __getitem__(self, key: str | int | slice) -> Any:  # noqa: ANN401 - as above
        if self._fields is None and not isinstance(key, str):
            elements: Any = self._elements()
            return elements[key]
        value = self._find(key) if isinstance(key, str) else MISSING
        if value is MISSING and key not in (self._face.names or ()):
            raise KeyError(key)
        return value

    # -- what it has: names of fields, or elements ---------------------------------

    def __contains__(self, item: object) -> bool:
        return item in self._items()

    @overload
    def __iter__(self: Partial[list[Any] | tuple[Any, ...]]) -> Iterator[Any]: ...
    @overload
    def __iter__(self) -> Iterator[str]: ...
    def __iter__(self) -> Iterator[Any]:
        return iter(self._items())

    def __len__(self) -> int:
        return len(self._items())

    def __bool__(self) -> Literal[True]:
        # As it has always been a draft, also where nothing has come: `if error.best` asks for that.
        return True

    def _items(self) -> Collection[Any]:
        return self._elements() if self._fields is None else self._fields

    def _elements(self) -> Collection[Any]:
        """Return the elements of what is no object; nothing has any but lists, tuples, sets and the like."""
        value = inside_root(resolve(self._whole))
        return value if is_collection(value) else GrowingArray([])

    def _find(self, name: str) -> Any:  # noqa: ANN401 - any value
        if self._fields is None:
            return MISSING
        # The object's own validators have the last word: of its fields nothing else is even looked at.
        outcome = self._state.outcome
        last = MISSING if outcome is MISSING else member(outcome, name)
        if last is not MISSING and name in (self._face.names or ()):
            return last
        value = self._fields.find(name)
        return value if value is MISSING or last is MISSING else last

    def _at(self, key: str | int) -> Any:  # noqa: ANN401 - any value
        return member(resolve(self._whole), key) if self._fields is None else self._find(str(key))

    def _settled(self) -> Any:  # noqa: ANN401 - any value
        return self._growing() if self._state.outcome is MISSING else self._state.outcome

    def _growing(self) -> Any:  # noqa: ANN401 - any value
        return self._whole if self._fields is None else self._fields

    # -- a value -------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Partial):
            return NotImplemented
        return self._told() == other._told()

    def _told(self) -> tuple[Any, ...]:
        fields = None if self._fields is None else [(name, self._find(name)) for name in self._fields]
        return self._face.title, self.complete, fields, resolve(self._whole), self.errors

    def __repr__(self) -> str:
        return shown(self)

    def _shown(self, deepest: int) -> str:
        if self._fields is None:
            parts = [] if self._whole is MISSING else [shown(resolve(self._whole), deepest - 1)]
        elif deepest <= 0:
            parts = []
        else:
            parts = [f"{name}={shown(self._find(name), deepest - 1)}" for name in self._fields]
        if not self.complete or deepest <= 0:
            parts.append("…")
        return f"Partial[{self._face.title}]({', '.join(parts)})"

    def __rich_repr__(self) -> Iterator[tuple[str | None, Any]]:
        if self._fields is None:
            yield None, resolve(self._whole)
            return
        for name in self._fields:
            yield name, self._find(name)

    def __copy__(self) -> Partial[T_co]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Partial[T_co]:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        state = self._state
        page = state.page.lenient, state.page.document, state.page.words(), self.repairs
        kept = (self._text(), page, state.complete, self.errors, state.error, state.outcome)
        return _rebuilt, (self._face, self._fields, resolve(self._whole), kept)


def _rebuilt(face: Face, fields: GrowingObject | None, whole: Any, kept: tuple[Any, ...]) -> Partial[Any]:  # noqa: ANN401 - any value
    text, (lenient, document, words, repairs), complete, errors, error, outcome = kept
    log = TextLog()
    log.append(text)
    faults = Fault(None, (), errors) if errors else None
    page = Page(log, lenient=lenient, document=document, words=lambda: words, repairs=lambda: repairs)
    state = State(page, 0, len(text), complete, faults, None, error, outcome, repaired=len(repairs))
    return Partial(face, fields, whole, state)
