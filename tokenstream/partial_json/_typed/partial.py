"""`Partial`: a snapshot of a typed object that fills in.

The classes of typed partials, each below the one that holds it:

    Draft                     reads the text, and returns a Partial after each change
      DocumentText            text and options of the document, shared by all its snapshots
      Slot                    reads values of one type: whole from their text, or by a Structure
        Structure             reads the values of an object or array one by one, and assembles them
        Face                  how an object of the type shows: its title, fields and aliases
      Open, linked by parent  one for each open object or array
        entries               by key: a validated value, Failed or Unread
        FieldLog, ValueLog    the values as they show; they only grow
      Excerpt                 collects the text of a value that is read whole
      FaultLink, linked       the validation errors, newest first

    Partial                   one snapshot
      Face
      GrowingObject, ...      a view: the first n values of a log, and the value that was growing
      SnapshotState           DocumentText, start and end in its text, newest FaultLink, outcome
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from tokenstream._basics.text_log import TextLog
from tokenstream.errors import InvalidJSON, OutputIncomplete, OutputInvalid
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._shapes.shape import locate_errors
from tokenstream.partial_json._typed.dump import dump_data, dump_json
from tokenstream.partial_json._typed.first_fault import describe_invalid
from tokenstream.partial_json._typed.recorded_path import record_path
from tokenstream.partial_json._typed.state import DocumentText, FaultLink, SnapshotState
from tokenstream.partial_json._typed.views import GrowingArray, GrowingObject, make_repr, resolve
from tokenstream.partial_json._typed.walk import (
    Snapshot,
    check_keys,
    get_member,
    is_as_typed,
    is_collection,
    is_finished_at,
    unwrap_root,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tokenstream.partial_json._repairs import Repair
    from tokenstream.partial_json._shapes.shape import Face
    from tokenstream.partial_json._typed.recorded_path import RecordedPath

T_co = TypeVar("T_co", covariant=True)
V = TypeVar("V")
DefaultT = TypeVar("DefaultT")

_NOTHING: Any = object()
"""Marks a default that was not passed."""

_NO_FIELDS = "is not an object with fields; read its `value`"


class Partial(Snapshot, Generic[T_co]):  # noqa: PLW1641 - equality compares values that may have no hash
    """A snapshot of a typed object that fills in; it never changes.

    Fields are attributes, and also items, for fields named like a method. A field
    that has not arrived is `MISSING`; a null is None. A finished value is validated,
    and is the same object in every later snapshot and in `final()`. A growing value
    shows the part that has arrived: an object with fields as a `Partial`, an array
    as a sequence, a dict as a mapping, text as a str. An invalid value shows as it
    came, and `errors` has the reason. A complete, valid object has every field that
    `final()` has.

    Iteration, `len` and `in` use the names of the fields that have arrived; for a
    list or tuple they use its elements, which have indexes and slices. A snapshot is
    always true.

    Snapshots can be compared, pickled and used from any thread; they have no hash.

    Example:
        >>> from pydantic import BaseModel
        >>> from tokenstream.partial_json._typed.draft import Draft
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

    def __init__(self, face: Face, fields: GrowingObject | None, whole: Any, state: SnapshotState) -> None:  # noqa: ANN401 - any value
        self._face = face
        self._fields = fields
        self._whole = whole
        self._state = state

    # -- current state -----------------------------------------------------------

    @property
    def complete(self) -> bool:
        """True once all of it has arrived, valid or not."""
        return self._state.complete

    @property
    def errors(self) -> tuple[dict[str, Any], ...]:
        """Validation errors of finished values, in the form of `ValidationError.errors()`."""
        found: list[tuple[dict[str, Any], ...]] = []
        forgotten: set[tuple[str | int, ...]] = set()
        fault = self._state.faults
        while fault is not None and fault is not self._state.since:
            if fault.errors is None:
                forgotten.add(fault.loc)
            elif fault.loc not in forgotten:
                found.append(locate_errors(fault.loc, fault.errors))
            fault = fault.before
        return tuple(error for errors in reversed(found) for error in errors)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """Repairs of text that is not JSON, with `lenient`: the name and offset of each."""
        state = self._state
        made = state.document.repairs()[: state.repaired]
        if state.start == state.document.start:
            # The document itself also has those in the text around it.
            return made
        return tuple([each for each in made if state.start <= each.offset < state.end])

    @property
    def value(self) -> Any:  # noqa: ANN401 - any value
        """The growing value, or the plain data so far if the type is an object with fields.

        MISSING if nothing has arrived. The plain data of an object is parsed from the
        text at each access, which takes longer the more text there is.
        """
        if self._fields is None:
            return resolve(self._whole)
        if self._face.names is None:
            return self._fields
        return self._state.document.value(self._get_text(), complete=self.complete)

    @overload
    def get(self, path: Callable[[T_co], V], /) -> V | None: ...
    @overload
    def get(self, path: Callable[[T_co], V], /, *, default: DefaultT) -> V | DefaultT: ...
    @overload
    def get(self, *path: str | int, default: Any = ...) -> Any: ...  # noqa: ANN401 - any value
    def get(self, *path: Any, default: Any = _NOTHING) -> Any:
        """Return the value at a path, or `default` if it has not arrived.

        A path that is a function, `lambda r: r.steps[0].title`, is typed: it uses
        the type's own names, and the result has the annotated type or is None. The
        function is called once with an object that records the path, never on data.
        It returns a str as far as it has grown; a number, a date or another scalar
        once it is finished; a growing object, list or dict as a `Partial`, an
        immutable sequence or mapping, until `is_complete` is True. It never returns
        an invalid value.

        Args:
            path: Names of fields, keys and indexes, outermost first; or one function
                that takes them from its argument.
            default: Returned if nothing has arrived; unless given, None for a function
                and MISSING for names.

        Raises:
            MisuseError: The function is not a path, or uses a name that the type lacks.

        Example:
            >>> from tokenstream.partial_json._typed.draft import Draft
            >>> draft = Draft(dict[str, list[str]])
            >>> _ = draft.feed('{"steps": ["Whi')
            >>> draft.partial().get("steps", 0), draft.partial().get(lambda r: r["steps"][0])
            ('Whi', 'Whi')
        """
        if len(path) == 1 and callable(path[0]):
            found = self._get_typed(record_path(path[0], self._face.slot))
            if found is MISSING:
                return None if default is _NOTHING else default
            return found
        default = MISSING if default is _NOTHING else default
        value: Any = self if path else self.value
        for key in check_keys(path):
            value = self._get_at(key) if value is self else get_member(value, key)
            if value is MISSING:
                return default
        return default if value is MISSING else value

    @overload
    def is_complete(self, path: Callable[[T_co], object], /) -> bool: ...
    @overload
    def is_complete(self, *path: str | int) -> bool: ...
    def is_complete(self, *path: Any) -> bool:
        """Return True if the value at a path has arrived and cannot change any more.

        Args:
            path: Names of fields, keys and indexes, none for the object itself; or one
                function that takes them from its argument, as for `get`.

        Raises:
            MisuseError: The function is not a path, or uses a name that the type lacks.
        """
        if len(path) == 1 and callable(path[0]):
            path = record_path(path[0], self._face.slot).keys
        value: Any = self
        finished = self.complete and self._state.settled
        for key in check_keys(path):
            finished = finished or is_finished_at(self._get_growing() if value is self else value, key)
            value = self._get_at(key) if value is self else get_member(value, key)
        return finished and value is not MISSING

    def _get_typed(self, path: RecordedPath) -> Any:  # noqa: ANN401 - any value
        """Return the value at a path if it has the annotated type; else MISSING."""
        *before, last = path.keys or (None,)
        if last is None:
            if self._state.outcome is not MISSING:
                return self._state.outcome
            holder, value = None, self if self._face.names is not None else resolve(self._get_growing())
        else:
            holder = self.get(*before) if before else self
            value = self._get_at(last) if holder is self else get_member(holder, last)
        return value if is_as_typed(holder, last, value, path.slots) else MISSING

    def final(self) -> T_co:
        """Return the finished, validated value: the same object each time.

        Raises:
            OutputIncomplete: The object is not complete.
            OutputInvalid: It does not fit the type.
        """
        if self._state.outcome is not MISSING:
            value: T_co = self._state.outcome
            return value
        raise self._make_error()

    # -- as data -----------------------------------------------------------------

    def to_json(self, *, by_alias: bool | None = None) -> str:
        """Return the object so far as JSON; once it is complete and valid, the JSON of `final()`.

        Valid values are written by their types, invalid ones as they came. Fields that
        have not arrived are left out; if nothing has arrived, the JSON is null. Finished
        values are written once, and reused by later snapshots.

        Args:
            by_alias: True to write fields under their aliases; None leaves it to the
                types, as `model_dump_json` does. msgspec Structs always use aliases.

        Example:
            >>> from tokenstream.partial_json._typed.draft import Draft
            >>> draft = Draft(dict[str, str])
            >>> _ = draft.feed('{"title": "Pan')
            >>> draft.partial().to_json()
            '{"title":"Pan"}'
        """
        outcome = self._state.outcome
        return (
            dump_json(self, by_alias) if outcome is MISSING else self._state.document.write(outcome, by_alias)
        )

    def to_python(self, *, by_alias: bool | None = None) -> Any:  # noqa: ANN401 - any JSON value
        """Return the object so far as plain data: `to_json` as dicts, lists and so on.

        Finished values are shared with the data of later snapshots: do not change them.

        Args:
            by_alias: True to use the aliases of fields; None leaves it to the types.

        Example:
            >>> from tokenstream.partial_json._typed.draft import Draft
            >>> draft = Draft(dict[str, str])
            >>> _ = draft.feed('{"title": "Pan')
            >>> draft.partial().to_python()
            {'title': 'Pan'}
        """
        if self._state.outcome is MISSING:
            return dump_data(self, by_alias)
        return json.loads(self.to_json(by_alias=by_alias))

    def _get_face_and_view(self) -> tuple[Face, Any]:
        """Return its face and its view, which `dump` writes."""
        return self._face, None if self._get_growing() is MISSING else self._get_growing()

    def _make_error(self) -> OutputInvalid | OutputIncomplete:
        error = self._state.error
        if isinstance(error, InvalidJSON):
            return InvalidJSON(
                str(error), text=self._get_text(), offset=error.offset, errors=self.errors, best=self
            )
        if error is not None:
            refusal = OutputInvalid(str(error), text=self._get_text(), errors=self.errors, best=self)
            refusal.__cause__ = error
            return refusal
        text = self._get_text()
        if not self.complete:
            return OutputIncomplete(
                f"the {self._face.title} is not complete: its text ends after {len(text):,} characters; "
                "`best` has the values that had arrived",
                text=text,
                offset=len(text),
                errors=self.errors,
                best=self,
            )
        errors = self.errors
        why = describe_invalid(self._face.title, errors, self._state.document.words())
        return OutputInvalid(why, text=text, errors=errors, best=self)

    def _get_text(self) -> str:
        state = self._state
        return state.document.log.slices([state.start, state.end])

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
            elements: Any = self._get_elements()
            return elements[key]
        value = self._find(key) if isinstance(key, str) else MISSING
        if value is MISSING and key not in (self._face.names or ()):
            raise KeyError(key)
        return value

    # -- contents: names of fields, or elements ------------------------------------

    def __contains__(self, item: object) -> bool:
        return item in self._get_items()

    @overload
    def __iter__(self: Partial[list[Any] | tuple[Any, ...]]) -> Iterator[Any]: ...
    @overload
    def __iter__(self) -> Iterator[str]: ...
    def __iter__(self) -> Iterator[Any]:
        return iter(self._get_items())

    def __len__(self) -> int:
        return len(self._get_items())

    def __bool__(self) -> Literal[True]:
        # True even if nothing has arrived, so that `if error.best` asks only whether there is a draft.
        return True

    def _get_items(self) -> Collection[Any]:
        return self._get_elements() if self._fields is None else self._fields

    def _get_elements(self) -> Collection[Any]:
        """Return the elements of a list, tuple, set or the like; none for any other value."""
        value = unwrap_root(resolve(self._whole))
        return value if is_collection(value) else GrowingArray([])

    def _find(self, name: str) -> Any:  # noqa: ANN401 - any value
        if self._fields is None:
            return MISSING
        # Once the object is validated, its own fields are authoritative: validators may have changed them.
        outcome = self._state.outcome
        last = MISSING if outcome is MISSING else get_member(outcome, name)
        if last is not MISSING and name in (self._face.names or ()):
            return last
        value = self._fields.find(name)
        return value if value is MISSING or last is MISSING else last

    def _get_at(self, key: str | int) -> Any:  # noqa: ANN401 - any value
        return get_member(resolve(self._whole), key) if self._fields is None else self._find(str(key))

    def _get_settled(self) -> Any:  # noqa: ANN401 - any value
        return self._get_growing() if self._state.outcome is MISSING else self._state.outcome

    def _get_growing(self) -> Any:  # noqa: ANN401 - any value
        return self._whole if self._fields is None else self._fields

    # -- a value -------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Partial):
            return NotImplemented
        return self._make_key() == other._make_key()

    def _make_key(self) -> tuple[Any, ...]:
        fields = None if self._fields is None else [(name, self._find(name)) for name in self._fields]
        return self._face.title, self.complete, fields, resolve(self._whole), self.errors

    def __repr__(self) -> str:
        return make_repr(self)

    def _make_repr(self, deepest: int) -> str:
        if self._fields is None:
            parts = [] if self._whole is MISSING else [make_repr(resolve(self._whole), deepest - 1)]
        elif deepest <= 0:
            parts = []
        else:
            parts = [f"{name}={make_repr(self._find(name), deepest - 1)}" for name in self._fields]
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
        document = state.document
        options = document.lenient, document.choice, document.words(), self.repairs
        kept = (self._get_text(), options, state.complete, self.errors, state.error, state.outcome)
        return _rebuild, (self._face, self._fields, resolve(self._whole), kept)


def _rebuild(face: Face, fields: GrowingObject | None, whole: Any, kept: tuple[Any, ...]) -> Partial[Any]:  # noqa: ANN401 - any value
    text, (lenient, choice, words, repairs), complete, errors, error, outcome = kept
    log = TextLog()
    log.append(text)
    faults = FaultLink(None, (), errors) if errors else None
    document = DocumentText(log, lenient=lenient, choice=choice, words=lambda: words, repairs=lambda: repairs)
    state = SnapshotState(
        document, 0, len(text), complete, faults, None, error, outcome, repaired=len(repairs)
    )
    return Partial(face, fields, whole, state)
