"""Encoders: turn events into bytes, one for each format that reads such bytes."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.relay._encoders.encoder import Encoder

if TYPE_CHECKING:
    from tokenstream.turns import Drop

__all__ = ["Encoder", "create", "load", "names"]

_ENCODERS: dict[str, str] = {
    "openai-chat": "openai.chat.OpenAIChat",
    "openai-responses": "openai.responses.OpenAIResponses",
    "openai-completions": "openai.completions.OpenAICompletions",
    "openai-assistants": "openai.assistants.OpenAIAssistants",
    "openai-realtime": "openai.realtime.OpenAIRealtime",
    "anthropic": "blocks.anthropic.Anthropic",
    "gemini": "google.gemini.Gemini",
    "gemini-live": "google.gemini_live.GeminiLive",
    "gemini-interactions": "google.gemini_interactions.GeminiInteractions",
    "bedrock-converse": "blocks.bedrock_converse.BedrockConverse",
    "bedrock-invoke": "blocks.bedrock_invoke.BedrockInvoke",
    "cohere": "blocks.cohere.Cohere",
    "ollama": "ollama.Ollama",
    "tgi": "tgi.TGI",
    "ui-message": "ui.ui_message.UIMessage",
    "ag-ui": "ui.ag_ui.AGUI",
    "text": "text.Text",
    "tokenstream": "tokenstream.TokenStream",
}
_DIALECTS = {"mistral": "openai.mistral.Mistral", "ndjson": "tokenstream.NDJSON"}
"""Encoders for dialects: their bytes are read by another format."""


def names() -> tuple[str, ...]:
    """Return the names of the formats that can be written.

    Example:
        >>> "anthropic" in names()
        True
    """
    return tuple(_ENCODERS)


@cache
def load(format: str) -> type[Encoder]:
    """Return a format's encoder class.

    Raises:
        MisuseError: The format is unknown, or cannot be written.
    """
    place = _ENCODERS.get(format, _DIALECTS.get(format))
    if place is None:
        raise MisuseError(f"the format {format!r} cannot be written: take one of {', '.join(names())}")
    module, _, name = place.rpartition(".")
    found: type[Encoder] = getattr(import_module(f"{__name__}.{module}"), name)
    return found


def create(format: str, *, drop: Drop = ()) -> Encoder:
    r"""Return an encoder for one answer.

    Args:
        format: The name of the format.
        drop: Kinds of content to leave out if the format has no place for them: their names, or "all".

    Raises:
        MisuseError: The format is unknown, or cannot be written.

    Example:
        >>> from tokenstream.events import TextDelta
        >>> create("text").feed(TextDelta("Hello"))
        [b'data: Hello\n\n']
    """
    return load(format)(drop=drop)
