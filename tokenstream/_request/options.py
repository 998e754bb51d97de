"""The options of a request, for type checkers; refuses others, and values that cannot be sent."""

from __future__ import annotations

import inspect
import math
import re
from json import dumps
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from tokenstream._basics.elsewhere import name_options
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import MisuseError
from tokenstream.formats._kit.values import split_names

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence

HTTPOptions: TypeAlias = "dict[str, Any]"
"""The options of a request, checked or not, by their names."""


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
_OF_PAYLOAD = split_names(
    "frequency_penalty input max_completion_tokens max_tokens messages model n presence_penalty "
    "response_format seed stop stream system temperature tool_choice tools top_p user"
)
"""Arguments of SDKs, which a request has in its JSON."""
_OF_HEADERS = {
    "api_key": '"Authorization": f"Bearer {api_key}"',
    "bearer": '"Authorization": f"Bearer {…}"',
    "token": '"Authorization": f"Bearer {token}"',
    "organization": '"OpenAI-Organization": …',
}
"""Arguments of SDKs, which a request has in its headers, each with the usual header."""
_OTHER_NAMES = {"answer_id": "job", "body": "json", "payload": "json", "query": "params", "form": "data"}


def check_options(function: Callable[..., object], options: Mapping[str, object], client: object) -> None:
    """Check a request's options; a misspelt one may mean a parameter of the called function."""
    payload = options.get("json")
    if isinstance(payload, str) and payload.lstrip().startswith("{"):
        raise MisuseError("json= is JSON already: pass the dict itself, or content= with a Content-Type")
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
    """Return where in a request an argument of an SDK belongs; None for any other argument."""
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


_SCALARS = (str, int, float, bool, type(None))
_PLACE = re.compile(r'(json(?:\["[^"\\]*+(?:\\.[^"\\]*+)*+"\])?)(\[\d+\])?(.*)', re.DOTALL)
"""Matches a path into a payload: a field, perhaps the element of its list, and what follows."""


def find_mistake(options: Mapping[str, Any]) -> str:
    """Return a description of a header or of a value in the payload that cannot be sent; "" if all can.

    The description names the header, or the path to the value, but never the value, which may be a key.
    """
    return _find_bad_header(options.get("headers")) or _find_bad_value(options.get("json"))


def _find_bad_header(headers: Any) -> str:  # noqa: ANN401 - any kind of headers that httpx takes
    """Return a description of the first header that cannot be sent, without its value; "" if all can."""
    if hasattr(headers, "encoding"):
        # This is an `httpx.Headers`, so httpx has accepted them already.
        return ""
    items = headers.items() if hasattr(headers, "items") else headers or ()
    for name, value in items:
        title = f"the header {name!r}"
        if value is None:
            return f"{title} is None: give it a value, or leave it out"
        if not isinstance(value, str | bytes):
            return f"{title} is {_article(value)}: give it as a str"
        if isinstance(value, str) and not value.isascii():
            return f"{title} has a character that is not ASCII: take it out, or give the header as bytes"
    return ""


def _find_bad_value(payload: object) -> str:
    """Return a description of the first value in a payload that is not JSON; "" if all are."""
    # Each entry is a value with its path, and the containers that it is in, to find one that contains itself.
    waiting: list[tuple[str, Any, tuple[int, ...]]] = [("json", payload, ())]
    while waiting:
        path, value, within = waiting.pop()
        mistake = _describe_bad_value(value, path, within)
        if mistake:
            return f"{path} {mistake}"
        if _is_container(value):
            inner = [(f"{path}{step}", each, (*within, id(value))) for step, each in _iterate_members(value)]
            waiting.extend(reversed(inner))
    return ""


def _is_container(value: object) -> bool:
    """Return True if a value becomes an object or an array in JSON."""
    return isinstance(value, dict | list | tuple)


def _iterate_members(value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - a dict, a list or a tuple
    """Yield each member of an object or array, after its key or index as a path has it, such as `["a"]`."""
    if is_dict(value):
        for key, each in value.items():
            yield f"[{dumps(str(key))}]", each
    else:
        for index, each in enumerate(value):
            yield f"[{index}]", each


def _describe_bad_value(value: object, path: str, within: tuple[int, ...]) -> str:
    """Return the reason why a value is not JSON, apart from what it contains; "" if there is no reason."""
    if _is_container(value):
        if id(value) in within:
            return "contains itself"
        keys: Any = value if is_dict(value) else ()
        wrong = next((_article(key) for key in keys if not isinstance(key, _SCALARS)), "")
        return f"has a key that is {wrong}, where JSON has text" if wrong else ""
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}, which JSON does not have"
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
        return "has half a surrogate pair, which is no character"
    if isinstance(value, _SCALARS):
        return ""
    return f"is {_article(value)}{_advise(value, path)}"


def _advise(value: object, path: str) -> str:
    """Return the part of a description that says how to get JSON from a value, and where that goes."""
    # Imported only for a mistake: a request needs nothing of them.
    from tokenstream.message import Message
    from tokenstream.schemas import Tools
    from tokenstream.schemas._in_request import ResponseFormat
    from tokenstream.turns import ToolResults

    written = ".to_openai_chat(), or that of another API, such as .to_anthropic()"
    field, index, rest = _PLACE.fullmatch(path).groups(default="")  # type: ignore[union-attr] # of any path
    if isinstance(value, ToolResults):
        return ": add its .turns() to the messages"
    if isinstance(value, Message):
        # A turn has a role of its own.
        place = f", in place of {field}{index}" if rest else "" if index else ", in a list"
        return f": pass its {written}{place}"
    if isinstance(value, ResponseFormat):
        return ": write {**format.to_openai_chat()}, or that of another API, in the payload: it has the field"
    if isinstance(value, type) and hasattr(value, "model_dump"):
        return f": write {{**response_format({value.__name__}).to_openai_chat()}} in the payload, or Tools(…)"
    if isinstance(value, Tools):
        return f": pass its {written}{f', in place of {field}' if index else ''}"
    if callable(value):
        return f": pass Tools(…){written}, as {field}"
    if isinstance(value, bytes):
        return ": pass base64.b64encode(…).decode(), where the API takes it"
    # A message has `model_dump` as well, which no API accepts.
    return ": pass its .model_dump()" if hasattr(value, "model_dump") else ", which JSON does not have"


def _article(value: object) -> str:
    """Return the name of a value's class with its article, such as "a set"."""
    name = type(value).__qualname__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"
