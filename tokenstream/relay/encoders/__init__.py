"""Events to bytes: one encoder per format, each the mirror of the format that reads those bytes."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.relay.encoders._encoder import Encoder

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
"""Encoders of what is read as another format, and has a name of its own."""


def names() -> tuple[str, ...]:
    """Return the names of the formats that can be written.

    Example:
        >>> "anthropic" in names()
        True
    """
    return tuple(_ENCODERS)


@cache
def load(format: str) -> type[Encoder]:
    """Return a format's encoder.

    Raises:
        MisuseError: There is none of that name.
    """
    place = _ENCODERS.get(format, _DIALECTS.get(format))
    if place is None:
        raise MisuseError(
            f"nothing writes the format {format!r}; what can be written is {', '.join(names())}"
        )
    module, name = place.split(".")
    found: type[Encoder] = getattr(import_module(f"{__name__}.{module}"), name)
    return found


def create(format: str, *, drop: Drop = ()) -> Encoder:
    r"""Return an encoder for one answer.

    Args:
        format: The name of the format.
        drop: What to leave out that the format has no place for: names of kinds, or "all".

    Raises:
        MisuseError: There is no such format.

    Example:
        >>> from tokenstream.events import TextDelta
        >>> create("text").feed(TextDelta("Hello"))
        [b'data: Hello\n\n']
    """
    return load(format)(drop=drop)
