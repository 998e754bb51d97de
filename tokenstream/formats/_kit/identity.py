"""Which item of an answer an event is about: one rule for the formats whose events name their items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from tokenstream._basics.untrusted import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenCall, OpenPart

Name: TypeAlias = "str | tuple[str, str] | None"
"""An id of an item or of its call, with a type where other types may have equal ids; None without one."""

# The place of an item, with its response where each of several has places of its own.
Index: TypeAlias = "int | str | tuple[str, int]"
# The likeness of a text that has arrived to one that it equals.
WHOLE = 2


class IdentifiedItem(Protocol):
    """An output item, a block or a call, which begins, grows and ends."""

    type: str


class OrderedItem(IdentifiedItem, Protocol):
    """An item that may be found by its order and its content."""

    ended: bool

    @property
    def call(self) -> OpenPart | None:
        """The open call that the item is; None for any other."""

    def likeness(self, whole: JsonObject) -> int:
        # The likeness of the item to a whole one: see `likeness_of`; -1 for another item.
        ...


ItemT = TypeVar("ItemT", bound=IdentifiedItem)


class Identity(Generic[ItemT]):
    """Finds the item that an event is about.

    | the event has | it is about |
    |---|---|
    | a name: the id of an item, or of its call | the only item with this name |
    | an index | the last item of the event's type that began at the index, else the last of any type |
    | an index that `is_shared`, in a piece of a call | the call whose turn it is |
    | neither | what the format finds in `items`, by order and content |

    A name that several items have names none. An index that several items have ends none of them: each ends
    at its own end, or with the answer.

    Example:
        >>> from types import SimpleNamespace
        >>> one, two = SimpleNamespace(type="call"), SimpleNamespace(type="call")
        >>> identity = Identity()
        >>> for item, id in ((one, "a"), (two, "b")):
        ...     identity.begin(item, 0)
        ...     identity.add_name(item, id)
        >>> identity.find_named(["a"]) is one, identity.find_at(0, "call") is two, identity.free_index()
        (True, True, 1)
    """

    __slots__ = ("_highest", "_latest", "_named", "_shared", "items")

    def __init__(self) -> None:
        self.items: list[ItemT] = []
        """All items, in the order in which they began."""
        self._named: dict[str | tuple[str, str], ItemT | None] = {}
        """The items by their names; None for a name that several have."""
        self._latest: dict[tuple[Index, str], ItemT] = {}
        """The item that began last at an index, of each type and of any ("")."""
        self._highest = -1
        self._shared: set[Index] = set()
        """The indexes at which several items of one type have begun."""

    def begin(self, item: ItemT, index: Index | None) -> None:
        """Add an item that begins at an index, which may be that of others; None if it has none."""
        self.items.append(item)
        if index is not None:
            self.place(item, index)

    def place(self, item: ItemT, index: Index) -> None:
        """Have an item be the last at an index, with which it begins, or which an event gives it later."""
        if self._latest.get((index, item.type), item) is not item:
            self._shared.add(index)
        self._latest[index, ""] = self._latest[index, item.type] = item
        if isinstance(index, int):
            self._highest = max(self._highest, index)

    def add_name(self, item: ItemT, name: Name, before: Name = None) -> None:
        """Give an item a name, in place of the one before, if any."""
        if before is not None and self._named.get(before) is item:
            del self._named[before]
        if name is not None:
            self._named[name] = item if self._named.get(name, item) is item else None

    def find_named(self, names: Iterable[Name]) -> ItemT | None:
        """Return the item with the first of the names that only one item has."""
        return next((item for name in names if name and (item := self._named.get(name)) is not None), None)

    def is_known(self, name: Name) -> bool:
        """Return True if one item has had the name, or several."""
        return name in self._named

    def is_shared(self, index: Index) -> bool:
        """Return True if several items of one type have begun at an index, so that it names none of them."""
        return index in self._shared

    def find_at(self, index: Index, item_type: str = "") -> ItemT | None:
        """Return the last item of a type that began at an index, or else the last of any type."""
        return self._latest.get((index, item_type)) or self._latest.get((index, ""))

    def free_index(self) -> int:
        """Return an index for an item that was sent without one."""
        return self._highest + 1

    def drop(self, items: Iterable[ItemT]) -> None:
        """Forget some of the items, because nothing more comes for them."""
        gone = {id(item) for item in items}
        self.items = [item for item in self.items if id(item) not in gone]
        self._named = {name: item for name, item in self._named.items() if id(item) not in gone}
        self._latest = {key: item for key, item in self._latest.items() if id(item) not in gone}
        self._shared &= {index for index, _ in self._latest}


def likeness_of(arrived: str, whole: str) -> int:
    """Return `WHOLE` for a text that has arrived whole, 1 for its beginning, otherwise 0."""
    return WHOLE if whole == arrived else int(whole.startswith(arrived))


def likeness_of_call(call: OpenCall, call_id: str | None, whole: JsonObject, arguments: str) -> int:
    """Return how like the arguments so far are to whole ones: see `likeness_of`; -1 for another call.

    Another id of the call, as a gateway may make up for each event, needs the very same arguments.
    """
    if text_of(whole, "name") not in {None, call.name}:
        return -1
    likeness = 0 if call.arguments.length > len(arguments) else likeness_of(call.arguments.join(), arguments)
    is_same = not call_id or text_of(whole, "call_id") in {None, call_id} or (arguments and likeness == WHOLE)
    return likeness if is_same else -1
