"""The assistant's turn in a request of Ollama's native API."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from tokenstream.turns._turn import AssistantTurn, object_in

if TYPE_CHECKING:
    from tokenstream.message import MediaPart, Message, ReasoningPart, TextPart, ToolCall
    from tokenstream.turns._drop import Drop, Obstacle

_MADE_UP_ID = re.compile(r"call_\d{1,4}")
"""The ids that this library makes up for calls without an id."""


def to_ollama(message: Message, drop: Drop) -> dict[str, Any]:
    """Return the assistant's turn for a message; see `Message.to_ollama`."""
    turn = _OllamaTurn(message, drop)
    turn.write()
    return turn.build()


class _OllamaTurn(AssistantTurn):
    """Collects the parts of a message as the fields of an Ollama message.

    Each `write_` method returns None, or an obstacle: the reason why the API cannot take the part.
    The name of the reason is the one that `drop=` takes.
    """

    api = "Ollama"
    formats = frozenset({"ollama"})

    def __init__(self, message: Message, drop: Drop) -> None:
        super().__init__(message, drop)
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._images: list[str] = []
        self._calls: list[dict[str, Any]] = []

    def build(self) -> dict[str, Any]:
        """Return the turn with the parts that were written.

        Raises:
            NotExpressible: Nothing of the message remains.
        """
        text, thinking = "".join(self._text), "".join(self._thinking)
        turn: dict[str, Any] = {"role": "assistant", "content": text}
        if thinking:
            turn["thinking"] = thinking
        if self._images:
            turn["images"] = self._images
        if self._calls:
            turn["tool_calls"] = self._calls
        self.check_has_content(text or turn.keys() - {"role", "content"})
        return turn

    def write_text(self, part: TextPart, index: int) -> Obstacle | None:
        """Collect a text; return None, since every text can be sent."""
        self._text.append(part.text)
        return None

    def write_reasoning(self, part: ReasoningPart, index: int) -> Obstacle | None:
        """Collect the text of reasoning; if it is hidden, signed or of another API, return why not.

        Ollama's messages have a field for the text alone.
        """
        if not self.is_own or part.redacted is not None or part.signature:
            return "reasoning"
        self._thinking.append(part.text)
        return None

    def write_tool_call(self, part: ToolCall, index: int) -> Obstacle | None:
        """Write a call, with its id unless this library made the id up.

        Returns:
            None; the caller has already left out each call that the API would refuse.
        """
        # The provider's own fields of the call; Ollama's `index` belongs inside of "function".
        fields = self.fields(part)
        function: dict[str, Any] = {"name": part.name, "arguments": object_in(part)}
        if "index" in fields:
            function["index"] = fields.pop("index")
        # A server that sent no ids identifies calls by position and name: an id that this library
        # made up is not sent.
        is_made_up = self.message.format in self.formats and _MADE_UP_ID.fullmatch(part.id)
        self._calls.append({**({} if is_made_up else {"id": part.id}), **fields, "function": function})
        return None

    def write_media(self, part: MediaPart, index: int) -> Obstacle | None:
        """Write an image; for any other medium, return why it cannot be sent."""
        # The only media that Ollama itself answers with are images, and it does not send their type.
        mime_type = part.mime_type or ("image/" if self.is_own else "")
        # Only the data can be sent: not a URL, and no transcript.
        if not mime_type.startswith("image/") or not part.data or part.transcript:
            return "media"
        self._images.append(b64encode(part.data).decode())
        return None
