"""`Partial`: a snapshot of a typed object that is being filled in.

The docstring of the package shows how the classes fit together.
"""

from __future__ import annotations

import json
from functools import reduce
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, overload

from tokenstream._basics.text_log import TextLog
from tokenstream.errors import InvalidJSON, OutputIncomplete, OutputInvalid
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._shapes.shape import ErrorDetails, TypeNames, locate_errors
from tokenstream.partial_json._typed.at_once import as_draft
from tokenstream.partial_json._typed.dump import dump_data, dump_draft
from tokenstream.partial_json._typed.paths import (
    RecordedPath,
    Snapshot,
    check_keys,
    explain_missing,
    find_slots_at,
    get_member,
    is_as_typed,
    is_collection,
    is_final_at,
    list_names,
    record_path,
    unwrap_root,
)
from tokenstream.partial_json._typed.schema import describe_invalid
from tokenstream.partial_json._typed.state import DocumentText, FaultLink, SnapshotState
from tokenstream.partial_json._typed.views import GrowingArray, GrowingObject, make_repr, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tokenstream._basics.loose import Json
    from tokenstream.partial_json._events import KeyOrIndex, Path
    from tokenstream.partial_json._repairs import Repair

T_co = TypeVar("T_co", covariant=True)
V = TypeVar("V")
DefaultT = TypeVar("DefaultT")


class _NoDefault:
    """Stands for a default that was not passed, so that signatures can show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<not passed>"


_NO_DEFAULT: Any = _NoDefault()


class Partial(Snapshot, Generic[T_co]):  # noqa: PLW1641 - equality compares values that may have no hash
    """A snapshot of a typed object that is being filled in; a snapshot never changes.

    Fields are attributes, and also items, which helps if a field has the name of a
    method. A field that has not arrived is `MISSING`; a null is None. A finished value is
    validated, and is the same object in every later snapshot and in `final()`. A growing
    value consists of the part that has arrived: an object with fields is a `Partial`, an
    array is a sequence, a dict is a mapping, text is a str. An invalid value is shown as
    the model wrote it, and `errors` contains the reason. A complete, valid object has
    every field that `final()` has.

    Iteration, `len` and `in` use the names of the fields that have arrived; for a
    list or tuple they use its elements, which can also be indexed and sliced. A snapshot
    is always true.

    Snapshots can be compared, pickled and used from any thread; they have no hash.

    Example:
        >>> from pydantic import BaseModel
        >>> from tokenstream import Stream
        >>> class Recipe(BaseModel):
        ...     title: str
        ...     minutes: int | None = None
        >>> stream = Stream(['{"title": "Panca', 'kes", "minutes": 20}'], format="pieces")
        >>> first, last = stream.partials(Recipe)
        >>> first, first.minutes, first.is_complete("title")
        (Partial[Recipe](title='Panca', …), MISSING, False)
        >>> last.final()
        Recipe(title='Pancakes', minutes=20)
    """

    __slots__ = ("_members", "_state", "_type_names", "_whole")

    def __init__(
        self, type_names: TypeNames, fields: GrowingObject | None, whole: object, state: SnapshotState
    ) -> None:
        self._type_names = type_names
        # One of these two is used: the view of an object's fields (else None), or of any other value (else
        # MISSING).
        self._members = fields
        self._whole = whole
        self._state = state

    # -- current state -----------------------------------------------------------

    @property
    def complete(self) -> bool:
        """True once the whole object has arrived, valid or not."""
        return self._state.complete

    @property
    def errors(self) -> tuple[dict[str, Any], ...]:
        """Validation errors of finished values, in the form of `ValidationError.errors()`."""
        # From the newest to the oldest that was found in this object; a link without errors cancels the
        # older errors of its value.
        newest_first: list[tuple[ErrorDetails, ...]] = []
        cancelled: set[Path] = set()
        fault = self._state.faults
        while fault is not None and fault is not self._state.faults_before:
            if fault.errors is None:
                cancelled.add(fault.location)
            elif fault.location not in cancelled:
                newest_first.append(locate_errors(fault.location, fault.errors))
            fault = fault.before
        return tuple(error for errors in reversed(newest_first) for error in errors)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """Repairs of text that is not JSON, if `lenient` is set: the name and offset of each."""
        state = self._state
        made = state.document.repairs()[: state.repair_count]
        if state.start == state.document.start:
            # For the whole document, this includes the repairs in the text around it.
            return made
        return tuple([each for each in made if state.start <= each.offset < state.end])

    @property
    def value(self) -> Any:  # noqa: ANN401 - any value
        """The growing value; for an object with fields, its plain data so far.

        MISSING if nothing has arrived. The plain data of an object is parsed from the
        text at each access, which takes longer for a longer text.
        """
        if self._members is None:
            # Not an object with keys, but an array, a string or another value.
            return resolve(self._whole)
        if self._type_names.field_names is None:
            # A dict, whose view is a mapping of the keys so far.
            return self._members
        return self._state.document.parse(self._get_text(), complete=self.complete)

    @overload
    def get(self, path: Callable[[T_co], V], /) -> V | None: ...
    @overload
    def get(self, path: Callable[[T_co], V], /, *, default: DefaultT) -> V | DefaultT: ...
    @overload
    def get(self, *path: str | int, default: Any = ...) -> Any: ...  # noqa: ANN401 - any value
    def get(self, *path: Any, default: Any = _NO_DEFAULT) -> Any:
        """Return the value at a path, or `default` if the value has not arrived.

        With names, every object in the result is a `Partial`, on which `get` works again; a
        finished one also has the methods of its own type.

        With a function, such as `lambda r: r.steps[0].title`, the result has the type of the
        field, or is None; an invalid value is never returned. The function is called once, with
        an object that records the path and has no data. A str is returned as far as it has
        arrived, a number, a date or another scalar once it is finished. An object, list or dict
        is a `Partial`, an immutable sequence or a mapping while it grows, then the value itself.

        Args:
            path: Names of fields, keys and indexes, outermost first; or one function
                that reads them from its argument.
            default: Returned if no value has arrived; by default, None for a function,
                and MISSING for names.

        Raises:
            MisuseError: The function is not a path, or uses a name that the type lacks.

        Example:
            >>> from tokenstream import Stream
            >>> stream = Stream(['{"steps": ["Whi', 'sk"]}'], format="pieces")
            >>> draft, _ = stream.partials(dict[str, list[str]])
            >>> draft.get("steps", 0), draft.get(lambda recipe: recipe["steps"][0])
            ('Whi', 'Whi')
        """
        if len(path) == 1 and callable(path[0]):
            found = self._get_typed(record_path(path[0], self._type_names.slot))
            if found is MISSING:
                return None if default is _NO_DEFAULT else default
            return found
        value = reduce(get_member, check_keys(path), cast("Any", self)) if path else self.value
        if value is MISSING:
            return MISSING if default is _NO_DEFAULT else default
        if value is None or isinstance(value, str | int | float) or (not path and self._members is not None):
            return value
        return as_draft(value, find_slots_at(self._type_names.slot, path), Partial)

    @overload
    def is_complete(self, path: Callable[[T_co], object], /) -> bool: ...
    @overload
    def is_complete(self, *path: str | int) -> bool: ...
    def is_complete(self, *path: Any) -> bool:
        """Return True if the value at a path has arrived and cannot change any more.

        Args:
            path: Names of fields, keys and indexes, or none for the object itself; or one
                function that reads them from its argument, as for `get`.

        Raises:
            MisuseError: The function is not a path, or uses a name that the type lacks.
        """
        if len(path) == 1 and callable(path[0]):
            path = record_path(path[0], self._type_names.slot).keys
        value: Any = self
        is_final = self.complete and self._state.is_final
        for key in check_keys(path):
            # Everything inside a final value is final.
            is_final = is_final or is_final_at(self._get_growing() if value is self else value, key)
            value = get_member(value, key)
        return is_final and value is not MISSING

    def _get_typed(self, path: RecordedPath) -> object:
        """Return the value at a path if it has the annotated type; otherwise MISSING."""
        if not path.keys:
            # The whole object.
            if self._state.outcome is not MISSING:
                return self._state.outcome
            # An object with fields is shown as this `Partial`.
            value = self if self._type_names.field_names is not None else resolve(self._get_growing())
            return value if is_as_typed(None, key=None, value=value, slots=path.slots) else MISSING
        *outer_keys, last_key = path.keys
        holder = reduce(get_member, outer_keys, cast("Any", self))
        value = get_member(holder, last_key)
        return value if is_as_typed(holder, last_key, value, path.slots) else MISSING

    def final(self) -> T_co:
        """Return the finished, validated value: the same object each time.

        Raises:
            OutputIncomplete: The object is not complete.
            OutputInvalid: The object does not fit the type.
        """
        if self._state.outcome is not MISSING:
            value: T_co = self._state.outcome
            return value
        raise self._make_error()

    # -- as data -----------------------------------------------------------------

    def to_json(self, *, by_alias: bool | None = None) -> str:
        """Return the object so far as JSON; once it is complete and valid, the JSON of `final()`.

        Valid values are written by their types, invalid values as plain data. Fields that
        have not arrived are left out; if nothing has arrived, the JSON is null. Finished
        values are written once, and the text is used again for later snapshots.

        Args:
            by_alias: True to write fields under their aliases; None for each type's default,
                as in `model_dump_json`.

        Example:
            >>> from tokenstream import Stream
            >>> stream = Stream(['{"title": "Pan', 'cakes"}'], format="pieces")
            >>> [draft.to_json() for draft in stream.partials(dict[str, str])]
            ['{"title":"Pan"}', '{"title":"Pancakes"}']
        """
        state = self._state
        if state.outcome is MISSING:
            return dump_draft(self, state, by_alias)
        return state.document.write(state.outcome, by_alias)

    def to_python(self, *, by_alias: bool | None = None) -> Json:
        """Return the object so far as plain data: `to_json` as dicts, lists and so on.

        Later snapshots share the data of finished values: do not change it.

        Args:
            by_alias: True to use the aliases of fields; None for each type's default.

        Example:
            >>> from tokenstream import Stream
            >>> stream = Stream(['{"title": "Pan', 'cakes"}'], format="pieces")
            >>> [draft.to_python() for draft in stream.partials(dict[str, str])]
            [{'title': 'Pan'}, {'title': 'Pancakes'}]
        """
        if self._state.outcome is MISSING:
            return dump_data(self, by_alias)
        return json.loads(self.to_json(by_alias=by_alias))

    def _get_names_and_view(self) -> tuple[TypeNames, Any]:
        """Return the type's names, and the growing value for `dump` to write; None if nothing has arrived."""
        return self._type_names, None if self._get_growing() is MISSING else self._get_growing()

    def _make_error(self) -> OutputInvalid | OutputIncomplete:
        error, errors, text = self._state.error, self.errors, self._get_text()
        if isinstance(error, InvalidJSON):
            return InvalidJSON(error.message, text=text, offset=error.offset, errors=errors, best=self)
        if error is not None:
            # A limit was exceeded.
            refusal = OutputInvalid(error.message, text=text, errors=errors, best=self)
            refusal.__cause__ = error
            return refusal
        if not self.complete:
            return OutputIncomplete(
                f"the {self._type_names.title} is not complete: "
                f"its text ends after {len(text):,} characters; "
                "`best` has the values that had arrived",
                text=text,
                offset=len(text),
                errors=errors,
                best=self,
            )
        # `words` returns the words of the type, which error messages may contain.
        why = describe_invalid(self._type_names.title, errors, self._state.document.words())
        return OutputInvalid(why, text=text, errors=errors, best=self)

    def _get_text(self) -> str:
        """Return the text of the snapshot: the part of the document's text that had arrived."""
        state = self._state
        # A finished object that `get` returned has no place in the text.
        if state.outcome is not MISSING and not state.end:
            return self.to_json()
        return state.document.log.slice(state.start, state.end)

    # -- fields ------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - Python cannot map a type's fields
        value = self._find(name)
        if value is not MISSING or name in (self._type_names.field_names or ()):
            # A field, which may be MISSING if it has not arrived.
            return value
        if not name.startswith("_") and list_names(self._state.outcome) is not None:
            # A method or a property of the finished object.
            value = getattr(self._state.outcome, name, MISSING)
        if value is not MISSING:
            return value
        raise AttributeError(explain_missing(name, self._type_names), name=name, obj=self)

    def __getitem__(self, key: str | int | slice) -> Any:  # noqa: ANN401 - as above
        if self._members is None and not isinstance(key, str):
            # The value is not an object: the key is an index or a slice.
            elements: Any = self._get_elements()
            return elements[key]
        value = self._find(key) if isinstance(key, str) else MISSING
        # A field of the type that has not arrived is MISSING; any other name is an error.
        if value is MISSING and key not in (self._type_names.field_names or ()):
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
        # True even if nothing has arrived: `if error.best` only asks if there is a snapshot.
        return True

    def _get_items(self) -> Collection[Any]:
        """Return the names of the fields that have arrived; the elements of a value without fields."""
        return self._get_elements() if self._members is None else self._members

    def _get_elements(self) -> Collection[Any]:
        """Return the elements of a list, tuple, set or similar value; nothing for any other value."""
        value = unwrap_root(resolve(self._whole))
        return value if is_collection(value) else GrowingArray([])

    def _find(self, name: str) -> object:
        if self._members is None:
            return MISSING
        # Once the object is validated, its own fields count, because validators may have changed them.
        outcome = self._state.outcome
        validated = MISSING if outcome is MISSING else get_member(outcome, name)
        if validated is MISSING:
            return self._members.find(name)
        # A name that the type does not define must also have arrived.
        is_field = name in (self._type_names.field_names or ())
        return validated if is_field or self._members.find(name) is not MISSING else MISSING

    def _get_at(self, key: KeyOrIndex) -> object:
        """Return what has arrived of the value at a key or index; MISSING if nothing has."""
        return get_member(resolve(self._whole), key) if self._members is None else self._find(str(key))

    def _get_final_or_growing(self) -> object:
        """Return the complete, validated value; before that, what has arrived."""
        return self._get_growing() if self._state.outcome is MISSING else self._state.outcome

    def _get_growing(self) -> object:
        """Return what has arrived: the fields of an object with fields, else the value."""
        return self._whole if self._members is None else self._members

    # -- a value -------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Partial):
            # The finished object is equal to what it is a draft of.
            return NotImplemented if self._state.outcome is MISSING else bool(self._state.outcome == other)
        return self._make_key() == other._make_key()

    def _make_key(self) -> tuple[Any, ...]:
        fields = None if self._members is None else [(name, self._find(name)) for name in self._members]
        return self._type_names.title, self.complete, fields, resolve(self._whole), self.errors

    def __repr__(self) -> str:
        return make_repr(self)

    def _make_repr(self, deepest: int) -> str:
        if self._members is None:
            # A value without fields, such as an array or a text; MISSING if nothing has arrived.
            parts = [] if self._whole is MISSING else [make_repr(resolve(self._whole), deepest - 1)]
        elif deepest <= 0:
            parts = []
        else:
            parts = [f"{name}={make_repr(self._find(name), deepest - 1)}" for name in self._members]
        if not self.complete or deepest <= 0:
            parts.append("…")
        return f"Partial[{self._type_names.title}]({', '.join(parts)})"

    def __rich_repr__(self) -> Iterator[tuple[str | None, Any]]:
        if self._members is None:
            # Without a name, rich shows the value like a positional argument.
            yield None, resolve(self._whole)
            return
        for name in self._members:
            yield name, self._find(name)

    def __copy__(self) -> Partial[T_co]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Partial[T_co]:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the text and the values so far, without the parser's state, which all snapshots share."""
        state = self._state
        document = state.document
        options = document.lenient, document.choice, document.may_be_array, document.words(), self.repairs
        pickled_state = (self._get_text(), options, state.complete, self.errors, state.error, state.outcome)
        return _rebuild, (self._type_names, self._members, resolve(self._whole), pickled_state)


def _rebuild(
    type_names: TypeNames, fields: GrowingObject | None, whole: object, pickled_state: tuple[Any, ...]
) -> Partial[Any]:
    """Return a snapshot that was pickled, from the values that `Partial.__reduce__` returned."""
    text, (lenient, choice, may_be_array, words, repairs), complete, errors, error, outcome = pickled_state
    log = TextLog()
    log.append(text)
    # All errors in one link: their locations are complete already.
    faults = FaultLink(before=None, location=(), errors=errors) if errors else None
    document = DocumentText(
        log,
        lenient=lenient,
        choice=choice,
        may_be_array=may_be_array,
        words=lambda: words,
        repairs=lambda: repairs,
    )
    # The text begins with the object, and there are no older errors to leave out.
    state = SnapshotState(
        document,
        start=0,
        end=len(text),
        complete=complete,
        faults=faults,
        faults_before=None,
        error=error,
        outcome=outcome,
        repair_count=len(repairs),
    )
    return Partial(type_names, fields, whole, state)
