"""A `Generic` for type checkers only, for base classes whose subclasses are not generic for users.

At run time there is nothing generic: `help` then does not show the methods of `typing.Generic`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Generic as ErasedGeneric
else:

    class _Erased:
        def __getitem__(self, parameters: object) -> type:
            return object

    ErasedGeneric = _Erased()

__all__ = ["ErasedGeneric"]
