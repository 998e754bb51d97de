"""Encoders, which turn events into the bytes of a format; most formats that can be read have one."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from tokenstream._apis import ProtocolName, all_apis, api_named
from tokenstream.errors import MisuseError
from tokenstream.relay._encoders.encoder import Encoder

if TYPE_CHECKING:
    from tokenstream.turns._drop import Drop

__all__ = ["Encoder", "ProtocolName", "create", "load", "names", "protocols"]


def names() -> tuple[ProtocolName, ...]:
    """Return the names of the formats that can be written, and read under the same name.

    Example:
        >>> "anthropic" in names(), "mistral" in names()
        (True, False)
    """
    both = [api.name for api in all_apis() if api.writer is not None and api.reader is not None]
    return cast("tuple[ProtocolName, ...]", tuple(both))


def protocols() -> tuple[ProtocolName, ...]:
    """Return the names of all protocols: of all formats and dialects that can be written.

    Example:
        >>> "anthropic" in protocols(), "mistral" in protocols()
        (True, True)
    """
    written = [api.name for api in all_apis() if api.writer is not None]
    return cast("tuple[ProtocolName, ...]", tuple(written))


@cache
def load(format: str) -> type[Encoder]:
    """Return a format's encoder class."""
    api = api_named(format)
    if api is None or api.writer is None:
        raise MisuseError(f"the format {format!r} cannot be written: take one of {', '.join(protocols())}")
    module, _, name = api.writer.rpartition(".")
    encoder_class: type[Encoder] = getattr(import_module(module), name)
    return encoder_class


def create(format: str, *, drop: Drop = ()) -> Encoder:
    r"""Return an encoder for one answer.

    Example:
        >>> from tokenstream.events import TextDelta
        >>> create("text").feed(TextDelta("Hello"))
        [b'data: Hello\n\n']
    """
    return load(format)(drop=drop)
