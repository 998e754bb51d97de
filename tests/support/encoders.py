"""The encoders by the names of their formats, for tests: the one place that knows where they are made."""

from typing import Any

from tokenstream._providers.apis import api_named
from tokenstream.relay._encoders import Encoder, ProtocolName, create, load, names, protocols

__all__ = ["PROTOCOLS", "READ_BACK", "Encoder", "create", "load", "names", "protocols", "read_as"]


def read_as(name: str) -> Any:
    """Return the format that reads what a protocol sends; None if nothing reads it."""
    api = api_named(name)
    assert api is not None
    return api.name if api.reader is not None else api.dialect_of


PROTOCOLS: list[ProtocolName] = [*protocols()]
"""The protocols in which an answer can be sent."""
READ_BACK: list[ProtocolName] = [name for name in PROTOCOLS if read_as(name) is not None]
"""Those of them that a format reads."""
