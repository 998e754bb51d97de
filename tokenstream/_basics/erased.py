"""A `Generic` for type checkers only, for base classes whose subclasses are not generic for users.

At run time there is nothing generic: `help` then does not show the methods of `typing.Generic`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Generic as ErasedGeneric
else:

    class _Erased:
        """Replaces `Generic` at run time, to keep the methods of `Generic` out of `help`.

        As a base class, `ErasedGeneric[T]` then is `object`.
        """

        def __getitem__(self, parameters: object) -> type:
            """Return `object` as the base class, whatever the type parameters are."""
            return object

    ErasedGeneric = _Erased()

__all__ = ["ErasedGeneric"]
