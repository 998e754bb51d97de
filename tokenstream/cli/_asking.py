"""The request that a command sends, built from the options of the command line."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.cli._advice import MISUSE, CommandFailed, reason_of
from tokenstream.testing._recordings.secrets import find_secret, without_secret_headers

if TYPE_CHECKING:
    from io import BufferedReader

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Matches a header's name, which is a token as defined in RFC 9110 §5.6.2."""


class RequestParts(NamedTuple):
    """The request that a command sends, without its address: method, headers and body."""

    method: str
    headers: list[tuple[bytes, bytes]]
    body: dict[str, Any]
    """The arguments with which httpx sends the body."""
    secrets: list[str]
    """Values of headers that must not be printed."""


def add_request(parser: argparse.ArgumentParser, about: str) -> None:
    """Add the options of a request to a command's parser."""
    request = parser.add_argument_group(about)
    request.add_argument("--method", metavar="NAME", help="by default GET, and POST with data")
    request.add_argument(
        "-H",
        "--header",
        action="append",
        default=[],
        type=_parse_header,
        metavar="'NAME: VALUE'",
        help="a header; may be given again",
    )
    request.add_argument(
        "--header-env",
        action="append",
        default=[],
        type=_parse_env_header,
        metavar="NAME=VARIABLE",
        help="a header whose value stands in the environment; for Authorization, Bearer is put before a key",
    )
    request.add_argument(
        "-d", "--data", metavar="JSON|@FILE", help="the body, or the file that has it; @- for standard input"
    )


def has_request_options(options: argparse.Namespace) -> bool:
    """Return True if the command line has any option of a request."""
    return bool(
        options.method is not None or options.header or options.header_env or options.data is not None
    )


def build_request(options: argparse.Namespace) -> RequestParts:
    """Return the request that the command line describes."""
    from_command_line: list[tuple[str, str]] = options.header
    from_environment = [read_env_header(header) for header in options.header_env]
    headers = [*from_command_line, *from_environment]
    body: dict[str, Any] = {}
    if options.data is not None:
        body["content"] = content = _read_data(options.data)
        if not any(name.lower() == "content-type" for name, _ in headers):
            # Without a type of its own, a body is JSON.
            headers.append(("Content-Type", "application/json"))
            _refuse_invalid_json(content)
    method = options.method or ("GET" if options.data is None else "POST")
    # Bytes that are not UTF-8 are sent unchanged, as curl does.
    encoded = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers]
    return RequestParts(method, encoded, body, list_secrets(options))


def list_secrets(options: argparse.Namespace) -> list[str]:
    """Return the values of headers on the command line that must not be printed."""
    from_environment = [read_env_header(header)[1] for header in options.header_env]
    return from_environment + [value for name, value in options.header if is_secret(name, value)]


def open_file(name: str, stack: ExitStack, *, hint: str = "") -> BufferedReader:
    """Open a file named on the command line."""
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        msg = f"{name} cannot be read: {reason_of(error)}{hint}"
        raise CommandFailed(msg) from None
    except ValueError as error:
        msg = f"{name!r} is not the name of a file: {error}"
        raise CommandFailed(msg) from None


def open_standard_input(stack: ExitStack) -> BufferedReader:
    """Return standard input as another file object, so that closing that object leaves `sys.stdin` open."""
    if sys.stdin is None:
        raise CommandFailed("there is no standard input")
    return stack.enter_context(os.fdopen(sys.stdin.fileno(), "rb", closefd=False))


def _parse_header(argument: str) -> tuple[str, str]:
    """Return the name and the value of a header on the command line."""
    name, colon, value = argument.partition(":")
    if not colon or not name.strip():
        # The argument may be an API key: it is quoted only if it is a single word of letters.
        quoted_argument = repr(argument) if argument.isalpha() else "this"
        msg = f"{quoted_argument} is not a header: write 'Name: value'"
        raise argparse.ArgumentTypeError(msg)
    return _check_name(name), value.strip()


def _parse_env_header(argument: str) -> tuple[str, str]:
    """Return the names of a header and of its environment variable, from an argument `NAME=VARIABLE`."""
    name, equals, variable = argument.partition("=")
    if not equals or not name.strip() or not variable.strip():
        # The argument may be the secret itself, so the message does not quote it.
        msg = "this is not a header with its variable: write NAME=VARIABLE"
        raise argparse.ArgumentTypeError(msg)
    return _check_name(name), variable.strip()


def _check_name(name: str) -> str:
    """Return a header's name without the spaces around it; raise if it has invalid characters."""
    if not _NAME.fullmatch(name.strip()):
        msg = f"{name.strip()!r} is not a header's name: use ASCII letters, digits and hyphens"
        raise argparse.ArgumentTypeError(msg)
    return name.strip()


def read_env_header(header: tuple[str, str]) -> tuple[str, str]:
    """Return a header's name and value, the value read from an environment variable."""
    name, variable = header
    value = os.environ.get(variable, "").strip()
    if not value:
        # The message does not quote the variable's name, which may be a key by mistake.
        msg = f"the environment has no value for the header {name}: name a variable that is set"
        raise CommandFailed(msg, status=MISUSE)
    has_scheme = any(character.isspace() for character in value)
    if name.lower() == "authorization" and not has_scheme:
        value = f"Bearer {value}"
    return name, value


def is_secret(name: str, value: str) -> bool:
    """Return True if a header's name, or its value, looks as if the value must stay secret."""
    line = f"{name}: {value}".encode("utf-8", "surrogateescape")
    # The first test is for the name, the second one for the value.
    return not without_secret_headers({name: value}) or find_secret(line) is not None


def _read_data(argument: str) -> bytes:
    """Return the body for an argument of --data: the argument itself, or the content of the file it names."""
    with ExitStack() as stack:
        if argument == "@-":
            return open_standard_input(stack).read()
        if argument.startswith("@"):
            return open_file(argument[1:], stack).read()
    return argument.encode("utf-8", "surrogateescape")


def _refuse_invalid_json(content: bytes) -> None:
    """Raise `CommandFailed` if the body of a request is not JSON."""
    try:
        json.loads(content)
    except (ValueError, RecursionError) as error:  # a body that is nested too deeply
        msg = f"the data is not JSON ({error}); if that is intended, name its type with -H 'Content-Type: …'"
        raise CommandFailed(msg, status=MISUSE) from None
