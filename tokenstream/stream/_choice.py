"""A choice of a stream, but for its views: which answer it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from tokenstream.stream._uncopied import Uncopied

if TYPE_CHECKING:
    from tokenstream.message import Message
    from tokenstream.stream._aspects import Cursors
    from tokenstream.stream._driver import Driver

__all__ = ["ChoiceBase"]

DriverT = TypeVar("DriverT", bound="Driver")


class ChoiceBase(Uncopied, Generic[DriverT]):
    """One alternative answer of a stream; its views are those of the colour that reads."""

    __slots__ = ("_driver", "_index")

    _driver: DriverT
    _index: int

    @property
    def message(self) -> Message:
        """The choice so far: a value that never changes."""
        accumulator = self._driver.accumulator
        return accumulator.message_of(self._index or accumulator.main)

    @property
    def _cursors(self) -> Cursors:
        cursors: Cursors = self._driver.cursors(self._index)
        return cursors

    def _in_message(self, field: str) -> str:
        """Return where the value is that a view gives piece by piece."""
        stream = "stream" if self._index == 0 else f"stream.choice({self._index})"
        return f"{stream}.message.{field}"

    @property
    def _in_result(self) -> str:
        return "stream.result(…)" if self._index == 0 else f"stream.choice({self._index}).result(…)"
