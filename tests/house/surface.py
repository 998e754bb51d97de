"""Count what somebody has to learn: public names, exceptions and options; departures and protocols."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import get_args

import tokenstream
from tests.project import MODULES
from tokenstream import relay, stages
from tokenstream.departures import RULES
from tokenstream.formats import FormatName
from tokenstream.relay import ProtocolName
from tokenstream.testing import faults

_WITH_OPTIONS: tuple[Callable[..., object], ...] = (
    tokenstream.Retry,
    tokenstream.Stream,
    tokenstream.connect,
    tokenstream.Route,
    relay.respond,
    relay.websocket,
)
"""The functions and classes whose options are counted."""


def surface() -> dict[str, int]:
    """Return the counts, each under its name; those of options under the name of what has them."""
    members = {(name, id(getattr(each, name))) for each in (faults, stages) for name in _exported(each)}
    values = [value for name, value in public_values() if (name, id(value)) not in members]
    errors = [value for value in values if isinstance(value, type) and issubclass(value, Exception)]
    return {
        "public names": len(values),
        "exceptions": len(errors),
        **{each.__name__: len(options(each)) for each in _WITH_OPTIONS},
    }


def families() -> dict[str, int]:
    """Return the number of members of each family, which are no public names or options beside."""
    return {
        "departures": len(RULES),
        "protocols": len(get_args(ProtocolName)),
        "formats": len(get_args(FormatName)),
        "faults": len(_exported(faults)),
        "stages": len(_exported(stages)),
    }


def public_values() -> list[tuple[str, object]]:
    """Return what the public modules export, by name; a name that several of them export comes once."""
    found = dict[tuple[str, int], tuple[str, object]]()
    for name in MODULES:
        if not any(room.startswith("_") for room in name.split(".")):
            module = importlib.import_module(name)
            for each in _exported(module):
                value: object = getattr(module, each)
                found[each, id(value)] = each, value
    return [*found.values()]


def _exported(module: ModuleType) -> list[str]:
    names: list[str] = module.__all__
    return names


def options(function: Callable[..., object]) -> list[str]:
    """Return the names of a function's options, of which the source that a stream reads is none."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.kind not in variable and each.name != "source"]
