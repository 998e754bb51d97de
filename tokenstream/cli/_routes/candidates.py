"""The routes that the command line names, alone or in a file."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.request_facts import model_in
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream._basics.url import server_of
from tokenstream._connection.head import ResponseHead
from tokenstream._decoder import Decoder
from tokenstream.cli._advice import MISUSE, CommandFailed
from tokenstream.cli._asking import is_secret, open_file, read_env_header
from tokenstream.formats._registry import format_of_request
from tokenstream.recovery import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_QUESTION = "Answer with one word: hello."
_TURNS = [{"role": "user", "content": _QUESTION}]
_GOOGLE_TURNS = [{"role": "user", "parts": [{"text": _QUESTION}]}]
_VERSION = ("anthropic-version", "2026-10-21")
"""The header that the API of Anthropic requires."""

_PAYLOADS: dict[str, Callable[[str], dict[str, Any]]] = {
    "openai-chat": lambda model: {"model": model, "messages": _TURNS, "stream": True},
    "openai-responses": lambda model: {"model": model, "input": _QUESTION, "stream": True},
    "openai-completions": lambda model: {"model": model, "prompt": _QUESTION, "stream": True},
    # Anthropic requires a limit.
    "anthropic": lambda model: {"model": model, "messages": _TURNS, "max_tokens": 1024, "stream": True},
    "ollama": lambda model: {"model": model, "messages": _TURNS, "stream": True},
    "cohere": lambda model: {"model": model, "messages": _TURNS, "stream": True},
}
"""Maps each format to the function that makes the payload for a model."""
_PAYLOADS_WITHOUT_MODEL: dict[str, dict[str, Any]] = {
    "gemini": {"contents": _GOOGLE_TURNS},
    "bedrock-converse": {"messages": [{"role": "user", "content": [{"text": _QUESTION}]}]},
    "tgi": {"inputs": _QUESTION},
}
"""Maps each format whose URLs name the model to the payload, which therefore names none."""


class _Key(NamedTuple):
    """The header that takes the key of a provider's API, and the environment variable that holds the key."""

    header: str
    variable: str
    """The environment variable, by the name that the provider's own SDK reads."""
    scheme: str = ""
    """The word before the key in the header, with its space."""


_KEYS = {
    "api.openai.com": _Key("Authorization", "OPENAI_API_KEY", "Bearer "),
    "api.anthropic.com": _Key("x-api-key", "ANTHROPIC_API_KEY"),
    "generativelanguage.googleapis.com": _Key("x-goog-api-key", "GEMINI_API_KEY"),
    ".openai.azure.com": _Key("api-key", "AZURE_OPENAI_API_KEY"),
    "openrouter.ai": _Key("Authorization", "OPENROUTER_API_KEY", "Bearer "),
    "api.mistral.ai": _Key("Authorization", "MISTRAL_API_KEY", "Bearer "),
    "api.deepseek.com": _Key("Authorization", "DEEPSEEK_API_KEY", "Bearer "),
}
"""Maps each host to the place of its key; ".example.com" stands for all hosts below example.com.

A key is sent to no other host, unless the route itself has a header with it.
"""


class KeyMissing(Exception):
    """The environment has no key for a host.

    Args:
        variable: The environment variable that should hold the key.
    """

    def __init__(self, variable: str) -> None:
        super().__init__(variable)
        self.variable = variable


def make_payload(format: str | None, model: str | None, place: str) -> dict[str, Any]:
    """Return the payload of a request with a tiny question, in the words of the format's API."""
    if format in _PAYLOADS_WITHOUT_MODEL:
        return _PAYLOADS_WITHOUT_MODEL[format]
    if format not in _PAYLOADS:
        known = ", ".join(sorted([*_PAYLOADS, *_PAYLOADS_WITHOUT_MODEL]))
        msg = f"no question is known for {place}: in a file, give its json or its format, one of {known}"
        raise CommandFailed(msg, status=MISUSE)
    if model is None:
        msg = f"{place} needs a model: write MODEL={place}, or use --model"
        raise CommandFailed(msg, status=MISUSE)
    return _PAYLOADS[format](model)


def find_headers(host: str | None, format: str | None) -> list[tuple[str, str]]:
    """Return the headers that a request to a host needs: the API key and, for Anthropic's API, a version."""
    headers: list[tuple[str, str]] = [_VERSION] if format == "anthropic" else []
    key = next((key for end, key in _KEYS.items() if _is_at(host or "", end)), None)
    if key is None:
        return headers
    value = os.environ.get(key.variable, "").strip()
    if not value:
        raise KeyMissing(key.variable)
    return [*headers, (key.header, key.scheme + value)]


def _is_at(host: str, end: str) -> bool:
    """Return True if `host` equals `end` or, for an `end` such as ".example.com", is a host below it."""
    return host == end or (end.startswith(".") and host.endswith(end))


_FIELDS = frozenset({"url", "model", "name", "format", "json", "headers", "header_env"})
_SCHEMES = ("http://", "https://")


class RouteCandidate(NamedTuple):
    """A route to try, which is a request at one provider, with facts about it for the report."""

    route: Route
    server: str
    """Host and port of the request; the port only if the scheme has another one."""
    format: str | None
    """The name of the format in which an answer is expected; None if it is not known."""
    secrets: Sequence[str]
    """Values of headers that must not be printed."""
    missing: str | None
    """The environment variable that lacks the key; None if nothing is missing."""


def find_candidates(arguments: Sequence[str], model: str | None) -> list[RouteCandidate]:
    """Return the routes that the command line names."""
    fields = [each for argument in arguments for each in _read_argument(argument)]
    return [_make_candidate(each, model) for each in fields]


def _read_argument(argument: str) -> Iterator[dict[str, Any]]:
    """Yield the fields of the routes in an argument of the command line."""
    if argument.startswith("@"):
        yield from _read_file(argument[1:])
        return
    model, equals, url = argument.partition("=")
    if argument.lower().startswith(_SCHEMES):
        yield {"url": argument}
    elif equals and model and url.lower().startswith(_SCHEMES):
        yield {"url": url, "model": model}
    else:
        # The message does not quote the argument, which may contain a key.
        msg = "routes takes addresses that begin with http:// or https://, as URL, MODEL=URL or @FILE"
        raise CommandFailed(msg, status=MISUSE)


def _read_file(name: str) -> Iterator[dict[str, Any]]:
    """Yield the fields of the routes in a file."""
    with ExitStack() as stack:
        content = open_file(name, stack).read()
    try:
        routes: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        msg = f"{name} is not JSON: {error}"
        raise CommandFailed(msg, status=MISUSE) from None
    if not is_list(routes) or not routes:
        msg = f"{name} is not a list of routes: write objects with a url in [ ]"
        raise CommandFailed(msg, status=MISUSE)
    for number, route in enumerate(routes, 1):
        yield _check_route(route, f"route {number} in {name}")


def _check_route(route: object, place: str) -> dict[str, Any]:
    """Return a route of a file if its fields are valid."""
    if not is_dict(route) or not str(route.get("url", "")).lower().startswith(_SCHEMES):
        msg = f"{place} is not an object with a url that begins with http:// or https://"
        raise CommandFailed(msg, status=MISUSE)
    unknown = sorted(route.keys() - _FIELDS)
    if unknown:
        msg = f"{place} has unknown fields: {', '.join(unknown)}; these are known: "
        raise CommandFailed(msg + ", ".join(sorted(_FIELDS)), status=MISUSE)
    for field in ("model", "name", "format"):
        if not isinstance(route.get(field, ""), str):
            raise CommandFailed(f"{field} of {place} is a text", status=MISUSE)
    for field in ("headers", "header_env"):
        headers: Any = route.get(field, {})
        if not is_dict(headers) or not all(isinstance(value, str) for value in headers.values()):
            msg = f"{field} of {place} is an object whose values are texts"
            raise CommandFailed(msg, status=MISUSE)
    return route


def _make_candidate(fields: dict[str, Any], model: str | None) -> RouteCandidate:
    """Return the route with these fields."""
    url: str = fields["url"]
    # An unknown format raises here.
    Decoder(fields.get("format"))
    format = format_of_request(url, fields.get("format"))
    place = ResponseHead(status=0, url=url).place
    model = fields.get("model", model)
    payload = fields["json"] if "json" in fields else make_payload(format, model, place)
    host, port = server_of(url)
    headers, secrets, missing = _find_headers(fields, host, format)
    name = fields.get("name") or fields.get("model") or model_in(payload, url) or host or place
    route = Route(url, json=payload, headers=headers, format=fields.get("format"), attempts=1, name=name)
    # The port is named only if it is not the one that the scheme implies.
    scheme = url.partition(":")[0].lower()
    is_usual = port == server_of(f"{scheme}://host")[1]
    server = host if is_usual or port is None else f"{host}:{port}"
    return RouteCandidate(route, server or place, format, secrets, missing)


def _find_headers(
    fields: dict[str, Any], host: str | None, format: str | None
) -> tuple[list[tuple[str, str]], list[str], str | None]:
    """Return the headers of a route, with what the report needs to know about them."""
    given = [*fields.get("headers", {}).items()]
    from_environment = [read_env_header(each) for each in fields.get("header_env", {}).items()]
    secrets = [value for name, value in given if is_secret(name, value)]
    secrets += [value for _, value in from_environment]
    if given or from_environment:
        return [*given, *from_environment], secrets, None
    try:
        headers = find_headers(host, format)
    except KeyMissing as error:
        return [], [], error.variable
    return headers, [value for name, value in headers if is_secret(name, value)], None
