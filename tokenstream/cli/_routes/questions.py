"""The smallest question in the words of each API, and the header with the key that its provider takes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.cli._failure import MISUSE, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """Return the payload of a request with a tiny question, in the words of the format's API.

    Args:
        format: The format of the answer; None if it is not known.
        model: The model; None if the user has not named one.
        place: The address, without the parts that may be secret.

    Raises:
        CommandFailed: The format is not known, has no question here, or needs the name of a model.
    """
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
    """Return the headers that a request to a host needs: the API key and, for Anthropic's API, a version.

    Args:
        format: The format of the answer; None if it is not known.

    Raises:
        KeyMissing: The environment has no key for this host.
    """
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
