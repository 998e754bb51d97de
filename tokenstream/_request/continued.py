"""Builds the request that asks a model to continue an answer, from the original request."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream._basics.url import split_url
from tokenstream._providers.apis import RequestRecord, all_apis
from tokenstream._providers.hosts import api_at
from tokenstream._request.http_request import headers_without
from tokenstream.recovery._open import prefix_from_caller
from tokenstream.recovery._rules import JSON_ASKED
from tokenstream.stream._continuation import Prefix

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream._basics.overlap import Prefill
    from tokenstream._request.options import HTTPOptions
    from tokenstream.message import Message
    from tokenstream.stream._attempts import Attempt


_SHAPES: dict[str, RequestRecord] = {api.name: api.request for api in all_apis() if api.request is not None}
"""The places in the requests of each format that a continuation changes or checks."""
_BODY_HEADERS = frozenset({"content-length"})
"""Headers that are valid only for the original body."""
_FREE_CHOICES = frozenset({"auto", "none", "mode_unspecified", "validated"})
"""Tool choices that do not force a call."""


def _has_turns(payload: JsonObject, shape: RequestRecord) -> bool:
    """Return True if a payload contains the turns or the prompt, at the place where the format has them."""
    turns = payload.get(shape.turns)
    if shape.is_text:
        return isinstance(turns, str)
    # In `input`, a text may take the place of the turns.
    return is_list(turns) or (shape.turns == "input" and isinstance(turns, str))


class ContinuationRequests:
    """Builds the requests that ask a model to continue an answer.

    Args:
        options: The request's options for httpx, as the caller passed them.
    """

    def __init__(self, url: str, options: HTTPOptions) -> None:
        self.format: str | None = None
        """The name of the request's format; "" if it is not known, None for that of the answer so far."""
        self._url = url
        self._payload: Any = options.get("json")
        """The JSON of the request; None if the caller gave the body in another form."""
        self._options = options

    def with_payload(self, payload: Json) -> ContinuationRequests:
        other = ContinuationRequests(self._url, {**self._options, "json": payload})
        other.format = self.format
        return other

    def _name_format(self, message: Message) -> str:
        """Return the name of the request's format, or of the answer's if that is not set; "" if unknown."""
        return (message.format if self.format is None else self.format) or ""

    def why_not(self, message: Message, limit_left: int | None, *, prefill: bool) -> str | None:
        """Return the reason why an answer cannot be continued; None if it can be continued."""
        payload, name = self._payload, self._name_format(message)
        shape = _SHAPES.get(name)
        if shape is None:
            return f"requests of {name or 'an unknown format'} cannot carry a partial answer"
        if not is_dict(payload) or not _has_turns(payload, shape):
            return "the request was not given as json={…} with turns"
        count = _find(payload, shape.alternatives)
        if isinstance(count, int) and count > 1:
            return "it has several choices"
        if _forces(_find(payload, shape.choice)):
            return "the request forces a tool call"
        if _wants_json(payload, shape) and not (prefill or shape.is_text):
            # Without a prefix (or a prompt that is continued), the model would begin the JSON again.
            return JSON_ASKED
        if payload.get("conversation") is not None:
            return "the provider itself stores the conversation"
        if shape.is_text and payload.get("echo"):
            return "the request asks for the prompt to be echoed"
        budget = _find(payload, ("thinking", "budget_tokens"))
        if isinstance(budget, int) and limit_left is not None and limit_left <= budget:
            return "the rest of the output limit is less than the budget for thinking"
        return None

    def prefix(self, message: Message, asked: Prefill | None, *, refused: bool) -> Prefix | None:
        """Return the request fields for sending the answer so far as a prefix, which the server continues.

        The result is None if a user's turn asks the model instead: after a refusal or, unless the caller
        asks for a prefix, with a server that is not known to continue it.
        """
        payload, name = self._payload, self._name_format(message)
        shape = _SHAPES.get(name)
        if shape is None or not is_dict(payload):
            return None
        if shape.is_text:
            # The answer so far is added to the prompt, so the server need not know about prefixes.
            return Prefix()
        if asked is False or refused or (self._host, self._model) in _refused:
            return None
        if asked is None and _find(payload, ("thinking", "type")) in ("enabled", "adaptive"):
            # With thinking, the API refuses a prefix.
            return None
        is_confirmed = asked is not None
        known = self._find_known_prefix(confirmed=is_confirmed, json=_wants_json(payload, shape))
        if known is not None or asked is None:
            return known
        # The server is unknown, but the caller says that it continues a prefix. Of servers with the format
        # `openai-chat`, that is mostly vLLM or SGLang, which need further fields for it.
        return replace(prefix_from_caller(asked), extra=VLLM if name == "openai-chat" else {})

    def _find_known_prefix(self, *, confirmed: bool, json: bool) -> Prefix | None:
        """Return the request fields that make the provider continue a prefix; None if no fields are known.

        They are `confirmed` if the caller says that the provider continues one.
        """
        row = api_at(self._host)
        prefilling = None if row is None else row.prefilling
        if prefilling is None or (json and not prefilling.json):
            return None
        sure = _CLAUDE.match(self._model) is not None if prefilling.by_model else prefilling.sure
        # If it is not sure that the model continues a prefix, the caller has to confirm it.
        if not (self._address.path.startswith(prefilling.path) and (sure or confirmed)):
            return None
        return Prefix(marks={**prefilling.marks}, echoes=prefilling.echoes, known=sure)

    def remember_refusal(self) -> None:
        """Record that a model at a host has refused to continue a prefix of an answer."""
        if len(_refused) >= _REMEMBERED:
            # The oldest refusal is forgotten.
            _refused.pop(next(iter(_refused)), None)
        _refused[self._host, self._model] = None

    def limit(self, format: str | None) -> int | None:
        """Return the output limit of all choices, in tokens; the answer's format may say where it is."""
        shape = _SHAPES.get((format if self.format is None else self.format) or "")
        if shape is None or not is_dict(self._payload):
            return None
        limits = [_find(self._payload, path) for path in shape.limits]
        limit = next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)
        count = _find(self._payload, shape.alternatives)
        return limit if limit is None or not isinstance(count, int) else limit * max(count, 1)

    def build_options(self, attempt: Attempt) -> HTTPOptions:
        """Return the httpx options for the request with which an attempt continues the answer."""
        name = self._name_format(attempt.message)
        shape = _SHAPES[name]
        payload: JsonObject = deepcopy(self._payload)
        if shape.is_text:
            # `Overlap` drops the white space at the answer's end if the model writes it again.
            payload[shape.turns] += attempt.message.text.rstrip()
        else:
            original = payload[shape.turns]
            turns = [{"role": "user", "content": original}] if isinstance(original, str) else original
            # Mistral's format is `openai-chat`, but its API wants turns of another shape, its dialect.
            row = api_at(self._host)
            dialect = name if row is None or row.dialect is None else row.dialect
            payload[shape.turns] = [*turns, *attempt.continuation(dialect)]
            if attempt.asked is not None and attempt.asked.prefix is not None:
                payload |= attempt.asked.prefix.extra
        if attempt.limit_left is not None:
            # The continuation gets only the rest of the output limit.
            for path in shape.limits:
                if isinstance(_find(payload, path), int):
                    # `least`: the lowest limit that the API accepts.
                    _put(payload, path, max(attempt.limit_left, shape.least))
        return with_other_body(self._options, payload)

    @cached_property
    def _address(self) -> SplitResult:
        return split_url(str(self._url))

    @property
    def _host(self) -> str:
        return self._address.hostname or ""

    @property
    def _model(self) -> str:
        """The model in the request, or else the path of the URL, in which Google's APIs have the model."""
        model = self._payload.get("model") if is_dict(self._payload) else None
        return model if isinstance(model, str) else self._address.path


def with_other_body(options: HTTPOptions, payload: object) -> HTTPOptions:
    """Return the httpx options of a request with another JSON body, and without headers of the first body."""
    changed = {**options, "json": payload}
    if changed.get("headers"):
        changed["headers"] = headers_without(changed, _BODY_HEADERS)
    return changed


def _find(payload: object, path: tuple[str, ...]) -> Json:
    """Return the value at a path, in camel case or with underscores, in a payload; None if it is missing."""
    for name in path:
        if not is_dict(payload):
            return None
        payload = payload.get(_spelt(payload, name))
    return payload


def _put(payload: JsonObject, path: tuple[str, ...], value: object) -> None:
    """Set the value at a path in a payload; each name keeps the spelling that the payload has for it."""
    *above, last = path
    for name in above:
        payload = payload[_spelt(payload, name)]
    payload[_spelt(payload, last)] = value


def _spelt(payload: JsonObject, name: str) -> str:
    """Return a name in the payload's spelling: Google accepts `maxOutputTokens` and `max_output_tokens`."""
    if name in payload:
        return name
    lower_name = name.lower()
    return next((key for key in payload if key.replace("_", "").lower() == lower_name), name)


def _forces(choice: object) -> bool:
    if choice is None:
        return False
    if is_dict(choice):
        # The kind of choice is a value in it, or (Bedrock) its only key.
        kind = choice.get("mode") or choice.get("type") or next(iter(choice), None)
        return _forces(kind)
    return str(choice).lower() not in _FREE_CHOICES


def _wants_json(payload: JsonObject, shape: RequestRecord) -> bool:
    """Return True if a request's setting for the form of the answer asks for anything but plain text."""
    return any(_find(payload, path) not in (None, "", "text", "text/plain") for path in shape.json)


_REMEMBERED = 1_000
"""Maximum number of refusals to remember, each a pair of host and model."""


VLLM: JsonObject = {"continue_final_message": True, "add_generation_prompt": False}
"""Request fields that make vLLM and SGLang continue a prefix."""
_CLAUDE = re.compile(r"claude-(?:[0-3]|(?:haiku|sonnet|opus)-4-5\b|(?:sonnet|opus)-4-(?:[01]\b|20\d{6}))")
"""Matches the names of Claude models up to 4.5; later models refuse a prefix."""
# Pairs of host and model that have refused a prefix, for all streams of the process.
_refused: dict[tuple[str, str], None] = {}
