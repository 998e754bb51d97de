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
    "openai-chat": "_openai_chat.OpenAIChat",
    "openai-responses": "_openai_responses.OpenAIResponses",
    "openai-completions": "_openai_completions.OpenAICompletions",
    "openai-assistants": "_openai_assistants.OpenAIAssistants",
    "openai-realtime": "_openai_realtime.OpenAIRealtime",
    "anthropic": "_anthropic.Anthropic",
    "gemini": "_gemini.Gemini",
    "gemini-live": "_gemini_live.GeminiLive",
    "gemini-interactions": "_gemini_interactions.GeminiInteractions",
    "bedrock-converse": "_bedrock_converse.BedrockConverse",
    "bedrock-invoke": "_bedrock_invoke.BedrockInvoke",
    "cohere": "_cohere.Cohere",
    "ollama": "_ollama.Ollama",
    "tgi": "_tgi.TGI",
    "ui-message": "_ui_message.UIMessage",
    "ag-ui": "_ag_ui.AGUI",
    "text": "_text.Text",
    "tokenstream": "_tokenstream.TokenStream",
}
_DIALECTS = {"mistral": "_mistral.Mistral", "ndjson": "_tokenstream.NDJSON"}
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
    module, name = place.split(".")
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
