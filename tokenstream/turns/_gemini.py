"""The model's turn in a request of Gemini's generateContent."""

from __future__ import annotations

from base64 import b64encode
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of
from tokenstream.turns._turn import AssistantTurn, object_in

if TYPE_CHECKING:
    from tokenstream.message import (
        MediaPart,
        Message,
        OpaquePart,
        ReasoningPart,
        ServerToolCall,
        ServerToolResult,
        TextPart,
        ToolCall,
    )
    from tokenstream.turns._drop import Drop, Obstacle

_MEDIUM_FIELDS = ("displayName",)
"""Provider fields of a medium that are sent inside `fileData` or `inlineData`, not next to it."""


def to_gemini(message: Message, drop: Drop) -> dict[str, Any]:
    """Return the model's turn for a message; see `Message.to_gemini`."""
    return {"role": "model", "parts": _GeminiTurn(message, drop).write_content()}


class _GeminiTurn(AssistantTurn):
    """Writes the parts of a message as `Part` objects of Gemini.

    Each `write_` method returns None, or an obstacle: the reason why the API cannot take the part.
    The name of the reason is the one that `drop=` takes.
    """

    api = "Gemini"
    formats = frozenset({"gemini", "gemini-live"})
    # Citations are made from metadata next to the content, which is not sent back.
    silently_dropped = frozenset({"citation"})

    def write_text(self, part: TextPart, index: int) -> Obstacle | None:
        """Write a text, unless it is empty and has no signature; return None: the API takes every text."""
        fields = self.fields(part)
        # A part with empty text may have a signature.
        if part.text or fields:
            self.written.append({"text": part.text, **fields})
        return None

    def write_reasoning(self, part: ReasoningPart, index: int) -> Obstacle | None:
        """Write reasoning as a thought, with its signature.

        If the reasoning is hidden or from another API, write nothing and return why it cannot be sent.
        """
        if not self.is_own or part.redacted is not None:
            return "reasoning"
        signature = {"thoughtSignature": part.signature} if part.signature else {}
        self.written.append({"text": part.text, "thought": True, **signature, **self.fields(part)})
        return None

    def write_tool_call(self, part: ToolCall, index: int) -> Obstacle | None:
        """Write a call as a `functionCall`, with the fields that Gemini has sent with it.

        Returns:
            None, since the caller leaves out each call that cannot be sent.
        """
        fields = self.fields(part)
        # A server that identifies calls by position must not get an id that this library made up.
        sent_id = fields.pop("id", None)
        id = sent_id if self.message.format in self.formats else part.id
        call_fields = dict_of(fields, "functionCall")
        fields.pop("functionCall", None)
        call = {**call_fields, "name": part.name, "args": object_in(part)}
        self.written.append({"functionCall": {"id": id, **call} if id else call, **fields})
        return None

    def write_server_tool_call(self, part: ServerToolCall, index: int) -> Obstacle | None:
        """Write a call of a tool that Gemini ran, as it was received; if that is impossible, return why."""
        return self._write_unchanged("server_tool_call", self.fields(part))

    def write_server_tool_result(self, part: ServerToolResult, index: int) -> Obstacle | None:
        """Write the result of a tool that Gemini ran, as it was received; if impossible, return why."""
        return self._write_unchanged("server_tool_result", self.fields(part))

    def write_opaque(self, part: OpaquePart, index: int) -> Obstacle | None:
        """Write a part of an unknown kind as it was received; if that is impossible, return why."""
        return self._write_unchanged("opaque", deepcopy(part.data) if self.is_own else {})

    def _write_unchanged(self, obstacle: Obstacle, fields: dict[str, Any]) -> Obstacle | None:
        """Write a part exactly as the API has sent it; return None, or `obstacle` if that is impossible.

        Args:
            obstacle: The result if the part has no provider fields, so that it cannot be written.
            fields: The part's provider fields.
        """
        if not fields:
            return obstacle
        self.written.append(fields)
        return None

    def write_media(self, part: MediaPart, index: int) -> Obstacle | None:
        """Write a medium as `fileData` with its URL, or as `inlineData` with its content.

        Returns:
            The reason not to send it if the URL is of another provider, or if the content or its type is
            missing; else None.
        """
        fields = self.fields(part)
        medium_fields = {name: fields.pop(name) for name in _MEDIUM_FIELDS if name in fields}
        mime_type = {"mimeType": part.mime_type} if part.mime_type else {}
        if part.url is not None:
            if not self.is_own:
                # Another provider sent the URL, and Gemini may not be able to open it.
                return "media"
            self.written.append({"fileData": {**mime_type, "fileUri": part.url, **medium_fields}, **fields})
        elif part.data and mime_type:
            data = b64encode(part.data).decode()
            self.written.append({"inlineData": {**mime_type, "data": data, **medium_fields}, **fields})
        else:
            return "media"
        return None
