"""The registry of formats: names, classes, those of other distributions; and services that are gone."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from tokenstream._basics.interrupts import is_of_signal
from tokenstream._basics.untrusted import is_dict, text_of
from tokenstream._providers.apis import all_apis, api_named
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._base import Format
    from tokenstream.limits import Limits

    FormatChoice: TypeAlias = str | type[Format] | Format | None
    """A format as the caller names it; None if it is detected."""

# Detection asks the formats in this order, and loads each one just before asking it, so the most common
# formats are first. No two formats claim the same payload.
_READERS: dict[str, str] = {api.name: api.reader for api in all_apis() if api.reader is not None}
_GROUP = "tokenstream.formats"
"""The entry point group; the name of an entry point is the format's name, and its value the class."""


def names() -> list[str]:
    """Return the names of this library's formats."""
    return list(_READERS)


@cache
def load(name: str) -> type[Format]:
    """Return a format's class: one of this library, or one installed by another distribution."""
    api = api_named(name)
    # A dialect is read by the format of another name.
    home = None if api is None or not api.takes_name else _READERS.get(api.dialect_of or name)
    if home is None:
        installed = _load_installed(name)
        if installed is not None:
            return installed
        if name in GONE_SERVICES:
            gone = GONE_SERVICES[name]
            raise MisuseError(f"format={name!r} is {gone.title}: it is not read; {gone.advice}")
        msg = f"there is no format {name!r}; the formats are {', '.join([*names(), *installed_names()])}"
        raise MisuseError(msg)
    module, _, class_name = home.rpartition(".")
    loaded: type[Format] = getattr(import_module(f"tokenstream.formats._wire.{module}"), class_name)
    return loaded


def create(format: str | type[Format] | Format, *, limits: Limits) -> Format:
    """Return a new format for one connection; a given format object only tells the options."""
    if isinstance(format, str):
        return load(format)(limits=limits)
    if isinstance(format, type):
        # A class without this method is not a format; it gets the error below.
        if hasattr(format, "recognises"):
            return format(limits=limits)
    # A format object stands for its options, such as the mapping of `custom(…)`; it is never used itself.
    elif callable(getattr(format, "fresh", None)):
        return format.fresh(limits=limits)
    raise MisuseError(f"format={format!r} is not a format; the formats are {', '.join(names())}")


def load_for(address: str) -> None:
    """Import the formats that detection asks first, up to the format that an address suggests.

    Called before the answer arrives, so that its first payload need not wait for these imports. If the
    address suggests no format, only the first of all formats is imported.
    """
    likely = format_of_path(address.partition("?")[0]) or next(iter(_READERS))
    for name in _READERS:
        load(name)
        if name == likely:
            # Detection will not ask the formats after this one.
            return


def load_late() -> None:
    """Import the modules that formats load with the first call, reasoning or whole text of a process."""
    for name in (
        "_kit.repeated",
        "_kit.whole_text",
        "_wire.openai_chat.calls",
        "_wire.openai_chat.reasoning",
    ):
        import_module(f"tokenstream.formats.{name}")


def detect(payload: JsonObject, event: str) -> tuple[str | None, bool]:
    """Return the name of a payload's format, None if uncertain, and True if a later payload may decide."""
    wait = False
    for name in _READERS:
        answer = load(name).recognises(payload, event)
        if answer:
            return name, False
        wait = wait or answer is None
    # Searching for installed formats takes time, so it is done only if no format of this library fits.
    return (None, True) if wait else _detect_installed(payload, event)


def possible_formats(payload: JsonObject, event: str) -> set[str]:
    """Return the names of the formats that a payload may belong to, but not for certain."""
    return {name for name in _READERS if load(name).recognises(payload, event) is None}


@cache
def path_patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return pairs of a pattern for the end of a URL path and the format there; no path matches two patterns.

    Only who knows an address needs them: compiling takes a millisecond.
    """
    return [(re.compile(f"(?:{api.paths})/?$"), api.name) for api in all_apis() if api.paths is not None]


def format_of_path(path: str) -> str | None:
    for end, format in path_patterns():
        if end.search(path):
            return format
    return None


def format_of_request(url: str, format: FormatChoice) -> str | None:
    """Return the name of a request's format: the caller's or else that of its path; None if not known."""
    if format is None:
        from tokenstream._basics.url import split_url

        return format_of_path(split_url(url).path)
    name = format if isinstance(format, str) else format.name
    api = api_named(name)
    # A dialect has the requests of the format that reads it.
    return name if api is None or api.dialect_of is None else api.dialect_of


def installed_names() -> list[str]:
    """Return the names of the formats that other distributions install."""
    return list(_entry_points())


@cache
def _entry_points() -> dict[str, EntryPoint]:
    """Return the entry points of installed formats by name; of equal names, the first one counts."""
    # Searching the installed distributions takes milliseconds: it is done once, and only for an unknown name.
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=_GROUP):
        found.setdefault(point.name, point)
    return found


@cache
def _load_installed(name: str) -> type[Format] | None:
    point = _entry_points().get(name)
    if point is None:
        return None
    description = f"the format {name!r} of the distribution {point.dist.name if point.dist else '?'!r}"
    try:
        loaded: Any = point.load()
    except Exception as error:
        if is_of_signal(error):
            raise
        cause = type(error).__name__
        msg = f"{description} cannot be imported from {point.value!r}: {cause}; mend or remove it"
        raise MisuseError(msg) from error
    return _check_loaded(loaded, name, description)


def _check_loaded(loaded: object, name: str, description: str) -> type[Format]:
    from tokenstream.formats._base import Format

    if not (isinstance(loaded, type) and issubclass(loaded, Format)):
        raise MisuseError(f"{description} is not a subclass of tokenstream.formats.Format; mend or remove it")
    own_name = getattr(cast("object", loaded), "name", None)
    if own_name != name:
        raise MisuseError(
            f"{description} calls itself {own_name!r}: its entry point and its attribute `name` "
            "must say the same"
        )
    missing = sorted(loaded.__abstractmethods__)
    if missing:
        raise MisuseError(f"{description} lacks {', '.join(missing)}: a format has `recognises` and `read`")
    return cast("type[Format]", loaded)


def _detect_installed(payload: JsonObject, event: str) -> tuple[str | None, bool]:
    """Return the name of a payload's installed format or None, and True if a later payload may decide.

    A broken format counts as recognising no payload, so that streams of other formats still work.
    """
    wait = False
    for name in installed_names():
        try:
            format = _load_installed(name)
            answer = format.recognises(payload, event) if format is not None else False
        except Exception as error:
            if is_of_signal(error):
                raise
            # Other people's code may raise anything.
            answer = False
        if answer:
            return name, False
        # None means that the format cannot tell from this payload.
        wait = wait or answer is None
    return None, wait


class GoneService(NamedTuple):
    """A service that was switched off."""

    title: str
    """The words for one of its streams, and for the day on which it ended."""
    advice: str
    """The service to use in its place."""
    sends: Callable[[JsonObject, str], bool]
    """The function that recognises a payload of it, from the payload and the name of its event."""


def _is_of_assistants(payload: JsonObject, event: str) -> bool:
    # The SDK's objects hold the event's name beside the payload.
    inner = payload.get("data")
    if is_dict(inner) and not event:
        payload, event = inner, text_of(payload, "event") or ""
    names = [text_of(payload, "object") or ""]
    # Another API has events of these names, whose payloads have a type.
    if "type" not in payload:
        names.append(event)
    return any(name.startswith(("thread.run", "thread.message")) for name in names)


GONE_SERVICES = {
    "openai-assistants": GoneService(
        "a run of OpenAI's Assistants API, which was switched off on 2026-08-26",
        'use the Responses API, format="openai-responses"',
        _is_of_assistants,
    )
}
"""Maps the names that their formats had to the services."""
