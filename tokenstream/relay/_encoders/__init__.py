"""Encoders, which turn events into the bytes of a format; most formats that can be read have one."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from tokenstream.errors import MisuseError
from tokenstream.relay._encoders.encoder import Encoder

if TYPE_CHECKING:
    from tokenstream.turns import Drop

__all__ = ["Encoder", "ProtocolName", "create", "load", "names"]

ProtocolName: TypeAlias = Literal[
    "openai-chat",
    "openai-responses",
    "openai-completions",
    "openai-assistants",
    "openai-realtime",
    "anthropic",
    "gemini",
    "gemini-live",
    "gemini-interactions",
    "bedrock-converse",
    "bedrock-invoke",
    "cohere",
    "ollama",
    "tgi",
    "ui-message",
    "ag-ui",
    "text",
    "tokenstream",
    "mistral",
    "ndjson",
]
"""The names of the protocols in which an answer can be sent or scripted."""

_ENCODERS: dict[str, str] = {
    "openai-chat": "openai.chat.OpenAIChatEncoder",
    "openai-responses": "openai.responses.OpenAIResponsesEncoder",
    "openai-completions": "openai.completions.OpenAICompletionsEncoder",
    "openai-assistants": "openai.assistants.OpenAIAssistantsEncoder",
    "openai-realtime": "openai.realtime.OpenAIRealtimeEncoder",
    "anthropic": "blocks.anthropic.AnthropicEncoder",
    "gemini": "google.gemini.GeminiEncoder",
    "gemini-live": "google.gemini_live.GeminiLiveEncoder",
    "gemini-interactions": "google.gemini_interactions.GeminiInteractionsEncoder",
    "bedrock-converse": "blocks.bedrock_converse.BedrockConverseEncoder",
    "bedrock-invoke": "blocks.bedrock_invoke.BedrockInvokeEncoder",
    "cohere": "blocks.cohere.CohereEncoder",
    "ollama": "ollama.OllamaEncoder",
    "tgi": "tgi.TGIEncoder",
    "ui-message": "ui.ui_message.UIMessageEncoder",
    "ag-ui": "ui.ag_ui.AGUIEncoder",
    "text": "text.TextEncoder",
    "tokenstream": "tokenstream.TokenStreamEncoder",
}
_DIALECTS = {"mistral": "openai.mistral.MistralEncoder", "ndjson": "tokenstream.NDJSONEncoder"}
"""The encoders for dialects of a format: their bytes are read with the format itself."""


def names() -> tuple[ProtocolName, ...]:
    """Return the names of the formats that can be written.

    Example:
        >>> "anthropic" in names()
        True
    """
    return cast("tuple[ProtocolName, ...]", tuple(_ENCODERS))


@cache
def load(format: str) -> type[Encoder]:
    """Return a format's encoder class.

    Raises:
        MisuseError: The format is unknown, or cannot be written.
    """
    # `names` does not list the dialects.
    path = _ENCODERS.get(format, _DIALECTS.get(format))
    if path is None:
        raise MisuseError(f"the format {format!r} cannot be written: take one of {', '.join(names())}")
    module, _, name = path.rpartition(".")
    encoder_class: type[Encoder] = getattr(import_module(f"{__name__}.{module}"), name)
    return encoder_class


def create(format: str, *, drop: Drop = ()) -> Encoder:
    r"""Return an encoder for one answer.

    Args:
        format: The name of the format.
        drop: Names of the kinds of content to leave out if the format cannot express them, or "all".

    Raises:
        MisuseError: The format is unknown, or cannot be written.

    Example:
        >>> from tokenstream.events import TextDelta
        >>> create("text").feed(TextDelta("Hello"))
        [b'data: Hello\n\n']
    """
    return load(format)(drop=drop)
