"""Drafts of what is finished: documents that arrive in one piece, and objects that `Partial.get` returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from tokenstream._basics.interrupts import is_of_signal
from tokenstream._basics.text_log import TextLog
from tokenstream._basics.untrusted import is_mapping
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._shapes.shape import FieldValues, Slot, Slots, TypeNames
from tokenstream.partial_json._shapes.write import write_plain_json
from tokenstream.partial_json._strict.numbers import is_nested_at_most, may_be_too_long
from tokenstream.partial_json._typed.defaults import FilledObject
from tokenstream.partial_json._typed.dump import get_names_and_view
from tokenstream.partial_json._typed.paths import find_slots_at, get_member, is_array, list_names, unwrap_root
from tokenstream.partial_json._typed.state import DocumentText, SnapshotState, get_state
from tokenstream.partial_json._typed.views import FieldLog, GrowingArray, make_repr

if TYPE_CHECKING:
    from tokenstream.partial_json._events import KeyOrIndex
    from tokenstream.partial_json._typed.partial import Partial

_SPACE = " \t\n\r"
_CLOSERS = {"{": "}", "[": "]"}
_PARTS = frozenset(("log", "length", "_distinct", "name", "growing", "fillers"))
"""Attributes of a `FilledObject`, which a `LateObject` sets when one of them is first used."""


def find_closer(text: str) -> str:
    """Return the closing bracket of a text that begins and ends with a pair of brackets; otherwise ""."""
    closer = _CLOSERS.get(text.lstrip(_SPACE)[:1], "")
    return closer if closer and text.rstrip(_SPACE)[-1:] == closer else ""


def may_have_nan(text: str) -> bool:
    """Return True if a text may contain NaN or Infinity, which pydantic accepts and JSON does not."""
    # The search for a single character takes a tenth of the time.
    return ("N" in text and "NaN" in text) or ("I" in text and "Infinity" in text)


def read_at_once(slot: Slot, text: str, *, max_depth: int) -> object:
    """Return the value of a whole text; MISSING if the text must be read value by value."""
    # Pydantic accepts NaN, and numbers that are too long; the parser does not.
    if may_have_nan(text) or may_be_too_long(text):
        return MISSING
    try:
        value = slot.read(text)
    except Exception as error:
        if is_of_signal(error):
            raise
        # Validators may raise anything; the second reading raises it.
        return MISSING
    return value if is_nested_at_most(text, max_depth) else MISSING


def pick_fields(names: Iterable[str], value: object) -> FieldValues:
    return {name: found for name in names if (found := get_member(value, name)) is not MISSING}


class LateObject(FilledObject):
    """The view of an object that was validated at once; its fields are read when they are first used.

    For that, the text is read a second time. The values shown are nevertheless the values of
    `outcome`, so that the second reading is not visible.

    Args:
        read_fields: Reads the text field by field, and returns its last snapshot.
        names: The names of the fields of the type.
        outcome: The finished object.
    """

    __slots__ = ("_made", "_names", "_outcome", "_read_fields")

    def __init__(
        self, read_fields: Callable[[], Partial[Any]], names: Iterable[str], outcome: object
    ) -> None:
        self._read_fields = read_fields
        self._names = names
        self._outcome = outcome
        self._made: dict[None, FilledObject] = {}
        """The view from the second reading, under the key None: `setdefault` is safe between threads."""

    def __getattr__(self, name: str) -> object:
        """Read the fields when an attribute of `FilledObject` is first used; until then, all are unset."""
        if name not in _PARTS:
            raise AttributeError(name, name=name, obj=self)
        if None not in self._made:
            # Another thread may have read the fields meanwhile: both use the result that `setdefault` kept.
            self._made.setdefault(None, self._make_view())
        made = self._made[None]
        for part in _PARTS:
            setattr(self, part, getattr(made, part))
        return getattr(made, name)

    def _make_view(self) -> FilledObject:
        """Read the text again, field by field; return a view of the fields, with the values of `outcome`."""
        partial = self._read_fields()
        _, view = get_names_and_view(partial)
        second_outcome = get_state(partial).outcome
        values = view.log.values
        for position, name in enumerate(view.log.names):
            # Show the object in `outcome`, not its copy; a field that a validator of the whole has changed
            # is shown as it was read.
            if values[position] is get_member(second_outcome, name):
                values[position] = get_member(self._outcome, name)
        # Fields that are not in the text are shown with the values that the finished object has.
        fillers = pick_fields(self._names, self._outcome)
        return FilledObject(view.log, name="", growing=MISSING, fillers=fillers)


class DraftArray(GrowingArray):
    """An array in which each object is a draft, open or finished.

    Args:
        values: The array.
        show: Returns a value in it, of a key, as a draft.
    """

    __slots__ = ("_show",)

    def __init__(self, values: Any, show: Callable[[object, Any], Any]) -> None:  # noqa: ANN401 - any array
        super().__init__(values)
        self._show = show

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - any value
        found = super().__getitem__(index)
        return found if isinstance(index, slice) else self._show(found, index)

    def __iter__(self) -> Iterator[Any]:
        return map(self.__getitem__, range(len(self)))


class DraftMapping(Mapping[Any, Any]):
    """A mapping in which each object is a draft, open or finished; `DraftArray` has the arguments."""

    __slots__ = ("_show", "_values")

    def __init__(self, values: Mapping[Any, Any], show: Callable[[object, Any], Any]) -> None:
        self._values = values
        self._show = show

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 - any value
        return self._show(self._values[key], key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return make_repr(self._values)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (list(self.items()),)


def as_draft(value: Any, slots: Slots | None, make: type[Partial[Any]]) -> Any:  # noqa: ANN401 - any value
    """Return a value of a draft in which every object has `get`: a finished one is a complete draft.

    Args:
        slots: The slots of the types that the value may have; None if they are unknown.
        make: `Partial`, which cannot be imported here.
    """
    slot = slots[0] if slots is not None and len(slots) == 1 else None

    def show(member: object, key: KeyOrIndex) -> object:
        return as_draft(member, find_slots_at(slot, (key,)), make)

    value = cast("Any", unwrap_root(value))
    kind: Any = value.__class__
    type_names = None if slot is None else slot.type_names
    # A finished TypedDict is a dict whose type has fields.
    names = [*value] if type_names is not None and kind is dict else list_names(value)
    if names is not None:
        write = write_plain_json if slot is None else slot.write
        # It has no place in the text of the document, but is written from its fields.
        document = DocumentText(TextLog(), lenient=False, words=frozenset, write=write)
        fields = FilledObject(FieldLog(), "", MISSING, pick_fields(names, value))
        known = type_names or TypeNames(kind.__name__, dict.fromkeys(names))
        state = SnapshotState(
            document, 0, 0, complete=True, faults=None, faults_before=None, error=None, outcome=value
        )
        return make(known, fields, MISSING, state)
    inner = find_slots_at(slot, (0,)) or slots or ()
    if kind in {dict, list} and inner and all(each.is_leaf() or each.is_plain for each in inner):
        # Finished, and without objects in it.
        return value
    if is_mapping(value):
        return DraftMapping(value, show)
    return DraftArray(value, show) if is_array(value) and not hasattr(value, "_fields") else value
