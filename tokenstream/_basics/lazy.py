"""Lazy loading of a package's public names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MADE = "Broadcast BroadcastReader Merge Tap AsyncBroadcast AsyncBroadcastReader AsyncMerge AsyncTap"
_CLIENTS = "Anthropic AsyncAnthropic AsyncOpenAI ChatAnthropic ChatOpenAI Client OpenAI completion"
_ERRORS = "APIConnectionError APIError APIStatusError APITimeoutError RateLimitError StreamTimeout"
_ELSEWHERE = {
    **dict.fromkeys(["LabelledEvent", *_MADE.split()], "a type checker infers what the function returns"),
    **dict.fromkeys(_ERRORS.split(), "catch StreamError, whose `kind` and `retryable` say more"),
    **dict.fromkeys(_CLIENTS.split(), "connect(url, json=payload, headers=…) sends the request"),
    "StreamClosed": 'it is a MisuseError whose kind is "closed"',
    "StreamConsumed": 'it is a MisuseError whose kind is "consumed"',
}
"""Names that one may expect, each with the way to what it would stand for."""
_ROOMS: list[str] = []
"""The names of the public packages and modules of this one."""
_OF_PROGRAMS = ("IMPORT_FROM", "LOAD_ATTR", "LOAD_METHOD")
"""Instructions by which a program asks for a name that it has written."""
_LOADERS: dict[str, Callable[[str], Any]] = {}
"""The `__getattr__` of each package, and of each module that names where others are."""


def make_lazy_loader(
    package: dict[str, Any], homes: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return a package's `__getattr__`, which loads each name when it is first used, and its `__dir__`.

    A home is the submodule that defines a name; one that begins with a dot is relative to the package above.
    A package without an `__all__` gets one, so that each name is listed once. `dir()` has these, and names
    such as `__doc__`; helpers that the package imports, and its private modules, are left out.
    """
    name = package["__name__"]
    rooms = [room for room, home in homes.items() if room == home and name == "tokenstream"]

    def load(attribute: str) -> object:
        """Import the submodule that defines a name, and return the value of the name."""
        home = homes.get(attribute)
        if home is None:
            # Each import from a module asks for its `__path__`.
            instruction = "" if attribute.startswith("__") else asking_instruction()
            # For `hasattr` and other calls, nothing is imported.
            is_named = instruction in _OF_PROGRAMS
            way = _ELSEWHERE.get(attribute) or (_find_room(attribute) if is_named else "")
            msg = (
                f"{name} has no {attribute}: {way}"
                if way
                else f"module {name!r} has no attribute {attribute!r}"
            )
            raise (ImportError if way and instruction == "IMPORT_FROM" else AttributeError)(msg)
        module = import_module(f".{home}", name)
        value: object = module if home == attribute else getattr(module, attribute)
        # As a global, it is found without this function from now on.
        package[attribute] = value
        return value

    def list_names() -> list[str]:
        """Return the names for `dir()`: the public names, the lazy ones, and names such as `__doc__`."""
        special = (key for key in package if key.startswith("__") and key.endswith("__"))
        return sorted({*package["__all__"], *homes, *special})

    _LOADERS[name] = load
    _ROOMS.extend(rooms)
    package.setdefault("__all__", sorted(each for each in homes.keys() - {*rooms} if each[0] != "_"))
    return load, list_names


def asking_instruction() -> str:
    """Return the instruction that asks the caller, a `__getattr__`, for an attribute that is not there.

    `from package import name` and `{**value}` ask as `hasattr` does, which has to stay False, and Python
    replaces the AttributeError that tells it so. Any other error is the one that is seen.
    """
    from inspect import currentframe
    from opcode import opname

    # A frame that is kept in itself would keep all that its callers have.
    asking = cast("Any", currentframe()).f_back.f_back
    place: int = asking.f_code.co_code[asking.f_lasti]
    return opname[place]


def _find_room(attribute: str) -> str:
    """Return the way to the package that has a public name; "" if none has."""
    rooms = (f"tokenstream.{room}" for room in ("relay.journal", *_ROOMS[::-1]))
    room = next((room for room in rooms if attribute in import_module(room).__all__), None)
    return f"write from {room} import {attribute}" if room else ""


def load_public(name: str) -> Any:  # noqa: ANN401 - any public name
    """Return a public name of the whole package, for modules below the one that defines it."""
    return _LOADERS["tokenstream"](name)
