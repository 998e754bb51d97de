"""The model that a request names, the tools that it offers, with their schemas, and its secrets."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from urllib.parse import parse_qsl, unquote

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, is_list, text_of
from tokenstream._basics.url import find_address, split_url
from tokenstream._basics.visible import SecretMask, str_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tokenstream._basics.loose import JsonObject

_LISTS = ("tools", "functions", "functionDeclarations", "function_declarations")
"""Keys of a request, or of an entry of such a list, whose value is a list of tools."""
_CONFIG = "toolConfig"
"""The key of an object of Bedrock Converse that has such a list."""
TOOL_FIELDS = frozenset({*_LISTS, _CONFIG})
"""Fields of a request that offer tools."""
_BODIES = ("function", "toolSpec", "custom")
"""Keys of an entry whose value has the tool's name and schema."""
_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema", "parameters_json_schema")
"""Keys of a tool whose value is the schema of its arguments."""
_OPEN = ("additionalProperties", "patternProperties", "$ref", "anyOf", "oneOf", "allOf")
"""Keywords by which an object may have other properties than its schema names."""
_NAMESPACES = ("functions.", "default_api.")
"""Texts that models write before the names of tools."""


class OfferedTools:
    """The tools of a request; they are looked for on first use.

    Args:
        find: Returns the schema of each tool's arguments by the tool's name; None for an unknown schema.
    """

    def __init__(self, find: Callable[[], Mapping[str, JsonObject | None]]) -> None:
        self._find = find

    @cached_property
    def schemas(self) -> Mapping[str, JsonObject | None]:
        """The schema of each tool's arguments, by the tool's name; None for a schema that is not known."""
        return self._find()

    def __contains__(self, name: object) -> bool:
        return name in self.schemas

    def __bool__(self) -> bool:
        return bool(self.schemas)

    def takes_nothing(self, name: str) -> bool:
        """Return True if the schema of a tool says that its arguments are an empty object."""
        schema = self.schemas.get(name)
        is_empty = schema is not None and schema.get("properties") == {}
        # `false` closes an object, and so does each keyword that is not there.
        return is_empty and all((schema or {}).get(each, False) is False for each in _OPEN)

    def find_name(self, name: str) -> str | None:
        """Return the name of the tool that is meant, perhaps with a namespace or one of Harmony's marks."""
        return meant_name(name, self.schemas)

    def may_continue(self, name: str) -> bool:
        """Return True if the name of a tool begins with `name`, and is longer."""
        return any(other.startswith(name) and other != name for other in self.schemas)


def meant_name(name: str, known: Collection[str]) -> str | None:
    """Return the known name of a tool that a name means, as `OfferedTools.find_name` does."""
    bare = name.partition("<|")[0]
    names = (name, bare, *map(bare.removeprefix, _NAMESPACES), bare.rpartition("/")[2])
    return next((each for each in names if each in known), None)


def offered_of(tools: Iterable[str | JsonObject]) -> OfferedTools:
    """Return tools that are given by their names, or as in the JSON of a request to any API."""
    entries = [{"name": tool} if isinstance(tool, str) else tool for tool in tools]
    return OfferedTools(lambda: dict(_find_tools({"tools": entries}, depth=0)))


def offered_in(asked: object) -> OfferedTools | None:
    """Return the tools that the JSON of a request to any API offers; None if it is no JSON object."""
    return OfferedTools(lambda: dict(_find_tools(asked, depth=0))) if is_dict(asked) else None


def _find_tools(holder: JsonObject, depth: int) -> list[tuple[str, JsonObject | None]]:
    """Return the names and schemas of the tools in the lists of a request, or of an entry of a list."""
    found: list[tuple[str, JsonObject | None]] = []
    holders = [holder, *[dict_of(holder, _CONFIG)] * (depth == 0)]
    entries = [entry for each in holders for key in _LISTS for entry in dicts_of(each.get(key))]
    for entry in entries:
        body = next((dict_of(entry, key) for key in _BODIES if is_dict(entry.get(key))), entry)
        name = text_of(body, "name")
        if depth == 0 and any(is_list(entry.get(key)) for key in _LISTS):
            # A list within the list, such as OpenAI's namespace, whose own name is that of no tool.
            found += _find_tools(entry, depth + 1)
        elif name is not None:
            schema = next((body[key] for key in _SCHEMAS if is_dict(body.get(key))), None)
            # Bedrock has the schema in an object, too.
            inner = None if schema is None else schema.get("json")
            found.append((name, inner if is_dict(inner) else schema))
    return found


_MODEL_IN_PATH = re.compile(r"/(?:models?|deployments)/([^/:]+)")
"""Matches the model's name in a URL of Gemini, Bedrock or Azure."""


def model_in(payload: object, url: str | None) -> str | None:
    """Return the model's name from a request's JSON or from its URL; None if neither has it."""
    if is_dict(payload) and isinstance(payload.get("model"), str):
        return str(payload["model"])
    match = None if url is None else _MODEL_IN_PATH.search(split_url(url).path)
    return None if match is None else unquote(match[1])


def choices_in(payload: object) -> int:
    """Return the number of alternative answers that a request's JSON asks for; 1 if it has none."""
    if not is_dict(payload):
        return 1
    asked = payload.get("n") or dict_of(payload, "generationConfig").get("candidateCount")
    return asked if isinstance(asked, int) else 1


is_harmless = re.compile(
    r"accept(-charset|-encoding|-language)?|anthropic-(beta|version)|cache-control|connection"
    r"|content-(encoding|language|length|type)|host|pragma|traceparent|transfer-encoding|user-agent",
    re.IGNORECASE,
).fullmatch
"""Matches harmless headers. Any other may be a key, which each provider and gateway names differently."""
RequestPair: TypeAlias = "tuple[str, object]"
"""The address and the JSON of a request."""
SHORTEST_KEY = 16
"""The number of characters from which on a word is a key, if its name does not tell that it is none."""
names_secret = re.compile("auth|key|token|secret|cookie|passw|credential|signature", re.IGNORECASE).search


class AskedRequest(tuple[str, object]):  # noqa: SLOT001 - a tuple cannot have slots
    """The address and the JSON of a request, which also finds the secrets that no text may show."""

    _sent: tuple[Mapping[str, Any], object]
    """The options of the request, as for httpx, and the client that sends it; None for our own."""
    proxy: str | None = None
    """The proxy through which the request goes; None if there is none, or it is not known."""

    @classmethod
    def of(cls, url: str, options: Mapping[str, Any], client: object) -> Self:
        asked = cls((url, options.get("json")))
        asked._sent = options, client
        return asked

    def find_secrets(self) -> list[str]:
        """Return the credentials of the request: in its address, headers, cookies, parameters and `auth=`."""
        url, parts = self[0], split_url(self[0])
        # In a malformed address, nothing tells where a password ends.
        words = [parts.username, parts.password] if find_address(url).host else re.split(r"[/?#:@&=]", url)
        texts = [("key", unquote(word)) for word in words if word] + parse_qsl(parts.query)
        options, client = self._sent
        for name in ("headers", "params", "cookies", "auth"):
            for given in (options.get(name), getattr(client, name, None)):
                texts += _find_texts(name, given)
        return [
            word
            for name, text in texts
            if not is_harmless(name)
            for word in text.split()
            if len(word) >= SHORTEST_KEY or names_secret(name)
        ]


def mask_of(asked: RequestPair | None) -> SecretMask:
    """Return the mask for the secrets of a request, as far as they are known."""
    return SecretMask(asked.find_secrets() if isinstance(asked, AskedRequest) else ())


def _find_texts(name: str, value: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - whatever httpx takes
    """Return the texts in an option of a request, each with the name that it has there."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        return [(name, value)]
    inner: list[tuple[Any, Any]]
    if name == "cookies" and not is_dict(value):
        # A jar of httpx or of the standard library.
        inner = [(name, each.value) for each in getattr(value, "jar", value) or ()]
    elif issubclass(type(value), list | tuple):
        inner = [each if isinstance(each, tuple) else (name, each) for each in value]
    else:
        items = getattr(value, "multi_items", getattr(value, "items", getattr(value, "__dict__", {}).items))
        # The name of a cookie does not tell that it is none.
        inner = [(name if name == "cookies" else key, each) for key, each in items()]
    found = [(key, each) for key, each in inner if isinstance(each, str | bytes)]
    return [text for key, each in found for text in _find_texts(str_of(key), each)]
