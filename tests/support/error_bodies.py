"""Bodies of errors: requests that are too long, accounts without credit, and what only looks like them.

Each was seen in the documentation of a server, in its source or in a report about it. They are in
error_bodies.json: a format is "openai-chat" if none is named, and "" if any server may send the body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tokenstream.errors import ErrorKind
from tokenstream.framing import EventStreamMessage


class Body(NamedTuple):
    """An error as a server sends it: alone, with a status, and in the middle of an answer."""

    status: int
    payload: Any
    kind: ErrorKind
    format: str = "openai-chat"
    headers: Mapping[str, str] = {}

    @property
    def frame(self) -> Any:
        """The same error as an event of the answer's stream."""
        name = self.headers.get("x-amzn-errortype", "")
        if not name:
            return self.payload
        return EventStreamMessage(
            json.dumps(self.payload).encode(), name[:1].lower() + name[1:], "exception", {}
        )


_TABLES = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
TOO_LONG, NO_CREDIT, OTHERS = (
    {name: Body(**row) for name, row in _TABLES[table].items()}
    for table in ("TOO_LONG", "NO_CREDIT", "OTHERS")
)
