"""Request fields that make providers continue a prefix of an answer, and models that have refused one.

A *prefix* is an assistant's turn at the end of a request, which the model extends.
"""

from __future__ import annotations

import re
from typing import Any

from tokenstream._hosts import api_at
from tokenstream.stream._continuation import Prefix

_REMEMBERED = 1_000
"""Maximum number of refusals to remember, each a pair of host and model."""


VLLM: dict[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}
"""Request fields that make vLLM and SGLang continue a prefix."""
_CLAUDE = re.compile(r"claude-(?:[0-3]|(?:haiku|sonnet|opus)-4-5\b|(?:sonnet|opus)-4-(?:[01]\b|20\d{6}))")
"""Matches the names of Claude models up to 4.5; later models refuse a prefix."""
# Pairs of host and model that have refused a prefix, for all streams of the process.
_refused: dict[tuple[str, str], None] = {}


def find_prefix(host: str, path: str, model: str, *, confirmed: bool, json: bool) -> Prefix | None:
    """Return the request fields that make a provider continue a prefix; None if no fields are known.

    They are `confirmed` if the caller says that the provider continues one.

    Example:
        >>> find_prefix("api.mistral.ai", "/v1/chat/completions", "m", confirmed=False, json=False).echoes
        True
    """
    row = api_at(host)
    prefilling = None if row is None else row.prefilling
    if prefilling is None or not path.startswith(prefilling.path) or (json and not prefilling.json):
        return None
    sure = _CLAUDE.match(model) is not None if prefilling.by_model else prefilling.sure
    # If it is not sure that the model continues a prefix, the caller has to confirm it.
    if not (sure or confirmed):
        return None
    return Prefix(marks={**prefilling.marks}, echoes=prefilling.echoes, known=sure)


def remember_refusal(host: str, model: str) -> None:
    """Record that a model at a host has refused to continue a prefix of an answer."""
    if len(_refused) >= _REMEMBERED:
        # The oldest refusal is forgotten.
        _refused.pop(next(iter(_refused)), None)
    _refused[host, model] = None


def has_refused(host: str, model: str) -> bool:
    """Return True if a model at a host has refused to continue a prefix before."""
    return (host, model) in _refused
