"""The type `Response` for annotations, which FastAPI inspects.

Once Starlette is imported, the type is a subclass of Starlette's own `Response`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING or "starlette.responses" not in sys.modules:
    from tokenstream.relay._asgi.response import Response
else:
    from tokenstream.relay._asgi.starlette import StarletteResponse as Response

__all__ = ["Response"]
