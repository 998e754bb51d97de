"""Base class of objects that have a reading position, and so cannot be copied."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

from tokenstream._basics.elsewhere import UnsupportedUse


class UncopyableObject:
    """An object that cannot be copied, because both copies would read from one source."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """Raise an error: the object cannot be copied or pickled."""
        raise UnsupportedUse(
            f"{type(self).__name__} cannot be copied or pickled, because both would read one source: "
            "hand on the object itself, or stream.message, which is a value"
        )
