"""The names of the formats, their classes, and the detection of a payload's format."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenstream._apis import all_apis, api_named
from tokenstream.errors import MisuseError
from tokenstream.formats._detect import third_parties as _third_parties

if TYPE_CHECKING:
    from tokenstream.formats._base import Format
    from tokenstream.limits import Limits

# Detection asks the formats in this order, and loads each one just before asking it, so the most common
# formats are first. No two formats claim the same payload.
_READERS: dict[str, str] = {api.name: api.reader for api in all_apis() if api.reader is not None}


def names() -> list[str]:
    """Return the names of this library's formats.

    Example:
        >>> "openai-chat" in names()
        True
    """
    return list(_READERS)


@cache
def load(name: str) -> type[Format]:
    """Return a format's class: one of this library, or one installed by another distribution.

    Raises:
        MisuseError: No format has this name, or an installed one is broken.
    """
    api = api_named(name)
    # A dialect is read by the format of another name.
    home = None if api is None or not api.takes_name else _READERS.get(api.dialect_of or name)
    if home is None:
        installed = _third_parties.load(name)
        if installed is not None:
            return installed
        msg = f"there is no format {name!r}; the formats are {', '.join([*names(), *_third_parties.names()])}"
        raise MisuseError(msg)
    module, _, class_name = home.rpartition(".")
    loaded: type[Format] = getattr(import_module(module), class_name)
    return loaded


def create(format: str | type[Format] | Format, *, limits: Limits, pings: bool) -> Format:
    """Return a new format for one connection.

    Args:
        format: A name, a class, or a format object to take the options from.
        pings: True to return heartbeats as events.
    """
    if isinstance(format, str):
        return load(format)(limits=limits, pings=pings)
    if isinstance(format, type):
        # A class without this method is not a format; it gets the error below.
        if hasattr(format, "recognises"):
            return format(limits=limits, pings=pings)
    # A format object stands for its options, such as the mapping of `custom(…)`; it is never used itself.
    elif callable(getattr(format, "fresh", None)):
        return format.fresh(limits=limits, pings=pings)
    raise MisuseError(f"format={format!r} is not a format; the formats are {', '.join(names())}")


def load_for(address: str) -> None:
    """Import the formats that detection asks first, up to the format that an address suggests.

    Called before the answer arrives, so that its first payload need not wait for these imports. If the
    address suggests no format, only the first of all formats is imported.
    """
    from tokenstream.formats._detect.places import format_of_path

    likely = format_of_path(address.partition("?")[0]) or next(iter(_READERS))
    for name in _READERS:
        load(name)
        if name == likely:
            # Detection will not ask the formats after this one.
            return


def detect(payload: dict[str, Any], event: str) -> tuple[str | None, bool]:
    """Return the name of a payload's format, and True if a later payload may decide.

    The name is None if no format recognises the payload for certain.

    Args:
        event: The SSE event's name, "" if it has none.
    """
    wait = False
    for name in _READERS:
        answer = load(name).recognises(payload, event)
        if answer:
            return name, False
        wait = wait or answer is None
    # Searching for installed formats takes time, so it is done only if no format of this library fits.
    return (None, True) if wait else _third_parties.detect(payload, event)


def possible_formats(payload: dict[str, Any], event: str) -> set[str]:
    """Return the names of the formats that a payload may belong to, but not for certain.

    Args:
        event: The SSE event's name, "" if it has none.
    """
    return {name for name in _READERS if load(name).recognises(payload, event) is None}
