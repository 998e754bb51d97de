"""A choice of a stream, without its views."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from tokenstream._basics.erased import ErasedGeneric
from tokenstream.stream._uncopyable import UncopyableObject

if TYPE_CHECKING:
    from tokenstream.message import Message
    from tokenstream.stream._protocols import AsyncDriver, Driver, SyncDriver
    from tokenstream.stream._views.aspects import Cursors

DriverT = TypeVar("DriverT", bound="Driver")


class ChoiceBase(UncopyableObject, ErasedGeneric[DriverT]):
    """One alternative answer of a stream; subclasses add its sync or async views."""

    __slots__ = ("_driver", "_index")

    if TYPE_CHECKING:
        _driver: DriverT
        _index: int

    @property
    def message(self) -> Message:
        """The choice so far, as an immutable snapshot."""
        accumulator = self._driver.accumulator
        # 0 stands for the first choice, which may have another index.
        message = accumulator.message_of(self._index or accumulator.main)
        self._driver.note_look()
        return message

    @property
    def _cursors(self) -> Cursors:
        """The maker of cursors in this choice, one for each view."""
        return self._driver.cursors(self._index)

    def _message_expression(self, field: str) -> str:
        """Return the code for a field of the message, such as "stream.message.text", for error messages."""
        stream = "stream" if self._index == 0 else f"stream.choice({self._index})"
        return f"{stream}.message.{field}"

    @property
    def _result_expression(self) -> str:
        """The code for the result of the choice, such as "stream.result(…)", for error messages."""
        return "stream.result(…)" if self._index == 0 else f"stream.choice({self._index}).result(…)"


if TYPE_CHECKING:
    SyncChoiceBase: TypeAlias = ChoiceBase[SyncDriver]
    AsyncChoiceBase: TypeAlias = ChoiceBase[AsyncDriver]
else:
    SyncChoiceBase = AsyncChoiceBase = ChoiceBase
