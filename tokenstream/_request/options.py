"""The options of a request, for type checkers, and a check that refuses any other option."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypedDict

from tokenstream._basics.elsewhere import name_options
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence


class RequestOptions(TypedDict, total=False):
    """Arguments of `httpx.Client.stream`, in addition to the method and the URL."""

    json: Any
    """The payload, sent as JSON."""
    content: str | bytes | Iterable[bytes] | AsyncIterable[bytes] | None
    data: Mapping[str, Any] | None
    """Fields of a form."""
    files: Any
    headers: (
        Mapping[str, str]
        | Mapping[bytes, bytes]
        | Sequence[tuple[str, str]]
        | Sequence[tuple[bytes, bytes]]
        | None
    )
    params: Mapping[str, Any] | Sequence[tuple[str, Any]] | str | bytes | None
    """The query of the URL."""
    cookies: Any
    auth: Any
    timeout: Any
    """Seconds, a tuple, or an `httpx.Timeout`; None to wait forever."""
    follow_redirects: Any
    """True to follow redirects; credentials are not sent to another origin."""
    extensions: dict[str, Any] | None


OPTIONS = tuple(RequestOptions.__annotations__)
_OF_CLIENT = {
    "base_url": "base_url",
    "cert": "cert",
    "event_hooks": "event_hooks",
    "http2": "http2",
    "max_redirects": "max_redirects",
    "mounts": "mounts",
    "proxies": "proxy",
    "proxy": "proxy",
    "transport": "transport",
    "trust_env": "trust_env",
    "verify": "verify",
}
"""Options of clients, in httpx and other libraries, each with the name that a client of httpx has for it."""
_OF_PAYLOAD = frozenset(
    {
        "frequency_penalty",
        "input",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "presence_penalty",
        "response_format",
        "seed",
        "stop",
        "stream",
        "system",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
        "user",
    }
)
"""Arguments of SDKs, which a request has in its JSON."""
_OF_HEADERS = {
    "api_key": '"Authorization": f"Bearer {api_key}"',
    "bearer": '"Authorization": f"Bearer {…}"',
    "token": '"Authorization": f"Bearer {token}"',
    "organization": '"OpenAI-Organization": …',
}
"""Arguments of SDKs, which a request has in its headers, each with the usual header."""
_OTHER_NAMES = {"body": "json", "payload": "json", "query": "params", "form": "data"}


def check_options(function: Callable[..., object], options: Mapping[str, object], client: object) -> None:
    """Check the options of a request before it is sent.

    Args:
        function: The called function; a misspelt option may mean one of its own parameters.
        client: The caller's client, which may accept further options; None for a new client.

    Raises:
        MisuseError: An option is unknown.
    """
    for option in options:
        if option in OPTIONS or _is_accepted_by(client, option):
            continue
        if option in _OF_CLIENT:
            kind = "AsyncClient" if function.__name__ == "aconnect" else "Client"
            raise MisuseError(
                f"{function.__name__}() has no option {option}=, which belongs to a client: "
                f"pass client=httpx.{kind}({_OF_CLIENT[option]}=…)"
            )
        place = _find_place(option)
        if place is not None:
            raise MisuseError(f"{function.__name__}() has no option {option}=, {place}")
        parameters = inspect.signature(function).parameters.values()
        known_options = (*OPTIONS, *(each.name for each in parameters if each.kind is each.KEYWORD_ONLY))
        advice = name_options(_OTHER_NAMES.get(option, option), known_options)
        raise MisuseError(f"{function.__name__}() has no option {option}=; {advice}")


def _find_place(option: str) -> str | None:
    """Return where in a request an argument of an SDK belongs; None if it is no such argument."""
    if option in _OF_PAYLOAD:
        return f'which belongs to the payload: pass json={{"{option}": …, …}}'
    if option in _OF_HEADERS:
        return f"which belongs to the headers, as the API names it: pass headers={{{_OF_HEADERS[option]}}}"
    return None


def _is_accepted_by(client: object, option: str) -> bool:
    """Return True if the client's `stream` method accepts an option."""
    try:
        parameters = inspect.signature(getattr(client, "stream", None)).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        # There is no client, or its method has no signature.
        return False
    accepts_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return option in parameters or accepts_any
