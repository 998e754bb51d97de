"""A typed object as far as it has come."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeGuard, TypeVar, overload

from tokenstream._log import TextLog
from tokenstream.errors import InvalidJSON, MisuseError, OutputIncomplete, OutputInvalid
from tokenstream.partial_json._first_fault import reason
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._parser import PartialJSONParser
from tokenstream.partial_json._shape import nested
from tokenstream.partial_json._views import GrowingArray, GrowingObject, resolve, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream.errors import LimitExceeded
    from tokenstream.partial_json._shape import Errors, Face

__all__ = ["Fault", "Page", "Partial", "State", "member"]

T_co = TypeVar("T_co", covariant=True)

_FIELD_SETS = ("__pydantic_fields__", "__dataclass_fields__", "__struct_fields__", "_fields")
"""Where classes tell their fields: pydantic's, dataclasses, msgspec's, named tuples."""

_INTEGER = re.compile(r"-?[0-9]{1,19}").fullmatch

_NO_FIELDS = "has no fields of its own; what has come of it is in `value`"


class Page:
    """The text that a typed object is read from."""

    __slots__ = ("lenient", "log", "words")

    def __init__(self, log: TextLog, *, lenient: bool, words: Callable[[], frozenset[str]]) -> None:
        self.log = log
        self.lenient = lenient
        self.words = words
        """What returns the type's own words, which errors may say."""

    def value(self, text: str, *, complete: bool) -> Any:  # noqa: ANN401 - any JSON value
        """Return what the start of a document says as plain data."""
        parser = PartialJSONParser(lenient=self.lenient, max_depth=len(text) + 1)
        parser.feed(text)
        if complete:
            parser.end()
        return parser.value if parser.has_value else MISSING


class Fault(NamedTuple):
    """What is wrong with finished values, newest first; shared by all snapshots that have it."""

    before: Fault | None
    loc: tuple[str | int, ...]
    """Where the value is."""
    errors: Errors | None
    """What is wrong there; None where what was wrong there counts no more."""


class State(NamedTuple):
    """Where a snapshot was taken, beside what shows."""

    page: Page
    start: int
    """Where the object begins in the page."""
    end: int
    """Where it ends, or how far it had come."""
    complete: bool
    faults: Fault | None
    since: Fault | None
    """The last of the faults that were found before the object began."""
    error: InvalidJSON | LimitExceeded | None
    outcome: Any
    """The finished, validated value, or MISSING."""
    settled: bool = True
    """Whether the object, once all of it has come, stays as it is."""


class Partial(Generic[T_co]):  # noqa: PLW1641 - it compares by what it shows, which may have no hash
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

    def get(self, *path: str | int, default: Any = MISSING) -> Any:  # noqa: ANN401 - any value
        """Return what has come at a path, or `default`.

        Args:
            path: Names of fields, keys and indexes, from the outside in.
            default: What to return where nothing has come.
        """
        value: Any = self if path else self.value
        for key in _keys(path):
            value = self._at(key) if value is self else member(value, key)
            if value is MISSING:
                return default
        return default if value is MISSING else value

    def is_complete(self, *path: str | int) -> bool:
        """Tell whether what is at a path has come and cannot change any more.

        Args:
            path: Names of fields, keys and indexes; none for the object itself.
        """
        value: Any = self
        finished = self.complete and self._state.settled
        for key in _keys(path):
            finished = finished or _is_finished(self._growing() if value is self else value, key)
            value = self._at(key) if value is self else member(value, key)
        return finished and value is not MISSING

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
        value = _inside_root(resolve(self._whole))
        return value if _is_collection(value) else GrowingArray([])

    def _find(self, name: str) -> Any:  # noqa: ANN401 - any value
        if self._fields is None:
            return MISSING
        value = self._fields.find(name)
        outcome = self._state.outcome
        if value is MISSING or outcome is MISSING:
            return value
        # The object's own validators have the last word.
        last = member(outcome, name)
        return value if last is MISSING else last

    def _at(self, key: str | int) -> Any:  # noqa: ANN401 - any value
        return member(resolve(self._whole), key) if self._fields is None else self._find(str(key))

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
        page = state.page.lenient, state.page.words()
        kept = (self._text(), page, state.complete, self.errors, state.error, state.outcome)
        return _rebuilt, (self._face, self._fields, resolve(self._whole), kept)


def _rebuilt(face: Face, fields: GrowingObject | None, whole: Any, kept: tuple[Any, ...]) -> Partial[Any]:  # noqa: ANN401 - any value
    text, (lenient, words), complete, errors, error, outcome = kept
    log = TextLog()
    log.append(text)
    faults = Fault(None, (), errors) if errors else None
    page = Page(log, lenient=lenient, words=lambda: words)
    return Partial(face, fields, whole, State(page, 0, len(text), complete, faults, None, error, outcome))


def _keys(path: tuple[Any, ...]) -> tuple[str | int, ...]:
    if all(isinstance(key, str | int) for key in path):
        return path
    raise MisuseError("a path is names, keys and indexes one by one: get('steps', 0, 'title')")


def _is_finished(value: Any, key: str | int) -> bool:  # noqa: ANN401 - any value
    """Tell whether what a growing value has at a key is finished."""
    if isinstance(value, Partial):
        return value.is_complete(key)
    if isinstance(value, GrowingObject):
        return value.is_finished(str(key))
    return isinstance(value, GrowingArray) and value.is_finished(key)


def member(value: Any, key: str | int) -> Any:  # noqa: ANN401 - any value
    """Return what a value has at a name, key or index, or MISSING."""
    if isinstance(value, Partial):
        return value.get(key)
    if key != "root":
        value = _inside_root(value)
    if _is_mapping(value):
        return _entry(value, key)
    if isinstance(key, int):
        return _element(value, key)
    cls: Any = value.__class__
    if any(key in getattr(cls, fields, ()) for fields in _FIELD_SETS):
        return getattr(value, key, MISSING)
    extra: Mapping[str, Any] = getattr(value, "__pydantic_extra__", None) or {}
    return extra.get(key, MISSING)


def _inside_root(value: Any) -> Any:  # noqa: ANN401 - any value
    """Return what a root model holds, which has shown in its place while it grew; else the value itself."""
    return value.root if getattr(value, "__pydantic_root_model__", False) else value


def _entry(value: Mapping[Any, Any], key: str | int) -> Any:  # noqa: ANN401 - any value
    """Return what a mapping has at a key: keys that become numbers are text while it grows."""
    found = value.get(key, MISSING)
    if found is not MISSING:
        return found
    if isinstance(key, int):
        return value.get(str(key), MISSING)
    return value.get(int(key), MISSING) if _INTEGER(key) else MISSING


def _element(value: Any, index: int) -> Any:  # noqa: ANN401 - any value
    if not _is_array(value):
        return MISSING
    return value[index] if -len(value) <= index < len(value) else MISSING


def _is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _is_collection(value: object) -> TypeGuard[Collection[Any]]:
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)


def _is_array(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
