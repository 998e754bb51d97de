"""Objects that read on where they are, of which there can be no copy."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

from tokenstream._elsewhere import Refused

__all__ = ["Uncopied"]


class Uncopied:
    """Reads on where it is, so that a copy would take away what comes next."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise Refused(
            f"{type(self).__name__} cannot be copied or pickled, because both would read one source: "
            "hand on the object itself, or stream.message, which is a value"
        )
