"""The type `Response` for annotations, which FastAPI inspects.

Where Starlette is installed, the type is a subclass of Starlette's own `Response`, whichever of the two
packages a program has imported first.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING or find_spec("starlette") is None:
    from tokenstream.relay._asgi.response import Response
else:
    from tokenstream.relay._asgi.starlette import StarletteResponse as Response

__all__ = ["Response"]
