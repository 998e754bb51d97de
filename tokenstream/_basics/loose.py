"""Names for values whose type is known only after a look at them; for type checkers, each is `Any`."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any
"""A JSON value that nobody has checked: an object, an array, a text, a number, a boolean or null."""
AnyEvent: TypeAlias = Any
"""An event whose fields are read because of its class, or because of its `kind`."""
FromHTTPX: TypeAlias = Any
"""An object of httpx or of httpx2: their classes are different, their attributes the same."""
