"""Encoders, which turn events into the bytes of a format; most formats that can be read have one."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import get_args

from tokenstream._providers.apis import ProtocolName, all_apis, api_named
from tokenstream.errors import MisuseError
from tokenstream.relay._encoders.encoder import Encoder

__all__ = ["Encoder", "ProtocolName", "create", "load", "names", "protocols"]


def names() -> tuple[str, ...]:
    """Return the names of the formats that can be written, and read under the same name."""
    return tuple(api.name for api in all_apis() if api.writer is not None and api.reader is not None)


def protocols() -> tuple[ProtocolName, ...]:
    return get_args(ProtocolName)


@cache
def load(format: str) -> type[Encoder]:
    api = api_named(format)
    if api is None or api.writer is None:
        written = [each.name for each in all_apis() if each.writer is not None]
        raise MisuseError(f"the format {format!r} cannot be written: take one of {', '.join(written)}")
    module, _, name = api.writer.rpartition(".")
    encoder_class: type[Encoder] = getattr(import_module(f"{__name__}.{module}"), name)
    return encoder_class


def create(format: str, *, lossy: bool = False) -> Encoder:
    """Return an encoder for one answer; a lossy one leaves out what the format cannot express."""
    return load(format)(lossy=lossy)
