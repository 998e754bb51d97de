"""Support for argparse: the name under which the program was called, its version, and numbers."""

from __future__ import annotations

import argparse
import math
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenstream._basics.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODULE = "python -m tokenstream"
OPTIONAL = ("aiohttp", "uvloop", "rich", "opentelemetry-api", "redis", "regex", "griffelib", "PyYAML")
"""Distributions that the extras for users install, in the order in which they are listed."""
_SCRIPT_ENDINGS = re.compile(r"(-script\.pyw?|\.exe)$")


def find_name(arguments: Sequence[str] | None) -> str:
    """Return the name under which the program was called: a script's name, or `python -m tokenstream`.

    `python -m tokenstream` is also the result if a program has called `main`.
    """
    called = Path(sys.argv[0]).name if sys.argv else ""
    if arguments is not None or called in {"", "-c", "-m", "__main__.py"}:
        return _MODULE
    return _SCRIPT_ENDINGS.sub("", called)


def describe_version() -> str:
    """Return a line with the versions of the package, of Python, and of optional packages if installed."""
    found = [f"{name} {version}" for name in OPTIONAL if (version := _find_version(name))]
    return f"tokenstream {__version__}, Python {platform.python_version()}, {', '.join(found) or 'no extras'}"


def _find_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


class PrintVersion(argparse.Action):
    """Prints the versions and exits, for the option --version.

    argparse's own action takes a finished text, but looking up the versions takes a moment.
    """

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:  # noqa: ANN401 - argparse's
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print the line with the versions on standard output, and exit."""
        print(describe_version())
        parser.exit()


def parse_number(argument: str, expected: str, *, zero: bool = False) -> float:
    """Return a number from the command line."""
    try:
        number = float(argument)
    except ValueError:
        # NaN is refused below, as it is neither more nor less than any number.
        number = math.nan
    is_allowed_zero = zero and number == 0
    if not (0 < number < math.inf or is_allowed_zero):
        msg = f"{argument!r} is not {expected}"
        raise argparse.ArgumentTypeError(msg)
    return number
