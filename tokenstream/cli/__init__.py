"""The command line, `python -m tokenstream …`."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenstream._basics.version import __version__
from tokenstream.cli import _demo as demo
from tokenstream.cli import _doctor as doctor
from tokenstream.cli import _inspect as inspect
from tokenstream.cli import _serve as serve
from tokenstream.cli._advice import FAILED, MISUSE, CommandFailed, describe_error
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__: list[str] = []

# Exit statuses that a shell reports for a program ended by these signals.
_INTERRUPTED = 128 + 2
_BROKEN_PIPE = 128 + 13

_MODULE = "python -m tokenstream"
_OPTIONAL = (
    "aiohttp",
    "uvloop",
    "rich",
    "opentelemetry-api",
    "genai-prices",
    "redis",
    "regex",
    "griffelib",
    "PyYAML",
)
"""Distributions that the extras for users install, in the order in which they are listed."""
_SCRIPT_ENDINGS = re.compile(r"(-script\.pyw?|\.exe)$")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: The arguments after the program's name; None for the arguments of this process.
    """
    program = _find_name(arguments)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        # Print a question mark for a character that the terminal's encoding lacks.
        reconfigure(errors="replace")
    try:
        return _run(program, arguments)
    except KeyboardInterrupt:
        _print_problem("\ninterrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of the output, such as `head`, has enough, so no error is printed.
        _discard_output()
        return _BROKEN_PIPE
    except CommandFailed as failure:
        _print_problem(f"{program}: error: {failure}")
        return failure.status
    except MisuseError as error:
        _print_problem(f"{program}: error: {describe_error(error)}")
        return MISUSE
    except OSError as error:
        # Commands report the errors of the files that they read: this error is about the output.
        _discard_output()
        _print_problem(f"{program}: error: the output cannot be written: {error.strerror or error}")
        return FAILED


def _run(program: str, arguments: Sequence[str] | None) -> int:
    """Parse the arguments and run the command; return the exit status."""
    try:
        parser = _build_parser(program)
        options = parser.parse_args(arguments)
        # No command was named.
        if options.run is None:
            parser.print_help(sys.stderr)
            return MISUSE
        status: int = options.run(options)
        return status
    finally:
        # Flush here, because an error while Python exits could not be reported.
        if sys.stdout is not None:
            sys.stdout.flush()


def _print_problem(text: str) -> None:
    """Print a text on standard error, if that can be written."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr)


def _discard_output() -> None:
    """Let standard output lead nowhere, since it cannot be written any more."""
    # Otherwise Python would flush the rest at exit, and print another error.
    with contextlib.suppress(OSError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _build_parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program, description="Read the streamed answers of language models."
    )
    parser.set_defaults(program=program, run=None)
    parser.add_argument(
        "--version", action=_PrintVersion, help="print the versions of tokenstream and of what it uses"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    demo.add_to(commands)
    doctor.add_to(commands)
    inspect.add_to(commands)
    serve.add_to(commands)
    docs = commands.add_parser("docs", help="print the path of the ten main pages, for coding agents")
    docs.set_defaults(run=_print_docs)
    return parser


def _print_docs(_options: argparse.Namespace) -> int:
    print(Path(__file__).parents[1] / "llms-path.txt")
    return 0


def _find_name(arguments: Sequence[str] | None) -> str:
    """Return the name under which the program was called: a script's name, or `python -m tokenstream`.

    `python -m tokenstream` is also the result if a program has called `main`.
    """
    called = Path(sys.argv[0]).name if sys.argv else ""
    if arguments is not None or called in {"", "-c", "-m", "__main__.py"}:
        return _MODULE
    return _SCRIPT_ENDINGS.sub("", called)


def _find_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


class _PrintVersion(argparse.Action):
    """Prints the versions and exits, for the option --version.

    argparse's own action takes a finished text, but looking up the versions takes a moment.
    """

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:  # noqa: ANN401 - argparse's
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print the line with the versions on standard output, and exit."""
        found = [f"{name} {version}" for name in _OPTIONAL if (version := _find_version(name))]
        extras = ", ".join(found) or "no extras"
        print(f"tokenstream {__version__}, Python {platform.python_version()}, {extras}")
        parser.exit()
