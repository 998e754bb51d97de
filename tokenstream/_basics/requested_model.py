"""Finds the model that a request names."""

from __future__ import annotations

import re
from urllib.parse import unquote

from tokenstream._basics.untrusted import is_dict
from tokenstream._basics.url import split_url

_MODEL_IN_PATH = re.compile(r"/(?:models?|deployments)/([^/:]+)")
"""Matches the model's name in a URL of Gemini, Bedrock or Azure."""


def model_in(payload: object, url: str | None) -> str | None:
    """Return the model's name from a request's JSON or from its URL; None if neither has it.

    Example:
        >>> model_in({}, "https://g.example/v1beta/models/gemini-3:streamGenerateContent")
        'gemini-3'
    """
    if is_dict(payload) and isinstance(payload.get("model"), str):
        return str(payload["model"])
    match = None if url is None else _MODEL_IN_PATH.search(split_url(url).path)
    return None if match is None else unquote(match[1])
